"""A person's word on clips: keep or drop, with who, when and why. The file is the truth, the catalog follows."""

import logging
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, NaiveDatetime, ValidationError

from data_catalog.base.errors import LongdanceError
from data_catalog.base.files import canonical_json, write_bytes
from data_catalog.base.paths import DataFolder
from data_catalog.connection import open_catalog
from data_catalog.writes import merge_decisions

DECISIONS = ("keep", "drop", "clear")  # `clear` takes an earlier decision back: the thresholds decide again
MAX_CLIPS, MAX_TEXT = 10_000, 2_000
SPAN = ("source_id", "first_frame", "step", "frames")
_Count = Annotated[int, Field(ge=-(2**31), lt=2**31)] | None
logger = logging.getLogger(__name__)


class _Clip(BaseModel):
    """A clip that was decided on, and its stretch of the source: another crop gives it another id."""

    model_config = ConfigDict(strict=True)

    clip_id: str
    source_id: str | None
    first_frame: _Count
    step: _Count
    frames: _Count


class _Record(BaseModel):
    """What a file of decisions holds. What is not such a record is neither written nor read."""

    model_config = ConfigDict(strict=True)

    decision: Literal["keep", "drop", "clear"]
    who: str
    why: str
    decided: NaiveDatetime
    clips: list[_Clip]

    def rows(self) -> list[dict[str, Any]]:
        """Rows of `decisions`."""
        act = self.model_dump(exclude={"clips"})
        return [act | clip.model_dump() for clip in self.clips]


def decide(data: DataFolder, clip_ids: Sequence[str], decision: str, who: str, why: str) -> dict[str, Any]:
    """Write one decision on some clips down, durably; the verdict in `clips` follows at once.

    Returns:
        {"who", "decided", "clips": {clip_id: {"verdict", "reason", "reasons", "decision"}}} as they are now.

    Raises:
        LongdanceError: no such decision or clip, or a clip that cannot be kept because it has no video.
    """
    _check(clip_ids, decision, who, why)
    wanted = sorted(set(clip_ids))
    with open_catalog(data.catalog, read_only=True) as con:
        rows = con.execute(
            f"""SELECT clip_id, {", ".join(SPAN)}, coalesce(align_reason, encode_error) FROM clips
                WHERE clip_id IN (SELECT unnest($1)) ORDER BY clip_id""",
            [wanted],
        ).fetchall()
        [(newest,)] = con.execute("SELECT max(decided) FROM decisions").fetchall()
    if missing := sorted(set(wanted) - {row[0] for row in rows}):
        raise LongdanceError(f"There is no clip {missing[0]!r} in the data set {data.root}: name one of `clips`.")
    for clip_id, *_, hopeless in rows:
        if hopeless and decision == "keep":
            raise LongdanceError(f"Clip {clip_id} cannot be kept: it has no picture to store ({hopeless}).")
    record: dict[str, Any] = {
        "decision": decision,
        "who": who,
        "why": why,
        "decided": _after(newest).isoformat(),
        "clips": [{"clip_id": row[0], **dict(zip(SPAN, row[1:5]))} for row in rows],
    }
    name, text = f"{record['decided'].replace(':', '')}-{uuid.uuid4().hex[:8]}.json", canonical_json(record)
    new = _Record.model_validate_json(text)  # before it is written: a file that no catalog takes would stay for ever
    write_bytes(data.decisions / name, text + b"\n")
    with open_catalog(data.catalog) as con:
        merge_decisions(con, new.rows())
        answer = con.execute(
            "SELECT clip_id, verdict, reason, reasons, decision FROM clips WHERE clip_id IN (SELECT unnest($1))",
            [wanted],
        ).fetchall()
    clips = {row[0]: dict(zip(("verdict", "reason", "reasons", "decision"), row[1:])) for row in answer}
    return {"who": who, "decided": record["decided"], "clips": clips}


def _check(clip_ids: Sequence[str], decision: str, who: str, why: str) -> None:
    if decision not in DECISIONS:
        raise LongdanceError(f"The decision is {decision!r}: expected one of {', '.join(DECISIONS)}.")
    if not 0 < len(clip_ids) <= MAX_CLIPS:
        raise LongdanceError(f"{len(clip_ids)} clips were given: decide on 1 to {MAX_CLIPS} at a time.")
    check_text("name", who)
    check_text("reason", why)
    if not who.strip():
        raise LongdanceError("A decision needs a name: give one with --who.")


def check_text(what: str, text: str) -> None:
    """Raise LongdanceError unless a name or a reason can be kept: of limited length, and no half of a character."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise LongdanceError(
            f"The {what} {text[:100]!a} is not text in UTF-8: write it in whole characters."
        ) from error
    if len(text) > MAX_TEXT:
        raise LongdanceError(f"The {what} has {len(text)} characters: at most {MAX_TEXT} are kept.")


def _after(newest: datetime | None) -> datetime:
    """Now in UTC, but after the newest decision even where the clock went back."""
    now = datetime.now(UTC).replace(tzinfo=None)
    return now if newest is None else max(now, newest + timedelta(microseconds=1))


def recorded(data: DataFolder) -> list[dict[str, Any]]:
    """Rows of `decisions` from the files on disk; what is not a record is passed over with a warning."""
    rows: list[dict[str, Any]] = []
    paths = sorted(data.decisions.glob("*.json")) if data.decisions.is_dir() else []
    for path in paths:
        if path.name.startswith("."):  # half-written by a killed process: it never counted
            continue
        rows += _readable(path)
    return rows


def _readable(path: Path) -> list[dict[str, Any]]:
    try:
        return _Record.model_validate_json(path.read_bytes()).rows()
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        logger.warning(
            "%s is not a record of a decision and is passed over: %s", path, f"{where} {first['msg']}".strip()
        )
        return []


def merge_recorded(data: DataFolder) -> int:
    """Put marks into the catalog whose server was killed before it could; how many rows."""
    rows = recorded(data)
    with open_catalog(data.catalog, read_only=True) as con:
        known = set(con.execute("SELECT clip_id, decided FROM decisions").fetchall())
    fresh = [row for row in rows if (row["clip_id"], row["decided"]) not in known]
    if fresh:
        with open_catalog(data.catalog) as con:
            merge_decisions(con, fresh)
    return len(fresh)
