"""What a commit point is: how it is reached, what it does, and what must hold of whatever a power cut leaves of it."""

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.pipeline.videos import ffmpeg
from tests.power_loss.record import ACK

Acknowledge = Callable[[str], None]
"""Told by what has returned as finished: from then on it may not be lost."""


@dataclass(frozen=True)
class World:
    """What commit points are made from and never write to: one video and its id."""

    video: Path
    source_id: str


class CommitPoint(ABC):
    """One kind of thing that longdance finishes."""

    name: str
    after: str | None = None
    """The commit point that leaves what this one begins with; None: an empty folder."""

    @abstractmethod
    def act(self, folder: Path, world: World, done: Acknowledge) -> None:
        """The product's own code, from call to call."""

    @abstractmethod
    def check(self, folder: Path, finished: Path, acknowledged: tuple[str, ...], world: World) -> None:
        """Open what was left and go on. Whatever it raises is a violation.

        finished: the folder as it is when nothing happened.
        """


def acknowledge_in(folder: Path) -> Acknowledge:
    """Tell it to the recorder: a folder that is not there is removed."""

    def done(what: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            (folder / f"{ACK}{what}").rmdir()

    return done


def same_files(folder: Path, finished: Path, part: str, *, all_of_them: bool) -> None:
    """What lies in a part of the folder has the bytes that it has in the finished one; temps do not count."""
    for path in sorted((finished / part).rglob("*")):
        mine = folder / path.relative_to(finished)
        if path.is_file() and (all_of_them or mine.exists()):
            assert mine.read_bytes() == path.read_bytes(), f"{path.relative_to(finished)} has other bytes"


def draw_video(path: Path) -> None:
    """A video for `StandingDancer`: grain, or its flat parts would be taken for bars and cut off."""
    picture = "testsrc=s=134x240:r=25,noise=alls=20:allf=t"
    ffmpeg("-f", "lavfi", "-i", picture, "-frames:v", "55", "-pix_fmt", "yuv420p", "-c:v", "libx264", str(path))
