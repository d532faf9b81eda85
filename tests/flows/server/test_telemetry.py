"""Nothing on any path of the docs reports to its maker."""

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from flows.server.telemetry import OFF
from tests.flows.server.test_choose import USES

ROOT = Path(__file__).parents[3]
PREFECTS = ("DO_NOT_TRACK", "PREFECT_SERVER_ANALYTICS_ENABLED")
COMMANDS = [
    *([name, *words] for name, words in USES.items()),
    ["synth", "OUT"], ["sql", "SELECT 1", "--data", "DATA"], ["verify", "--data", "DATA"], ["settings"], ["doctor"],
    ["catalog", "rebuild", "--data", "DATA"], ["versions", "--data", "DATA"], ["diff", "a", "b", "--data", "DATA"],
    ["plan"], ["calibrate", "--run", "RUN"], ["warp", "--pose", "p.npy", "--out", "o.mp4"],
    ["report", "--data", "DATA"],
    ["serve", "--data", "DATA"], ["export", "--run", "RUN", "--out", "OUT"], ["pose-model"],
]  # fmt: skip
SAYS = "import os; print([os.environ.get(name) for name in {names}])"


def clean(home: Path) -> dict[str, str]:
    """An environment that says nothing about reporting, and does not look like a build server's, which is spared."""
    names = {*OFF, "CI", "GITHUB_ACTIONS"}
    return {k: v for k, v in os.environ.items() if k not in names and not k.startswith("PREFECT_")} | {
        "HOME": str(home), "PREFECT_HOME": str(home / ".prefect"),
    }  # fmt: skip


def in_a_terminal(words: list[str], env: dict[str, str], folder: Path) -> str:
    """What a command prints on a terminal, where alone Prefect's client reports that it was imported."""
    ours, its = pty.openpty()
    with subprocess.Popen(words, env=env, cwd=folder, stdin=its, stdout=its, stderr=its) as process:
        os.close(its)
        said = b""
        try:
            while part := os.read(ours, 65536):
                said += part
        except OSError:  # how Linux says that the other end is closed
            pass
        process.wait(120)
    os.close(ours)
    return said.decode(errors="replace")


def test_prefect_would_report_and_does_not_once_longdance_is_imported(tmp_path):
    """The first part is what makes the second one say something."""
    asks = "from prefect._internal.analytics import is_telemetry_enabled as on; "
    asks += "from prefect.settings import get_current_settings as now; "
    asks += "print('reports', on(), now().server.analytics_enabled)"
    offline = clean(tmp_path) | {"https_proxy": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9"}
    alone = in_a_terminal([sys.executable, "-c", asks], offline, tmp_path)
    assert "reports True True" in alone
    after = in_a_terminal([sys.executable, "-c", f"import flows; {asks}"], offline, ROOT)
    assert "reports False False" in after
    other = offline | {"PREFECT_HOME": str(tmp_path / "other")}  # it is said once in each
    assert "anonymous usage data" in alone
    assert "anonymous usage data" not in in_a_terminal([sys.executable, "-m", "flows.cli", "doctor"], other, ROOT)


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
def test_every_command_is_told_before_it_does_anything_and_so_is_whatever_it_starts(words, tmp_path):
    """Prefect notes in its home that it reported, or said so."""
    done = in_a_terminal([sys.executable, "-m", "flows.cli", *words, "--help"], clean(tmp_path), tmp_path)
    assert "Usage:" in done
    assert "telemetry" not in done.lower()
    code = f"import runpy, sys; sys.argv = {['longdance', *words, '--help']}\n"
    code += "try: runpy.run_module('flows.cli', run_name='__main__')\nexcept SystemExit: pass\n"
    code += SAYS.format(names=list(OFF))
    told = subprocess.run([sys.executable, "-c", code], env=clean(tmp_path), capture_output=True, text=True, check=True)
    assert told.stdout.splitlines()[-1] == str(list(OFF.values()))


def test_what_a_user_has_set_stays(tmp_path):
    code = f"import flows; {SAYS.format(names=list(OFF))}"
    env = clean(tmp_path) | dict.fromkeys(OFF, "mine")
    told = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == str(["mine"] * len(OFF))


def test_every_terminal_of_the_docs_that_starts_prefect_is_told_first():
    text = (ROOT / "docs" / "operations.md").read_text()
    blocks = [block for block in re.findall(r"```sh\n(.*?)```", text, re.S) if re.search(r"^prefect ", block, re.M)]
    starts = [block for block in blocks if "server start" in block or "worker start" in block]
    assert len(starts) == 2
    for block in starts:
        assert block.startswith("export DO_NOT_TRACK=1")
    assert starts[0].splitlines()[0] == "export " + " ".join(f"{name}={OFF[name]}" for name in PREFECTS)


@pytest.mark.parametrize("name", ["Dockerfile.cpu", "Dockerfile.cuda"])
def test_the_images_and_the_makefile_are_told(name):
    text = (ROOT / "docker" / name).read_text()
    assert [f"{one}={value}" in text for one, value in OFF.items()] == [True] * len(OFF)
    make = (ROOT / "Makefile").read_text()
    assert [f"export {one} := {OFF[one]}" in make for one in PREFECTS] == [True, True]


def test_every_service_of_compose_that_runs_prefect_and_every_deployment_is_told():
    services = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())["services"]
    ours = {name: one["environment"] for name, one in services.items() if name != "postgres"}
    assert set(ours) == {"server", "deploy", "worker", "worker-gpu"}
    for environment in ours.values():
        assert {one: environment[one] for one in PREFECTS} == {one: OFF[one] for one in PREFECTS}
    pool = yaml.safe_load((ROOT / "prefect.yaml").read_text())["definitions"]["pool"]
    assert pool["job_variables"]["env"]["DO_NOT_TRACK"] == OFF["DO_NOT_TRACK"]


def test_every_terminal_of_the_docs_that_starts_ray_is_told_first():
    text = (ROOT / "docs" / "operations.md").read_text()
    blocks = [block for block in re.findall(r"```sh\n(.*?)```", text, re.S) if re.search(r"^ray start", block, re.M)]
    assert blocks
    assert all(block.startswith(f"export RAY_USAGE_STATS_ENABLED={OFF['RAY_USAGE_STATS_ENABLED']}") for block in blocks)
