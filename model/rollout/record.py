"""What a rollout is made of, written once; the same command continues, another one is refused."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote
from typing import Any

from data_catalog.base.files import read_json, sha256_json, write_json
from data_catalog.base.paths import RolloutFolder
from model.errors import RolloutError
from model.rollout.steps import Stretch
from model.runs.record import changes, differences


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


def check_record(
    folder: Path, identity: dict[str, Any], redo: Stretch | None = None, overwrite: bool = False
) -> RolloutRecord | None:
    """The record in `folder`, if it is to be continued; None if there is none, or it may be overwritten.

    Raises RolloutError, with every difference, if the folder holds another rollout and `overwrite` is not set; and
    for a redo of a rollout that is not finished.
    """
    path = RolloutFolder(folder).record
    record = None
    if path.is_file() and not overwrite:
        record = _read(path)
        changed = differences(record.identity, identity)
        if changed:
            raise RolloutError(
                f"{folder} holds a rollout of something else ({'; '.join(changed)}): name another --out, or add "
                f"--overwrite to start over{_way_back(record.identity, identity)}."
            )
    finished = record is not None and record.finished > len(record.redos)
    goes_on = record is not None and record.redos[-1:] == [redo]
    if redo is not None and not finished and not goes_on:
        raise RolloutError(f"The rollout in {folder} is not finished: run the command without --redo first.")
    return record


def _way_back(before: dict[str, Any], now: dict[str, Any]) -> str:
    """The options by which the rollout continues, where sampling settings alone differ: a calibration changes them."""
    changed = list(changes(before, now))
    if any(not name.startswith("sampling.") for name, _, _ in changed):
        return ""
    options = (f"--set {name.removeprefix('sampling.')}={_typed(was)}" for name, was, _ in changed)
    return f", or continue with what it had: {' '.join(options)}"


def _typed(value: Any) -> str:
    return "none" if value is None else quote(str(value))


def _read(path: Path) -> RolloutRecord:
    try:
        stored = read_json(path)
        redos = [(start, stop) for start, stop in stored["redos"]]
        return RolloutRecord(path, stored["identity"], stored["created"], redos, stored["finished"])
    except (ValueError, KeyError, TypeError) as error:
        raise RolloutError(
            f"{path} is damaged ({type(error).__name__}): put it back, or add --overwrite to start over."
        ) from error


def open_record(
    folder: Path, identity: dict[str, Any], redo: Stretch | None = None, overwrite: bool = False
) -> RolloutRecord:
    """Begin a rollout in `folder`, or continue with it, and with a redo that was killed. Raises as `check_record`."""
    record = check_record(folder, identity, redo, overwrite)
    path = RolloutFolder(folder).record
    if record is None:
        path.unlink(missing_ok=True)
        for part in (RolloutFolder(folder).latents, RolloutFolder(folder).segments):
            shutil.rmtree(part, ignore_errors=True)
        record = RolloutRecord(path, identity, datetime.now(UTC).isoformat(timespec="seconds"), [], 0)
        record._write()
    if redo is not None and record.finished > len(record.redos):
        record.redos.append(redo)
        record._write()
    return record
