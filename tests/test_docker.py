"""docker/ without an engine: rules that hadolint and good sense set, and the images' own steps in a clean folder."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.analysis.pose_model import cached_model

ROOT = Path(__file__).parents[1]
DOCKER = ROOT / "docker"
FILES = sorted(DOCKER.glob("Dockerfile.*"))
TARGET = "/opt/longdance"
Line = tuple[str, str]  # instruction, the rest


def instructions(text: str) -> list[Line]:
    """A Dockerfile's instructions, continuation lines joined, comments left out."""
    kept = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(kept))
    return [(name.upper(), rest) for name, _, rest in (line.partition(" ") for line in joined.splitlines())]


def last_stage(lines: list[Line]) -> list[Line]:
    """From the last FROM on: what is shipped."""
    return lines[max(i for i, (name, _) in enumerate(lines) if name == "FROM") :]


def unpinned_base(lines: list[Line]) -> Iterator[str]:
    for name, rest in lines:
        image = rest.split(" ")[0]
        if name == "FROM" and not re.search(r":[\w.-]*\d+\.\d+\.\d+[\w.-]*$|@sha256:[0-9a-f]{64}$", image):
            yield f"{image} is not pinned to a full version (DL3006, DL3007)"


def root_at_run_time(lines: list[Line]) -> Iterator[str]:
    users = [rest for name, rest in last_stage(lines) if name == "USER"]
    if not users or users[-1].split(":")[0] in ("root", "0"):
        yield "the last USER is root (DL3002)"
    elif not users[-1].split(":")[0].isdigit():
        yield "USER is a name: Kubernetes' runAsNonRoot wants a number"


def no_health_check(lines: list[Line]) -> Iterator[str]:
    checks = [rest for name, rest in last_stage(lines) if name == "HEALTHCHECK"]
    if len(checks) != 1 or "CMD [" not in checks[0] or "--timeout" not in checks[0]:
        yield "one HEALTHCHECK with a timeout, in exec form, is expected"


def careless_apt(lines: list[Line]) -> Iterator[str]:
    for name, rest in lines:
        if name == "RUN" and "apt-get install" in rest:
            for wanted in ("--no-install-recommends", " -y ", "rm -rf /var/lib/apt/lists/*", "apt-get update"):
                if wanted not in rest:
                    yield f"apt-get install without {wanted} (DL3009, DL3014, DL3015)"
        if name == "RUN" and re.search(r"\b(sudo|apt (install|update)|apt-get (upgrade|dist-upgrade))\b", rest):
            yield f"{rest} (DL3004, DL3005, DL3027)"


def careless_copy(lines: list[Line]) -> Iterator[str]:
    for name, rest in lines:
        if name == "ADD":
            yield "ADD instead of COPY (DL3020)"
        if name == "WORKDIR" and not rest.startswith("/"):
            yield f"WORKDIR {rest} is not absolute (DL3000)"
        if name == "RUN" and re.search(r"(^|&& )cd /", rest):
            yield "cd instead of WORKDIR (DL3003)"


def shell_form(lines: list[Line]) -> Iterator[str]:
    for name, rest in lines:
        if name in ("CMD", "ENTRYPOINT"):
            try:
                json.loads(rest)
            except ValueError:
                yield f"{name} {rest} is not in exec form (DL3025)"


def secrets(lines: list[Line]) -> Iterator[str]:
    for name, rest in lines:
        if name in ("ENV", "ARG") and re.search(r"(PASSWORD|SECRET|TOKEN|API_KEY)\w*=\S", rest, re.I):
            yield f"{name} {rest} holds a secret"


def build_tools_shipped(lines: list[Line]) -> Iterator[str]:
    if sum(name == "FROM" for name, _ in lines) < 2:
        yield "one stage: what only the build needs is shipped"
    for name, rest in last_stage(lines):
        if name == "RUN" and re.search(r"\bpip3? install|\bgcc\b|build-essential", rest):
            yield f"the last stage builds: {rest}"


def loose_pip(lines: list[Line]) -> Iterator[str]:
    for name, rest in lines:
        if name == "RUN" and "pip install" in rest and "-c " not in rest:
            yield "pip install without constraints (DL3013)"


RULES: list[Callable[[list[Line]], Iterator[str]]] = [
    unpinned_base, root_at_run_time, no_health_check, careless_apt, careless_copy, shell_form, secrets,
    build_tools_shipped, loose_pip,
]  # fmt: skip
BAD = """
FROM python:3.11
ARG API_KEY=abc
ADD . app
WORKDIR app
RUN sudo apt-get install curl
RUN cd /app && pip install .
CMD longdance --help
"""


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_an_image_keeps_the_rules(path, rule):
    assert list(rule(instructions(path.read_text()))) == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_rule_finds_what_it_is_for(rule):
    assert list(rule(instructions(BAD)))


def test_both_images_take_the_same_steps_and_no_others():
    assert [path.name for path in FILES] == ["Dockerfile.cpu", "Dockerfile.cuda"]
    for path in FILES:
        runs = [rest for name, rest in instructions(path.read_text()) if name == "RUN"]
        steps = [run for run in runs if not run.startswith("apt-get update")]
        assert steps == [f"sh docker/install.sh {TARGET}/src {TARGET} {path.suffix[1:]}"]
    packages = set(re.findall(r"lib\w+:(lib[\w.-]+)", (ROOT / "tools" / "system-packages.sh").read_text()))
    packages |= set(re.findall(r"\.so\.\d+:(lib[\w.-]+)", (ROOT / "tools" / "system-packages.sh").read_text()))
    for path in FILES:
        assert all(package in path.read_text() for package in packages), packages


def image_model(path: Path) -> str:
    """The pose model that an image names."""
    return re.findall(r"LONGDANCE_POSE_MODEL=(\S+)", path.read_text())[0]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_an_image_names_the_pose_model_where_its_own_step_puts_it(path, monkeypatch):
    [cache] = re.findall(r'^XDG_CACHE_HOME="\$target/(\w+)" .* pose-model$', (DOCKER / "install.sh").read_text(), re.M)
    monkeypatch.setenv("XDG_CACHE_HOME", f"{TARGET}/{cache}")
    assert image_model(path) == str(cached_model())


def compose() -> dict[str, Any]:
    return dict(yaml.safe_load((DOCKER / "compose.yaml").read_text()))


def test_compose_has_a_server_on_postgres_and_a_worker_that_waits_for_both():
    services = compose()["services"]
    assert set(services) == {"postgres", "server", "deploy", "worker", "worker-gpu"}
    for name, service in services.items():
        image = service["image"]
        assert re.search(r":[\w.-]+$", image), image
        assert not image.endswith(":latest")
        assert "no-new-privileges:true" in service["security_opt"], name
        if image.startswith("longdance"):
            assert service["user"].split(":")[0] not in ("0", "root")
            assert service["cap_drop"] == ["ALL"]
        assert "test" in service["healthcheck"] or name == "deploy"
    assert services["server"]["depends_on"]["postgres"]["condition"] == "service_healthy"
    assert services["deploy"]["depends_on"]["server"]["condition"] == "service_healthy"
    assert services["worker"]["depends_on"]["deploy"]["condition"] == "service_completed_successfully"
    assert services["worker-gpu"]["profiles"] == ["gpu"]
    assert "postgres:" in services["postgres"]["volumes"][0]


def test_compose_opens_ports_on_this_machine_alone_and_holds_no_password():
    text = (DOCKER / "compose.yaml").read_text()
    for service in compose()["services"].values():
        assert all(str(port).startswith("127.0.0.1:") for port in service.get("ports", []))
    assert "POSTGRES_PASSWORD: ${POSTGRES_PASSWORD:?" in text
    wanted = set(re.findall(r"\$\{(\w+)", text))
    offered = {line.partition("=")[0] for line in (DOCKER / "env.example").read_text().splitlines() if "=" in line}
    assert wanted == offered
    assert re.search(r"^POSTGRES_PASSWORD=$", (DOCKER / "env.example").read_text(), re.M)


def test_compose_uses_commands_that_this_prefect_knows():
    for service in compose()["services"].values():
        command = service.get("command", [])
        lines = command[-1].splitlines() if command[:1] == ["sh"] else [" ".join(command)]
        for line in filter(None, lines):
            words = line.split()
            assert words[0] == "prefect", line
            verbs = [w for w in words[1:4] if re.fullmatch(r"[a-z-]+", w) and not w.startswith("-")]
            flags = [w for w in words if w.startswith("--")]
            if "--no-prompt" in flags:
                flags.remove("--no-prompt")
            known = help_of(verbs)
            assert all(flag in known for flag in flags), (line, flags)


def help_of(verbs: list[str]) -> str:
    """`prefect VERBS --help`, with as many of the words as are commands."""
    for count in range(len(verbs), 0, -1):
        command = [sys.executable, "-m", "prefect", *verbs[:count], "--help"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | {"COLUMNS": "200"})
        if done.returncode == 0:
            return done.stdout
    raise AssertionError(f"prefect {' '.join(verbs)} is no command")


def test_the_readme_shows_files_folders_and_profiles_that_are_here():
    [section] = re.findall(r"\n## Docker\n(.*?)\n## ", (ROOT / "README.md").read_text(), re.S)
    assert "was ever built with an engine" in section
    assert (ROOT / re.findall(r"docker build -f (\S+)", section)[0]).is_file()
    assert (DOCKER / re.findall(r"cp (\S+) \.env", section)[0]).is_file()
    services = compose()["services"]
    assert re.findall(r"docker compose exec (\S+)", section)[0] in services
    assert re.findall(r"docker compose --profile (\w+)", section) == services["worker-gpu"]["profiles"]


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


def test_the_build_context_holds_what_the_images_need_and_nothing_else(tmp_path):
    found = {str(path.relative_to(tmp_path)) for path in context(tmp_path).rglob("*") if path.is_file()}
    for name in (
        "pyproject.toml",
        "constraints.txt",
        "prefect.yaml",
        "docker/install.sh",
        "flows/report/page/report.css",
    ):
        assert name in found
    assert not [name for name in found if name.startswith(("tests/", "bench/", ".git/"))]


@pytest.mark.soak
def test_the_images_steps_give_a_longdance_that_works_for_a_user_without_rights():
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
