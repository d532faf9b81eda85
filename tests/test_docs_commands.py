"""The commands of all pages, one after the other, in a clean home: what they say is what a stranger can type.

What a page shows and this file does not run is listed below with what does; a new line that is in neither fails.
"""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import pytest
from PIL import Image

from pipeline.synthetic.music import draw_music, random_music, write_music
from tests.test_docs import COMMANDS, PAGES, ROOT, shell_lines

SMALL = " --set encode.picture=48 --set encode.fit_frames=16"
SHORTER = {
    "longdance train choreographer": " --set steps=20 --set holdout=0.4",
    "longdance choreograph": " --set steps=3",
    "longdance train": f"{SMALL} --set steps=4 --set batch=2 --set holdout=0.4",
    "longdance encode": SMALL,
    "longdance prune": " --set policy.motion_strata=2 --set fit.steps=2",
    "longdance experiment": " --seeds 1 --steps 2",
    "longdance generate": " --steps 1 --gif-mb 0",
    "longdance calibrate": " --steps 1 --clips 1",
}
"""What is added so that a quarter of an hour is enough; nothing else differs from the page."""
QUERY = "SELECT min(clip_id) FROM samples"
FOLD = "longdance sql \"SELECT min(version) FROM versions WHERE version LIKE 'fold%'\" --data ~/dance --format csv"
MENTIONED = {
    "longdance settings COMMAND": "longdance settings train",
    "longdance settings generate": "longdance settings generate",
    "longdance --version": "longdance --version",
    "longdance train ... --dry-run": "longdance train any --data ~/dance --run ~/runs/next --dry-run" + SMALL,
    "longdance doctor --cluster": "RAY_ADDRESS=local longdance doctor --cluster",
    "longdance catalog rebuild --data FOLDER": "longdance catalog rebuild --data ~/dance",
    "longdance export --run RUN --out FOLDER": "longdance export --run ~/runs/starter --out ~/weights",
    'longdance sql "SELECT count(*) FROM clips WHERE filled > 0"': (
        'longdance sql "SELECT count(*) FROM clips WHERE filled > 0" --data ~/dance'
    ),
    "longdance diff V1 V2": f"longdance diff $({FOLD} | tail -1) lean --data ~/dance",
    'eval "$(_LONGDANCE_COMPLETE=bash_source longdance)"': 'eval "$(_LONGDANCE_COMPLETE=bash_source longdance)"',
    "python tools/demo.py --dry-run": f"cd {ROOT} && python tools/demo.py --dry-run",
    "prefect config set PREFECT_API_URL=http://127.0.0.1:4200/api": (
        "prefect config set PREFECT_API_URL=http://127.0.0.1:4200/api"
    ),
    "prefect config unset PREFECT_API_URL --yes": "prefect config unset PREFECT_API_URL --yes",
}
"""What the text between the blocks says can be typed, and how it is typed after them."""
DEMO = "tests/test_demo.py::test_the_demo_killed_at_five_random_moments_ends_with_a_playable_video_and_a_report"
DEPLOYMENTS = "tests/flows/test_deployment.py::test_a_deployment_run_with_watch_completes_on_a_real_server_and_worker"
TELEMETRY = "tests/flows/server/test_telemetry.py::test_every_terminal_of_the_docs_that_starts_prefect_is_told_first"
TORCH = "tests/test_torch_build.py::test_without_a_gpu_the_cpus_build_is_taken_and_stays_and_the_other_can_be_had"
TWO_HOSTS = "tests/two_hosts/test_shared_folder.py::test_two_hosts_build_what_one_does_and_a_killer_is_left_out"
STORED = (
    "tests/flows/test_stored_build.py::"
    "test_a_build_from_a_bucket_into_one_makes_the_same_shards_and_writes_no_credential"
)
STORED_TRAINING = "tests/flows/test_stored_training.py::test_latents_a_run_and_its_losses_come_into_the_store"
STORED_PRUNE = "tests/flows/test_stored_prune.py::test_a_prune_and_a_video_of_a_store_are_those_of_a_folder"
STORED_EXPERIMENT = "tests/flows/test_stored_prune.py::test_an_experiment_on_a_store_keeps_its_versions_there"
TRAINED = (
    "tests/two_hosts/test_training.py::test_a_training_over_two_hosts_ends_with_the_weights_of_one_whatever_was_killed"
)
FIGURES = "by hand, when its figures change: minutes to hours"
NET = "by hand: it downloads"
ENGINE = "by hand: it wants an engine; tests/test_docker.py checks what can be without one"
ELSEWHERE = {
    "make demo": DEMO,
    "make showcase": "tests/test_demo.py::test_every_step_is_a_command_that_longdance_takes",
    "make install": "tests/test_docs.py::test_make_install_prepares_what_the_demo_does_and_the_readme_names_it",
    "make test": ".ci/run",
    "make lint": ".ci/run",
    "make soak": "by hand, before a release: hours; this file is part of it",
    "make bench": FIGURES,
    "python tools/house.py": "Makefile",
    "LONGDANCE_FOOTAGE=FOLDER make test": "by hand: it wants footage, which is not part of the repository",
    ". .venv/bin/activate": "tests/test_docs_commands.py::shell",
    "pip install 'longdance[gpu]'": NET,
    "pip install 'longdance[cluster]'": NET,
    "longdance build s3://raw/videos": STORED,
    'longdance sql "SELECT count(*) FROM clips" --data s3://': STORED,
    "longdance encode --data s3://": STORED_TRAINING,
    "longdance train starter --data s3://": STORED_TRAINING,
    "longdance score --run runs/starter --data s3://": STORED_TRAINING,
    "longdance prune --run runs/starter --data s3://": STORED_PRUNE,
    "longdance generate --runs runs/any --data s3://": STORED_PRUNE,
    "longdance report --data s3://": STORED_PRUNE,
    "longdance experiment prune --run runs/starter --data s3://": STORED_EXPERIMENT,
    "longdance export data takeaway --to hf --data s3://": STORED_PRUNE,
    "longdance verify --data s3://": STORED,
    "rm -rf ~/.cache/longdance/mirrors ": STORED,
    "LONGDANCE_RUNNER=ray RAY_ADDRESS=10.0.0.1:6379 longdance train": TRAINED,
    "ray up docker/ray-up.yaml": "by hand: it wants machines; tests/test_docker.py checks it against Ray's schema",
    "kubectl apply ": "by hand: it wants a cluster",
    "ray start ": TWO_HOSTS,
    "LONGDANCE_RUNNER=ray ": TWO_HOSTS,
    ".venv/bin/pip install pre-commit": NET,
    ".venv/bin/pre-commit install": NET,
    "sh tools/torch.sh": TORCH,
    "make TORCH=cuda": NET,
    "docker": ENGINE,
    "cp env.example .env": ENGINE,
    "export DO_NOT_TRACK=1": TELEMETRY,
    "export RAY_USAGE_STATS_ENABLED=0": TELEMETRY,
    "prefect server start": "tests/flows/conftest.py::start_server",
    "prefect work-pool create local --type process": "tests/flows/conftest.py::deploy_all",
    "prefect --no-prompt deploy --all": "tests/flows/conftest.py::deploy_all",
    "prefect worker start --pool local": "tests/flows/conftest.py::worker",
    "prefect deployment run ": DEPLOYMENTS,
    "python bench/": FIGURES,
    "python -m pytest -m soak tests/power_loss -s": FIGURES,
    "python -m pytest -m soak tests/fuzz -s": FIGURES,
    "python -m pytest -m soak tests/pipeline/test_truth.py": FIGURES,
}
"""Beginnings of lines, and the test or the step of the gate that runs them, or why a person does."""
PROGRAMS = r"(?:[A-Z_]+=\S+ )*(?:\.venv/bin/)?(?:make|python|pip|prefect|pre-commit|longdance|eval|docker|sh)\s+\S"


def command_lines(text: str) -> list[str]:
    """The command lines of a Markdown page: of its `sh` blocks, and those between backquotes."""
    between = [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", text, flags=re.S))]
    return shell_lines(text) + [code for code in between if re.match(PROGRAMS, code)]


LINES = [line for page in PAGES if page.stem != "settings" for line in command_lines(page.read_text())]


def runs_here(line: str) -> bool:
    """Whether the long test below types it, or a line that begins with it."""
    return line in MENTIONED or (line.startswith("longdance ") and any(typed.startswith(line) for typed in COMMANDS))


@pytest.mark.parametrize("line", dict.fromkeys(LINES))
def test_a_command_of_a_page_is_run_here_or_listed_with_what_runs_it(line):
    assert runs_here(line) or any(line.startswith(start) for start in ELSEWHERE), f"nothing runs {line!r}"
    for script in re.findall(r"\b(?:bench|tools)/\w+\.py", line):
        code = (ROOT / script).read_text()
        assert all(f'"{option}"' in code for option in re.findall(r"--[a-z-]+", line)), line
    for target in re.findall(r"\bmake ([a-z]+)$", line):
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.M), line


def test_what_is_listed_is_still_on_a_page_and_run_where_the_list_says():
    for start, where in ELSEWHERE.items():
        assert any(line.startswith(start) for line in LINES), f"no page has {start!r} any more"
        path, _, name = where.partition("::")
        if name:
            assert f"def {name}(" in (ROOT / path).read_text(), where
        elif not where.startswith("by hand"):
            assert start in (ROOT / path).read_text(), where
    assert set(MENTIONED) <= set(LINES)


def shell(line: str, home: Path) -> subprocess.CompletedProcess[str]:
    """One line as bash runs it, in the home folder."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    env = {**os.environ, "HOME": str(home), "PATH": path, "PREFECT_HOME": str(home / ".prefect")}
    env.setdefault("XDG_CACHE_HOME", str(Path.home() / ".cache"))
    return subprocess.run(["bash", "-c", line], cwd=home, env=env, capture_output=True, text=True, check=False)


def first_picture(video: Path, picture: Path) -> None:
    with av.open(str(video)) as container:
        Image.fromarray(next(container.decode(video=0)).to_ndarray(format="rgb24")).save(picture)


def serves(line: str, home: Path) -> None:
    """`serve` runs until Ctrl-C, so it is given one."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    env = {**os.environ, "HOME": str(home), "PATH": path, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        ["bash", "-c", f"exec {line} --port 0"], cwd=home, env=env, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert "http://127.0.0.1" in process.stdout.readline()
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) in (0, 130)


@pytest.mark.soak
def test_all_commands_of_the_pages_run_in_order_in_a_clean_home(tmp_path):
    drawn = shell("longdance synth ~/videos --videos 6 --seed 3", tmp_path)
    assert drawn.returncode == 0, drawn.stderr
    first_picture(tmp_path / "videos" / "synth_3_0000.mp4", tmp_path / "me.png")
    write_music(tmp_path / "song.wav", draw_music(random_music(1), 8))
    clip = ""
    for line in COMMANDS:
        started = time.monotonic()
        typed = line.replace("CLIP_ID", clip)
        if typed.startswith("longdance serve"):
            serves(typed, tmp_path)
            continue
        added = next((more for start, more in SHORTER.items() if typed.startswith(start)), "")
        done = shell(typed + added, tmp_path)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        print(f"{time.monotonic() - started:6.1f} s  {line}", flush=True)
        if typed.startswith("longdance build"):
            found = shell(f'longdance sql "{QUERY}" --data ~/dance --format csv', tmp_path)
            clip = found.stdout.splitlines()[1]
    for line in MENTIONED.values():
        done = shell(line, tmp_path)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
