"""What a rollout is made of, written once; the same command goes on, another one is refused."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from model.errors import RolloutError
from model.files import sha256_json
from model.runs import differences
from model.schedule import Stretch
from pipeline.files import read_json, write_json


@dataclass
class RolloutRecord:
    """`rollout.json` of a rollout's folder."""

    path: Path
    identity: dict[str, Any]
    created: str
    redos: list[Stretch]
    finished: int
    """How often the whole video was finished: once, and once for each redo since."""

    @property
    def rollout(self) -> str:
        """The rollout's name: what it is made of, and where it goes."""
        return sha256_json([self.identity, str(self.path.parent)])[:32]

    def finish(self) -> None:
        """Remember that all frames are there, with every redo so far."""
        self.finished = len(self.redos) + 1
        self._write()

    def _write(self) -> None:
        content = {"identity": self.identity, "created": self.created, "redos": self.redos, "finished": self.finished}
        write_json(self.path, content)


def open_record(
    folder: Path, identity: dict[str, Any], redo: Stretch | None = None, overwrite: bool = False
) -> RolloutRecord:
    """Begin a rollout in `folder`, or go on with it; a redo that was killed goes on, too.

    Raises RolloutError, with every difference, if the folder holds another rollout and `overwrite` is not set; and
    for a redo of a rollout that is not finished.
    """
    path = folder / "rollout.json"
    if overwrite and path.is_file():
        path.unlink()
        for part in ("latents", "segments"):
            shutil.rmtree(folder / part, ignore_errors=True)
    if path.is_file():
        stored = read_json(path)
        record = RolloutRecord(
            path, stored["identity"], stored["created"], [(a, b) for a, b in stored["redos"]], stored["finished"]
        )
        changed = differences(record.identity, identity)
        if changed:
            raise RolloutError(
                f"{folder} holds a rollout of something else ({'; '.join(changed)}): name another --out, or add "
                "--overwrite to begin anew."
            )
    else:
        record = RolloutRecord(path, identity, datetime.now(UTC).isoformat(timespec="seconds"), [], 0)
        record._write()
    if redo is not None:
        _add_redo(record, redo)
    return record


def _add_redo(record: RolloutRecord, redo: Stretch) -> None:
    unfinished = record.finished <= len(record.redos)
    if unfinished and record.redos and record.redos[-1] == redo:
        return
    if unfinished:
        raise RolloutError(
            f"The rollout in {record.path.parent} is not finished: run the command without --redo first."
        )
    record.redos.append(redo)
    record._write()
