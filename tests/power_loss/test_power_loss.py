"""A power cut at any moment: no wrong byte is believed, nothing finished is lost, and the same command goes on.

The operations are recorded by strace from the product's own code; `disk.py` says what may be left of them. The quick
form tries some states of each commit point, `make soak` all of them, and each mutation.
"""

import shutil
from pathlib import Path

import pytest

from tests.power_loss.acts import POINTS
from tests.power_loss.disk import Disk
from tests.power_loss.point import draw_video
from tests.power_loss.record import Operation
from tests.power_loss.replay import Recording, first_violation_without, record_all, replay

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
NAMES = [point.name for point in POINTS]
QUICK = ["shards", "rollout window"]
KINDS = ("file sync", "folder sync", "rename")


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Recording]:
    """Every commit point once, recorded."""
    folder = tmp_path_factory.mktemp("power")
    draw_video(folder / "dancer.mp4")
    return record_all(POINTS, folder, folder / "dancer.mp4")


def kind_of(operation: Operation, recording: Recording) -> str | None:
    """Which of KINDS an operation is, if it is one of ours: DuckDB's own are not left out."""
    if ".duckdb" in operation.path and "needs-rebuild" not in operation.path:
        return None
    if operation.kind == "sync":
        folder = recording.finished / operation.path
        is_folder = folder.is_dir() or (".tmp-" in operation.path and not Path(operation.path).suffix)
        return "folder sync" if is_folder else "file sync"
    return "rename" if operation.kind == "rename" else None


def mutations(recording: Recording, kind: str) -> list[int]:
    """The operations of a kind that could be left out."""
    return [number for number, one in enumerate(recording.operations) if kind_of(one, recording) == kind]


def is_noticed(recording: Recording, number: int, folder: Path) -> bool:
    """Whether leaving an operation out is found by replaying what is left."""
    try:
        return first_violation_without(recording, number, folder, singles=2) is not None
    except (KeyError, AssertionError):  # what came after it makes no sense without it
        return True


def all_are_noticed(recording: Recording, numbers: list[int], folder: Path) -> bool:
    """Whether leaving all these operations out is found by replaying what is left."""
    for number in reversed(numbers[1:]):
        recording = recording.without(number)
    return is_noticed(recording, numbers[0], folder)


@pytest.mark.parametrize("name", NAMES)
def test_some_states_that_a_power_cut_may_leave_are_opened_and_gone_on_with(
    name: str, recordings: dict[str, Recording], tmp_path: Path
) -> None:
    tried, violations = replay(recordings[name], tmp_path, singles=2, most=4)
    assert tried == 4
    assert not violations, "\n".join(map(str, violations))


@pytest.mark.parametrize("name", QUICK)
@pytest.mark.parametrize("kind", KINDS)
def test_the_same_code_without_one_sync_or_one_rename_is_found_out(
    kind: str, name: str, recordings: dict[str, Recording], tmp_path: Path
) -> None:
    recording = recordings[name]
    last = mutations(recording, kind)[-1]
    assert is_noticed(recording, last, tmp_path), str(recording.operations[last])


@pytest.mark.soak
@pytest.mark.parametrize("name", NAMES)
def test_every_state_that_a_power_cut_may_leave_is_opened_and_gone_on_with(
    name: str, recordings: dict[str, Recording], tmp_path: Path
) -> None:
    recording = recordings[name]
    tried, violations = replay(recording, tmp_path)
    print(f"\n{name}: {len(recording.operations)} operations, {tried} states, {len(violations)} violations")
    assert not violations, "\n".join(map(str, violations))


@pytest.mark.soak
@pytest.mark.parametrize("name", NAMES)
def test_of_every_kind_of_step_there_is_none_that_could_be_left_out(
    name: str, recordings: dict[str, Recording], tmp_path: Path
) -> None:
    recording = recordings[name]
    for kind in KINDS:
        found = mutations(recording, kind)
        unnoticed = [number for number in found if not is_noticed(recording, number, tmp_path)]
        for number in unnoticed:
            print(f"\n{name}: not needed in this recording: {recording.operations[number]}", end="")
        print(f"\n{name}: {len(found) - len(unnoticed)} of {len(found)} left-out {kind}s found")
        # Where each has another right behind it, as the catalog's mark and its rename have, none alone is missed.
        assert len(unnoticed) < len(found) or not found or all_are_noticed(recording, found, tmp_path), f"no {kind}"


def test_the_disk_keeps_what_was_synced_and_may_lose_all_else() -> None:
    operations = [
        Operation("create", "a.tmp"),
        Operation("write", "a.tmp", data=b"new"),
        Operation("sync", "a.tmp"),
        Operation("rename", "a.tmp", to="a"),
        Operation("ack", "", to="a"),
        Operation("sync", ""),
        Operation("create", "b"),
    ]
    states = list(Disk({"a": b"old"}, operations).states())
    assert {state.tree.get("a") for state in states} == {b"old", b"new"}
    assert {state.tree["a"] for state in states if state.after == 7} == {b"new"}
    assert any(state.acknowledged and state.tree["a"] == b"old" for state in states)
    unsynced = [one for one in operations if one != Operation("sync", "a.tmp")]
    assert {state.tree.get("a") for state in Disk({"a": b"old"}, unsynced).states()} >= {b"", b"n", b"\0\0\0"}
