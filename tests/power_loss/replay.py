"""Every commit point recorded once, then opened as each power cut may leave it."""

import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from data_catalog.base.files import sha256_file
from tests.power_loss.acts import BEGIN
from tests.power_loss.disk import Disk, State, Tree, read_tree, write_tree
from tests.power_loss.point import CommitPoint, World
from tests.power_loss.record import Operation, record


@dataclass(frozen=True)
class Recording:
    """What one commit point did, and the folder as it was before and when nothing happened."""

    point: CommitPoint
    before: Tree
    operations: tuple[Operation, ...]
    finished: Path
    world: World

    def without(self, number: int) -> "Recording":
        """The same, had the program left one operation out."""
        left = self.operations[:number] + self.operations[number + 1 :]
        return Recording(self.point, self.before, left, self.finished, self.world)


@dataclass(frozen=True)
class Violation:
    """A state in which something was lost, believed wrongly, or ended in an error."""

    state: State
    error: str

    def __str__(self) -> str:
        return f"{self.state}: {self.error}"


def record_all(points: Sequence[CommitPoint], folder: Path, video: Path) -> dict[str, Recording]:
    """Run `acts` under strace; by name. Fails where the operations do not give the folders that there really are."""
    command = [sys.executable, "-m", "tests.power_loss.acts", str(folder), str(video)]
    operations = record(command, folder / "run", folder / "strace.txt")
    (folder / "strace.txt").unlink()
    world = World(video, sha256_file(video))
    found = {}
    for point in points:
        recorded = _of(point, operations)
        finished = folder / "run" / point.name
        before = read_tree(folder / "run" / point.after) if point.after else {}
        found[point.name] = Recording(point, before, recorded, finished, world)
        replayed = Disk(found[point.name].before, recorded).after_all()
        there = read_tree(finished)
        wrong = sorted(path for path in {*replayed, *there} if replayed.get(path, 0) != there.get(path, 0))
        assert not wrong, f"{point.name}: the recorded operations do not make {wrong}"
    return found


def _of(point: CommitPoint, operations: Sequence[Operation]) -> tuple[Operation, ...]:
    """A commit point's own operations, by paths within its folder."""
    mine = [one for one in operations if one.path == point.name or one.path.startswith(f"{point.name}/")]
    begin = next(number for number, one in enumerate(mine) if one.kind == "ack" and one.to == BEGIN)
    cut = len(point.name) + 1
    within = [replace(one, path=one.path[cut:]) for one in mine[begin + 1 :]]
    return tuple(replace(one, to=one.to[cut:]) if one.kind == "rename" else one for one in within)


def replay(
    recording: Recording, folder: Path, *, singles: int | None = None, most: int | None = None
) -> tuple[int, list[Violation]]:
    """(states that were tried, the violations). most: at most so many, evenly."""
    states = list(Disk(recording.before, recording.operations).states(singles))
    if most is not None and len(states) > most:
        states = [states[round(number * (len(states) - 1) / (most - 1))] for number in range(most)]
    tried = [(state, _tried(recording, state, folder)) for state in states]
    return len(states), [Violation(state, error) for state, error in tried if error]


def first_violation_without(recording: Recording, number: int, folder: Path, singles: int) -> Violation | None:
    """What is found first if the program leaves one operation out; None: nobody would notice."""
    mutated = recording.without(number)
    for state in Disk(mutated.before, mutated.operations).states(singles):
        if state.after >= number and (error := _tried(mutated, state, folder)):
            return Violation(state, error)
    return None


def _tried(recording: Recording, state: State, folder: Path) -> str | None:
    """What went wrong with one state, if anything did."""
    place = folder / "state"
    shutil.rmtree(place, ignore_errors=True)
    write_tree(state.tree, place)
    try:
        recording.point.check(place, recording.finished, state.acknowledged, recording.world)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None
