"""Everything that the page shows, as one JSON value: rows of the catalog, curves, and which pictures there are."""

import base64
import hashlib
import importlib.metadata
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from data_catalog.arrow import Row
from data_catalog.base.paths import DataFolder
from data_catalog.connection import open_catalog
from data_catalog.report_rows import TEXTS, clip_table, loss_columns, overview, version_marks
from data_catalog.views import stored_thresholds
from flows.report.columns import coded, kind_of, number_column, packed
from flows.report.curves import drift_curves, newest_picture, plain_values, training_curves
from model.drift.table import report_table, why_empty

POSTER, PREVIEW, FRAME, STORED = 1, 2, 4, 8  # what a clip has, as bits
MEDIA = {"posters": POSTER, "previews": PREVIEW, "frames": FRAME}
MAX_VIDEO_BYTES = 256 << 20


def page_data(data: DataFolder, mode: str, media: str, has: Callable[[pa.Table], np.ndarray]) -> Row:
    """The page's data.

    Args:
        mode: `file` or `serve`.
        media: URL of the pictures, relative to the page, with a slash at its end.
        has: From the table of clips to (clips,) uint8, what there is of each: POSTER, PREVIEW, FRAME, STORED.
    """
    with open_catalog(data.catalog, read_only=True) as con:
        clips, rows = clip_table(con), overview(con)
        losses, thresholds = loss_columns(con), stored_thresholds(con)
        marks = {row["version"]: version_marks(con, row["version"], row["parent"]) for row in rows["versions"]}
    index = {row["source_id"]: i for i, row in enumerate(rows["sources"])}
    ids = clips["clip_id"].to_pylist()
    places = run_folders(rows["checkpoints"])
    return {
        "mode": mode,
        "media": media,
        "title": data.root.name,
        "root": str(data.root),
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "longdance": importlib.metadata.version("longdance"),
        "totals": rows["shards"][0],
        "sources": _columns(rows["sources"]),
        "clips": clip_columns(clips, losses, index, has(clips)),
        "thresholds": [dict(zip(("reason", "score", "op", "value", "rank"), row)) for row in thresholds],
        "decisions": [row for row in rows["decisions"] if row["clip_id"] in set(ids)] if rows["decisions"] else [],
        "versions": [row | {"marks": _marks(marks[row["version"]], ids)} for row in map(_parsed, rows["versions"])],
        "runs": [run_entry(row, places.get(row["run"])) for row in map(_parsed, rows["runs"])],
        "checkpoints": rows["checkpoints"],
        "rollouts": [rollout_entry(row) for row in map(_parsed, rows["rollouts"])],
    }


def clip_columns(clips: pa.Table, losses: list[Row], sources: Mapping[str, int], has: np.ndarray) -> Row:
    """The clips, a column each: texts as numbers of a short list, numbers as doubles."""
    texts = {name: clips[name].to_pylist() for name in TEXTS}
    reasons = clips["reasons"].to_pylist()
    columns = []
    for name in clips.column_names:
        if name.startswith("loss_") and name[5:].isdigit():
            columns.append(number_column(name, clips[name], "loss", loss_label(losses[int(name[5:])])))
        elif pa.types.is_floating(clips.schema.field(name).type):
            columns.append(number_column(name, clips[name], "borderline" if name == "borderline" else kind_of(name)))
    names = sorted({reason for listed in reasons for reason in listed})
    number = {name: i for i, name in enumerate(names)}
    coded_texts = {name: coded(texts[name]) for name in TEXTS if name not in ("clip_id", "source_id")}
    return {
        "ids": texts["clip_id"],
        "source": packed(np.array([sources.get(source, -1) for source in texts["source_id"]], np.int32)),
        "texts": {name: {"names": names_, "values": values} for name, (names_, values) in coded_texts.items()},
        "reasons": {"names": names, "values": [[number[reason] for reason in listed] for listed in reasons]},
        "has": packed(has.astype(np.uint8)),
        "numbers": columns,
    }


def loss_label(loss: Row) -> str:
    """A column of the ledger in words; of each hash its first digits."""
    run, checkpoint, bank = (str(loss[name])[:8] for name in ("run", "checkpoint", "bank"))
    return f"loss: {loss['stage']}, run {run}, checkpoint {checkpoint}, bank {bank}"


def _columns(rows: list[Row]) -> Row:
    names = rows[0] if rows else ()
    return {"count": len(rows), **{name: [row[name] for row in rows] for name in names}}


def _marks(marks: Mapping[str, int], ids: list[str]) -> str:
    return packed(np.array([marks.get(clip_id, 0) for clip_id in ids], np.uint8))


def _parsed(row: Row) -> Row:
    """A row whose JSON columns are values."""
    return {k: _value(v) if k in ("policy", "config", "runs", "metrics") else v for k, v in row.items()}


def _value(text: Any) -> Any:
    try:
        return json.loads(text, parse_constant=lambda _: None) if isinstance(text, str) else text
    except ValueError:
        return text


def run_folders(checkpoints: list[Row]) -> dict[str, Path]:
    """Folder of each run, from where its checkpoints lie (RUN/checkpoints/step-N)."""
    return {row["run"]: Path(row["path"]).parent.parent for row in checkpoints if row["path"]}


def run_entry(row: Row, folder: Path | None) -> Row:
    """A run with its curves and its newest sample picture."""
    picture = newest_picture(folder) if folder else None
    shown = "data:image/jpeg;base64," + base64.b64encode(picture).decode() if picture else None
    curves = training_curves(folder) if folder else {}
    return row | {"folder": str(folder) if folder else None, "curves": curves, "picture": shown}


def rollout_entry(row: Row) -> Row:
    """A rollout with its drift; `video` is the name of its copy among the page's pictures."""
    metrics, video = row["metrics"], rollout_video(row)
    entry = {k: v for k, v in row.items() if k != "metrics"}
    columns, rows = report_table(metrics)
    drift = {"head": columns, "rows": rows, "why": why_empty(metrics)}
    entry |= {"curves": drift_curves(metrics), "drift": drift}
    rest = {k: v for k, v in (metrics or {}).items() if k not in ("metrics", "curves", "reference")}
    entry |= {"values": plain_values(rest)}
    return entry | {"video": video[1] if video else None}


def rollout_video(row: Row) -> tuple[Path, str] | None:
    """(file, name of its copy for the page) of a rollout whose video is there and can be shown."""
    path = Path(row["path"] or "")
    if path.suffix.lower() not in (".mp4", ".webm", ".gif") or not path.is_file():
        return None
    stat = path.stat()
    if stat.st_size > MAX_VIDEO_BYTES:
        return None
    name = hashlib.sha256(f"{row['rollout']}/{stat.st_size}/{stat.st_mtime_ns}".encode()).hexdigest()[:24]
    return path, name + path.suffix.lower()
