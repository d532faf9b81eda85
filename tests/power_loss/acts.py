"""`python -m tests.power_loss.acts FOLDER VIDEO`: every commit point once, under the recorder.

Operations on FOLDER/run are recorded; FOLDER/run/NAME is what a commit point leaves.
"""

import shutil
import sys
from pathlib import Path

from data_catalog.base.files import sha256_file
from tests.power_loss.build_points import BUILD_POINTS
from tests.power_loss.model_points import MODEL_POINTS
from tests.power_loss.point import CommitPoint, World, acknowledge_in

POINTS: tuple[CommitPoint, ...] = BUILD_POINTS + MODEL_POINTS
BEGIN = "begin"


def main(folder: Path, video: Path) -> None:
    """All of them, one after the other."""
    world = World(video, sha256_file(video))
    for point in POINTS:
        run = folder / "run" / point.name
        if point.after:
            shutil.copytree(folder / "run" / point.after, run, copy_function=_copy)
        else:
            run.mkdir(parents=True)
        done = acknowledge_in(run)
        done(BEGIN)
        point.act(run, world, done)


def _copy(source: str, target: str) -> None:
    """By writes, which the recorder understands."""
    Path(target).write_bytes(Path(source).read_bytes())


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
