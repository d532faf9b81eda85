"""Whatever comes in at a door: no crash of ours, no hang, no file opened beside the one named, memory within bounds.

A second a door, or LONGDANCE_FUZZ_S; `make soak` spends an hour over all of them, or LONGDANCE_SOAK_FUZZ_S seconds.
"""

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from data_catalog.base.files import sha256_file
from tests.fuzz.doors import DOORS, in_a_child
from tests.power_loss.build_points import merge_here, pack_here
from tests.power_loss.point import World, draw_video

NAMES = [door.name for door in DOORS]
SECONDS = float(os.environ.get("LONGDANCE_FUZZ_S", "1"))
SOAK = float(os.environ.get("LONGDANCE_SOAK_FUZZ_S", "3600"))
GROWTH_MB = 600  # a mutant may be a picture of 16 megapixels


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set to break copies of, and decoys."""
    folder = tmp_path_factory.mktemp("fuzz")
    video = folder / "dancer.mp4"
    draw_video(video)
    world = World(video, sha256_file(video))
    pack_here(folder / "template", world)
    merge_here(folder / "template", world)
    (folder / "decoys").mkdir()
    shutil.copy(video, folder / "decoys" / "secret.mp4")
    (folder / "decoys" / "secret.txt").write_text("secret")
    return folder


def assert_holds(names: Sequence[str], seconds: float, seed: int, place: Path, folder: Path) -> None:
    """Fuzz doors in a child and look at what it tells."""
    own = folder / "fuzz"
    shutil.copytree(place, own)
    done = in_a_child(names, seconds, seed, own)
    assert done.returncode == 0, f"the process ended with {done.returncode}: {done.stderr[-2000:]}"
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [told["door"] for told in lines] == list(names)
    for told in lines:
        findings = told.pop("findings")
        print(f"\n{told} {[(where, found[0]) for where, found in findings.items()]}")
        assert not findings, json.dumps(findings, indent=1).replace("\\n", "\n")
        assert told["inputs"] > 0
        assert told["opened"] == []
        assert told["grown_mb"] < GROWTH_MB


def test_mutants_of_good_inputs_are_refused_or_taken_and_nothing_else(place: Path, tmp_path: Path) -> None:
    assert_holds(NAMES, SECONDS, 1, place, tmp_path)


@pytest.mark.soak
@pytest.mark.parametrize("name", NAMES)
def test_an_hour_of_mutants_is_refused_or_taken_and_nothing_else(name: str, place: Path, tmp_path: Path) -> None:
    assert_holds([name], SOAK / len(NAMES), 2, place, tmp_path)
