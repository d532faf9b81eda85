"""The README's way through Prefect: a real server, a process worker, and every deployment of prefect.yaml in turn."""

import json
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from data_catalog.connection import open_catalog
from tests.flows.conftest import FRAMES, SETTINGS, STEPS, deploy_all, prefect, worker

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Place:
    """Where one session's deployments work."""

    raw: Path
    data: Path
    runs: Path


@dataclass(frozen=True)
class Case:
    """How a deployment is run, what must then hold, and the sentence with which it fails where there is no GPU."""

    parameters: Callable[[Place], dict[str, Any]]
    holds: Callable[[Place], None]
    without_gpu: str | None = None


def built(place: Place) -> None:
    report = json.loads((place.data / "last_run.json").read_text())
    assert report["total_samples"] == report["total_clips_ok"] > 0


def trained(run: str) -> Callable[[Place], None]:
    def holds(place: Place) -> None:
        assert (place.runs / run / "checkpoints" / f"step-{STEPS:08d}").is_dir()
        with open_catalog(place.data / "catalog.duckdb", read_only=True) as con:
            assert ("finished", STEPS) in con.execute("SELECT status, step FROM runs").fetchall()

    return holds


def first_clip(place: Place) -> str:
    with open_catalog(place.data / "catalog.duckdb", read_only=True) as con:
        [(clip,)] = con.execute("SELECT min(clip_id) FROM samples").fetchall()
    return str(clip)


def generated(place: Place) -> None:
    assert (place.runs / "seven.mp4").is_file()
    with open_catalog(place.data / "catalog.duckdb", read_only=True) as con:
        # No plan was named: the best one that a starter covers, which at its own seven frames is the tree.
        assert con.execute("SELECT plan FROM rollouts").fetchall() == [("tree",)]


def pruned(place: Place) -> None:
    with open_catalog(place.data / "catalog.duckdb", read_only=True) as con:
        assert ("lean",) in con.execute("SELECT version FROM versions").fetchall()


ON_GPU = SETTINGS | {"device": "cuda"}
# One line for each deployment, in an order in which each finds what it needs; a new one in prefect.yaml without a
# line here fails the test below.
CASES: dict[str, Case] = {
    "build-dataset/local": Case(
        lambda p: {
            "raw": str(p.raw), "data": str(p.data),
            "config": {"clips": {"frames": FRAMES}, "variants": {"count": 0}, "workers": 1,
                       "landmarks": {"every_frame": False}},
        },
        built,
    ),
    "train-stage/local": Case(
        lambda p: {"data": str(p.data), "run": str(p.runs / "starter"), "stage": "starter", "settings": SETTINGS},
        trained("starter"),
    ),
    "train-stage/gpu": Case(
        lambda p: {"data": str(p.data), "run": str(p.runs / "gpu"), "preset": "tiny", "settings": ON_GPU},
        trained("gpu"),
        without_gpu="A GPU was asked for (device 'cuda') and torch finds none",
    ),
    # Seven frames are the starter's own call, so that the one run there is covers the plan.
    "generate/local": Case(
        lambda p: {"request": {
            "runs": [str(p.runs / "starter")], "out": str(p.runs / "seven.mp4"), "data": str(p.data),
            "clip": first_clip(p), "frames": 7, "sampling": {"steps": 2}, "gif_mb": 0,
        }},
        generated,
    ),
    "score-and-prune/local": Case(
        lambda p: {"request": {
            "data": str(p.data), "runs": [str(p.runs / "starter")], "name": "lean",
            "policy": {"score": "random", "fraction": 0.5, "motion_strata": 2},
        }},
        pruned,
    ),
}  # fmt: skip


def offered() -> list[str]:
    """Every deployment of prefect.yaml as FLOW/NAME."""
    deployments = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    return [f"{d['entrypoint'].split('.')[-1].replace('_', '-')}/{d['name']}" for d in deployments]


def has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


@pytest.fixture(scope="module")
def place(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("deployed")
    return Place(raw, folder / "data", folder / "runs")


@pytest.fixture(scope="module")
def deployed(server: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A server with all deployments and a worker, as the README starts them."""
    env = deploy_all(server)
    with worker(env, tmp_path_factory.mktemp("worker") / "worker.log"):
        yield env


def test_every_deployment_of_prefect_yaml_is_run_here():
    assert sorted(offered()) == sorted(CASES)


@pytest.mark.parametrize("name", CASES)
def test_a_deployment_run_with_watch_completes_on_a_real_server_and_worker(name, deployed, place):
    case = CASES[name]
    given = [f"--param={k}={v if isinstance(v, str) else json.dumps(v)}" for k, v in case.parameters(place).items()]
    done = prefect("deployment", "run", name, *given, "--watch", env=deployed, check=False)
    if case.without_gpu and not has_gpu():
        assert done.returncode != 0
        assert case.without_gpu in last_failure(deployed, name)
        return
    assert done.returncode == 0, last_failure(deployed, name)
    case.holds(place)


def last_failure(env: dict[str, str], name: str) -> str:
    """The message of the newest failed run of a deployment's flow."""
    body = {"flows": {"name": {"any_": [name.split("/")[0]]}}, "sort": "START_TIME_DESC", "limit": 1}
    request = urllib.request.Request(
        f"{env['PREFECT_API_URL']}/flow_runs/filter", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        [run] = json.loads(answer.read())
    assert run["state_type"] == "FAILED", run["state"]
    return str(run["state"]["message"])


def test_the_build_leaves_its_tables_in_the_ui(deployed, place):
    if not (place.data / "last_run.json").is_file():
        pytest.skip("the deployment build-dataset/local was not run before this test")
    artifacts = json.loads(prefect("artifact", "ls", "--output", "json", env=deployed).stdout or "[]")
    assert {"clips-by-verdict", "build-counters"} <= {artifact["key"] for artifact in artifacts}
