"""docker/ without an engine: linted by hadolint, and the images' own steps taken in a clean folder."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.analysis.editing.text_model import MODEL_FILE
from pipeline.analysis.pose_model import cached_model

ROOT = Path(__file__).parents[1]
DOCKER = ROOT / "docker"
FILES = sorted(DOCKER.glob("Dockerfile.*"))
TARGET = "/opt/longdance"


def hadolint(path: Path) -> list[str]:
    """A line for each of its rules that a Dockerfile breaks, style included."""
    command = [Path(sys.executable).with_name("hadolint"), "--no-color", "--no-fail", "--failure-threshold=style", path]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_an_image_breaks_no_rule_of_hadolints(path: Path) -> None:
    assert hadolint(path) == []


def test_hadolint_finds_what_is_wrong(tmp_path: Path) -> None:
    bad = tmp_path / "Dockerfile"
    bad.write_text("FROM python\nARG API_KEY=abc\nADD . app\nWORKDIR app\nUSER root\nCMD longdance --help\n")
    said = "\n".join(hadolint(bad))
    for rule in ("DL3006", "DL3064", "DL3020", "DL3000", "DL3002", "DL3025"):
        assert rule in said


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_an_image_ships_nothing_of_the_build_runs_as_nobody_in_particular_and_tells_its_health(path: Path) -> None:
    """What hadolint has no rule for."""
    text = path.read_text()
    _, built, shipped = text.split("\nFROM ")
    assert "install.sh" in built
    assert "install.sh" not in shipped
    assert re.findall(r"^USER ([1-9]\d*):[1-9]\d*$", shipped, re.M)  # Kubernetes' runAsNonRoot wants a number
    assert re.search(r"^HEALTHCHECK .*--timeout=\d+s .*CMD \[", shipped, re.M)


def test_every_stage_begins_with_the_same_patch_release() -> None:
    [base] = {name for path in FILES for name in re.findall(r"^FROM (\S+)", path.read_text(), re.M)}
    assert re.search(r":\d+\.\d+\.\d+", base)


def test_the_two_images_differ_in_torchs_index_and_nvidias_variables_alone() -> None:
    cpu, cuda = ({line.strip() for line in path.read_text().splitlines() if not line.startswith("#")} for path in FILES)
    assert [line for line in cpu ^ cuda if not re.search(r"TORCH_INDEX|PIP_NO_CACHE|NVIDIA|install\.sh", line)] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_an_image_installs_the_libraries_that_a_bare_machine_gets(path: Path) -> None:
    script = (ROOT / "tools" / "system-packages.sh").read_text()
    packages = set(re.findall(r"\.so\.\d+:(\S+?)[;\s]", script))
    assert len(packages) == 4
    installed = re.findall(r"apt-get install -y --no-install-recommends (.*) \\", path.read_text())
    assert [set(names.split()) for names in installed] == [packages, packages]


def image_model(path: Path, kind: str = "POSE") -> str:
    """The model that an image names."""
    return re.findall(rf"LONGDANCE_{kind}_MODEL=(\S+)", path.read_text())[0]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_an_image_names_the_models_where_its_own_step_puts_them(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [cache] = re.findall(r'^XDG_CACHE_HOME="\$target/(\w+)" .* pose-model$', (DOCKER / "install.sh").read_text(), re.M)
    monkeypatch.setenv("XDG_CACHE_HOME", f"{TARGET}/{cache}")
    assert image_model(path) == str(cached_model())
    assert image_model(path, "TEXT") == str(MODEL_FILE.cached())


def services() -> dict[str, Any]:
    """Compose's services, anchors resolved."""
    return dict(yaml.safe_load((DOCKER / "compose.yaml").read_text())["services"])


def test_no_service_may_gain_rights_or_is_open_to_other_machines() -> None:
    for name, service in services().items():
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert all(str(port).startswith("127.0.0.1:") for port in service.get("ports", [])), name
        assert not service["image"].endswith(":latest"), name
        if service["image"].startswith("longdance"):
            assert (service["user"], service["cap_drop"]) == ("10001:10001", ["ALL"]), name


def test_the_server_may_write_the_files_of_its_page() -> None:
    """Without this Prefect serves no page to a user who may not write where it is installed."""
    from prefect.settings import get_current_settings

    assert "static_directory" in type(get_current_settings().server.ui).model_fields
    assert services()["server"]["environment"]["PREFECT_UI_STATIC_DIRECTORY"].startswith("/tmp/")


def test_a_service_waits_for_what_can_become_true() -> None:
    found = services()
    for service in found.values():
        for other, wait in service.get("depends_on", {}).items():
            assert "test" in found[other]["healthcheck"] or wait["condition"] == "service_completed_successfully"


def test_env_example_offers_every_variable_and_no_password() -> None:
    wanted = set(re.findall(r"\$\{(\w+)", (DOCKER / "compose.yaml").read_text()))
    offered = dict(line.split("=") for line in (DOCKER / "env.example").read_text().splitlines() if "=" in line)
    assert wanted == set(offered)
    assert offered["POSTGRES_PASSWORD"] == ""


def prefect_lines() -> list[str]:
    """Every line that compose has a service run."""
    commands = [service.get("command", []) for service in services().values()]
    return [
        line
        for command in commands
        for line in (command[-1].splitlines() if command[:1] == ["sh"] else [" ".join(command)])
        if line
    ]


@pytest.mark.parametrize("line", sorted(set(prefect_lines())))
def test_compose_uses_commands_and_flags_that_this_prefect_knows(line: str) -> None:
    program, *words = line.split()
    assert program == "prefect"
    verbs = [word for word in words[:3] if re.fullmatch(r"[a-z][a-z-]+", word)]
    flags = {word for word in words if word.startswith("--")} - {"--no-prompt"}  # prefect's own, before the verb
    assert flags <= set(re.findall(r"--[a-z-]+", help_of(verbs)))


def help_of(verbs: list[str]) -> str:
    """`prefect VERBS --help`, with as many of the words as are commands."""
    for count in range(len(verbs), 0, -1):
        command = [sys.executable, "-m", "prefect", *verbs[:count], "--help"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | {"COLUMNS": "200"})
        if done.returncode == 0:
            return done.stdout
    raise AssertionError(f"prefect {' '.join(verbs)} is no command")


def test_the_docs_name_files_services_and_profiles_that_are_here() -> None:
    text = "\n".join(path.read_text() for path in (ROOT / "README.md", *ROOT.glob("docs/*.md")))
    found = services()
    files = re.findall(r"docker build -f (\S+)", text)
    assert files
    assert all((ROOT / name).is_file() for name in files)
    assert set(re.findall(r"docker compose exec (\S+)", text)) <= set(found)
    profiles = {profile for service in found.values() for profile in service.get("profiles", [])}
    assert set(re.findall(r"docker compose --profile (\w+)", text)) == profiles


def context(folder: Path) -> Path:
    """What `COPY . .` gives the build: the tracked files that .dockerignore lets through."""
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    for name in tracked:
        if any(name == entry or name.startswith(entry + "/") for entry in allowed):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return folder


def test_the_build_context_holds_what_the_images_need_and_nothing_else(tmp_path: Path) -> None:
    found = {str(path.relative_to(tmp_path)) for path in context(tmp_path).rglob("*") if path.is_file()}
    for name in (
        "pyproject.toml",
        "constraints.txt",
        "prefect.yaml",
        "docker/install.sh",
        "flows/report/page/base.css",
    ):
        assert name in found
    assert not [name for name in found if name.startswith(("tests/", "bench/", ".git/"))]


@pytest.mark.soak
def test_the_images_steps_give_a_longdance_that_works_for_a_user_without_rights() -> None:
    """All but the base image: install.sh in a clean folder, then doctor and a build as user 10001."""
    place = Path(tempfile.mkdtemp(prefix="longdance-image-"))
    place.chmod(0o755)
    try:
        source, target, data = context(place / "src"), place / "opt", place / "data"
        done = subprocess.run(
            ["sh", "docker/install.sh", str(source), str(target), "cpu"], cwd=source, capture_output=True, text=True,
            env=os.environ | {"HOME": str(place / "home"), "PYTHONPATH": ""}, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        data.mkdir()
        (place / "home").mkdir(exist_ok=True)
        as_user: list[str] = []
        if os.geteuid() == 0:
            for folder in (data, place / "home"):
                os.chown(folder, 10001, 10001)
            as_user = ["setpriv", "--reuid=10001", "--regid=10001", "--clear-groups"]
        env = {
            "PATH": f"{target}/venv/bin:/usr/bin:/bin", "HOME": str(place / "home"),
            "LONGDANCE_POSE_MODEL": image_model(DOCKER / "Dockerfile.cpu").replace(TARGET, str(target)),
        }  # fmt: skip
        for command in (
            ["longdance", "doctor", "--data", str(data)],
            ["longdance", "synth", str(data / "raw"), "--videos", "1"],
            ["longdance", "build", str(data / "raw"), "--data", str(data / "set"), "--frames", "45", "--variants", "0"],
            ["longdance", "report", "--data", str(data / "set")],
        ):
            ran = subprocess.run([*as_user, *command], cwd=data, env=env, capture_output=True, text=True, check=False)
            assert ran.returncode == 0, (command, ran.stdout[-2000:], ran.stderr[-2000:])
        assert (data / "set" / "report.html").stat().st_size > 50_000
    finally:
        shutil.rmtree(place)


def test_the_file_for_ray_up_is_one_that_this_ray_takes() -> None:
    util = pytest.importorskip("ray.autoscaler._private.util")
    written = yaml.safe_load((DOCKER / "ray-up.yaml").read_text())
    util.validate_config(util.prepare_config(written))
    with pytest.raises(Exception, match="shape"):
        util.validate_config(util.prepare_config({**written, "shape": 1}))


def test_kuberay_starts_the_image_with_the_ray_that_is_in_it() -> None:
    spec = yaml.safe_load((DOCKER / "kuberay.yaml").read_text())["spec"]
    assert f"ray=={spec['rayVersion']}" in (ROOT / "constraints.txt").read_text().splitlines()
    groups = [spec["headGroupSpec"], *spec["workerGroupSpecs"]]
    containers = [one for group in groups for one in group["template"]["spec"]["containers"]]
    assert {one["image"] for one in containers} == {"longdance:cpu"}
    for group in groups:
        volumes = {volume["name"] for volume in group["template"]["spec"]["volumes"]}
        assert {
            mount["name"] for one in group["template"]["spec"]["containers"] for mount in one["volumeMounts"]
        } == volumes
