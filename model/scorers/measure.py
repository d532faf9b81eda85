"""Running a scorer: in batches, each in a process with a time limit, each row kept as soon as it is there."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_catalog.base.disk import disk_errors
from data_catalog.base.paths import DataFolder
from data_catalog.connection import open_catalog
from data_catalog.views import check_measured
from model.errors import DataError, ScorerError
from model.scorers.child import SETTINGS
from model.scorers.clips import ClipToScore, clips_to_score, content_of
from model.scorers.entrypoint import Entrypoint, find_entrypoint
from model.scorers.rows import NAME, column_name, read_rows
from model.scorers.store import stored_measures, write_measure, write_scorer

BATCH, TIMEOUT_S = 256, 600.0
ALL_AT_ONCE = ("embeddings", "learnt")


@dataclass(frozen=True)
class ScorerCall:
    """How a scorer is to be run."""

    name: str
    entrypoint: str
    settings: dict[str, Any]
    batch: int = BATCH
    """Clips of one process; 0: all of them, for a scorer that compares them."""
    timeout_s: float = TIMEOUT_S


@dataclass(frozen=True)
class ScorerResult:
    """What a run did."""

    name: str
    columns: tuple[str, ...]
    made: int
    there: int
    said: str
    """What the scorer wrote on standard error, at most its end."""
    wrong: tuple[str, ...]
    """Sentences about what could not be kept; empty if all is measured."""


def checked_call(
    name: str, entrypoint: str, settings: dict[str, Any], batch: int | None, timeout_s: float
) -> ScorerCall:
    """A call whose name can be a column. Raises ScorerError."""
    if not NAME.fullmatch(name):
        raise ScorerError(f"The scorer's name {name!r} names a column: use lower-case letters, digits, underscores.")
    module, _, function = entrypoint.rpartition(":")
    if module.endswith(".py"):  # it is called again from other folders
        entrypoint = f"{Path(module).expanduser().resolve()}:{function}"
    if batch is None:
        batch = 0 if entrypoint in ALL_AT_ONCE else BATCH
    return ScorerCall(name, entrypoint, settings, batch, timeout_s)


def plain_settings(given: dict[str, Any]) -> dict[str, Any]:
    """Settings as they were typed, numbers as numbers."""
    found = {}
    for name, value in given.items():
        try:
            found[name] = json.loads(value) if isinstance(value, str) else value
        except ValueError:
            found[name] = value
    return found


def measure(
    data: Path, call: ScorerCall, progress: Callable[[int, int], None] = lambda done, total: None
) -> ScorerResult:
    """Measure every stored clip that this version of the scorer has not measured yet.

    What goes wrong in a batch costs that batch, or the rows that are wrong: all others are kept. Raises ScorerError
    where there is no such scorer, DataError where there is nothing to measure, ThresholdError, before anything is kept,
    for a column that `clips` has already.
    """
    found = find_entrypoint(call.entrypoint)
    clips = clips_to_score(data, call.name)
    content = content_of(clips, call.batch == 0)
    version = found.version(call.settings)
    stored = stored_measures(data, call.name, version)
    there = {clip: one for clip, one in stored.items() if one["content"] == content.get(clip)}
    waiting = [clip for clip in clips if clip.sample.clip_id not in there]
    columns = {name for one in there.values() for name in one["columns"]}
    made, said, wrong = 0, "", []
    size = call.batch or max(1, len(waiting))
    for start in range(0, len(waiting), size):
        batch = waiting[start : start + size]
        answer, said_now, problem = _run(data, found, call, batch)
        rows = read_rows(answer, [clip.sample.clip_id for clip in batch])
        said = (said + said_now)[-2000:]
        wrong += [problem] if problem else rows.wrong
        if not columns:
            _check_columns(data, call.name, {name for values in rows.values.values() for name in values})
        for clip, values in rows.values.items():
            if columns and set(values) != columns:
                wrong.append(f"gave the columns {', '.join(sorted(values))} after {', '.join(sorted(columns))}")
                break
            columns |= set(values)
            with disk_errors(data, DataError, "it continues with what is not measured"):
                write_measure(data, call.name, version, clip, content[clip], values)
            made += 1
        progress(start + len(batch), len(waiting))
    if made or there:
        about = {"with": call.entrypoint, "settings": call.settings, "batch": call.batch, "timeout_s": call.timeout_s}
        write_scorer(data, call.name, {**about, "version": version})
    names = tuple(sorted(column_name(call.name, column) for column in columns))
    return ScorerResult(call.name, names, made, len(there), said, tuple(dict.fromkeys(wrong)))


def _check_columns(data: Path, scorer: str, columns: set[str]) -> None:
    with open_catalog(DataFolder(data).catalog, read_only=True) as con:
        check_measured(con, scorer, {column_name(scorer, column) for column in columns})


def _run(data: Path, found: Entrypoint, call: ScorerCall, batch: Sequence[ClipToScore]) -> tuple[str, str, str]:
    """(its rows, what it wrote on standard error, a sentence where it did not end well)."""
    with tempfile.TemporaryDirectory(prefix="longdance-") as name:
        folder = Path(name)
        asked, rows, errors = folder / "clips.jsonl", folder / "rows.jsonl", folder / "errors.txt"
        asked.write_text("".join(json.dumps(clip.told(folder, data)) + "\n" for clip in batch))
        environment = {**os.environ, SETTINGS: json.dumps(call.settings)}
        with asked.open("rb") as stdin, rows.open("wb") as stdout, errors.open("wb") as stderr:
            try:
                child = subprocess.Popen(found.command, stdin=stdin, stdout=stdout, stderr=stderr, env=environment,
                                         start_new_session=True)  # fmt: skip
            except OSError as error:
                raise ScorerError(f"--with {call.entrypoint!r} cannot be started ({error.strerror}).") from error
            problem = _ended(child, call.timeout_s, len(batch))
        said = errors.read_text("utf-8", "replace")
        if problem and not problem.startswith("took") and said.strip():
            problem += f": {said.strip().splitlines()[-1][:200]}"
        return rows.read_text("utf-8", "replace"), said[-2000:], problem


def _ended(child: subprocess.Popen[bytes], timeout_s: float, clips: int) -> str:
    """Wait for its end, at most so long; a sentence where it was not a good one. Its own children go with it."""
    try:
        code = child.wait(timeout_s)
    except subprocess.TimeoutExpired:
        return f"took longer than {timeout_s:g} s for {clips} clips and was stopped: raise --timeout, or lower --batch"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    if code < 0:
        return f"was ended by signal {-code}"
    return f"ended with exit code {code}" if code else ""


def remembered_call(name: str, record: dict[str, Any]) -> ScorerCall:
    """How a scorer was called last."""
    return ScorerCall(name, record["with"], record["settings"], record["batch"], record["timeout_s"])
