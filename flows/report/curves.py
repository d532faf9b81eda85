"""Curves for the page: what a run wrote while it trained, and what a rollout's metrics hold frame by frame."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

MAX_POINTS = 400  # of one curve: a page is narrower than a run is long
PICTURE_WIDTH = 1200

Curve = dict[str, list[float | None]]  # {"x": [...], "y": [...]}


def training_curves(run_dir: Path) -> dict[str, Curve]:
    """Curves by name from a run's `metrics.jsonl`: training and validation loss, each validation bin, and the like.

    Empty where the file is gone. Lines that are no record, as a killed process may leave, are passed over.
    """
    path = run_dir / "metrics.jsonl"
    try:
        stat = path.stat()
    except OSError:
        return {}
    return _read(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=64)
def _read(path: Path, size: int, mtime_ns: int) -> dict[str, Curve]:
    """Read once for each state of the file."""
    points: dict[str, list[tuple[float, float]]] = {}
    for line in _records(path):
        step = line.get("step")
        if not isinstance(step, int):
            continue
        for name, value in _values(line):
            points.setdefault(name, []).append((step, value))
    return {name: thinned(sorted(pairs)) for name, pairs in points.items()}


def _records(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as file:
        for line in file:
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if isinstance(record, dict):
                yield record


def _values(line: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """(name, value) of every plain number of a record; a validation's bins are numbered."""
    prefix = "validation " if line.get("kind") == "validation" else ""
    for name, value in line.items():
        if name in ("step", "samples_seen", "kind"):
            continue
        if _is_number(value):
            yield prefix + name.replace("_", " "), float(value)
        elif name == "bins" and isinstance(value, list):
            yield from ((f"validation bin {i}", float(v)) for i, v in enumerate(value) if _is_number(v))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def thinned(points: Sequence[tuple[float, float]]) -> Curve:
    """At most MAX_POINTS points: the means of equal stretches."""
    if not points:
        return {"x": [], "y": []}
    parts = np.array_split(np.array(points, np.float64), min(MAX_POINTS, len(points)))
    means = [part.mean(axis=0) for part in parts]
    return {"x": [float(f"{x:.6g}") for x, _ in means], "y": [float(f"{y:.6g}") for _, y in means]}


def newest_picture(run_dir: Path) -> bytes | None:
    """The newest of a run's sample pictures as a JPEG, or None."""
    paths = sorted((run_dir / "samples").glob("*.png"))
    picture = cv2.imread(str(paths[-1])) if paths else None
    if picture is None:
        return None
    if picture.shape[1] > PICTURE_WIDTH:
        height = round(picture.shape[0] * PICTURE_WIDTH / picture.shape[1])
        picture = cv2.resize(picture, (PICTURE_WIDTH, height), interpolation=cv2.INTER_AREA)
    return bytes(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 85])[1])


DRIFT = ("metric", "mean", "first tenth", "last tenth", "per 100 frames", "real clips", "their 95 % band")
_SIDES = ("generated", "real")


def drift_curves(metrics: Any) -> dict[str, dict[str, Curve]]:
    """Curves over the frames by metric, of the video (`generated`) and of the clip beside it (`real`), from a rollout's
    metrics as `model.drift.report` writes them."""
    found: dict[str, dict[str, Curve]] = {}
    for side, report in zip(_SIDES, (metrics, _part(metrics, "reference"))):
        for name, values in _part(report, "curves").items():
            found.setdefault(name, {})[side] = _over_frames(values, report.get("frames"))
    return found


def drift_rows(metrics: Any) -> list[list[Any]]:
    """A row of DRIFT for each metric of a rollout."""
    rows = []
    real = _part(_part(metrics, "reference"), "metrics")
    for name, said in _part(metrics, "metrics").items():
        clips = real.get(name) or {}
        low, high = clips.get("band") or (None, None)
        band = None if low is None else f"{low:.3g} to {high:.3g}"
        rows.append([name, said["mean"], said["tenths"][0], said["tenths"][-1], said["slope"], clips.get("mean"), band])
    return rows


def _part(report: Any, name: str) -> Mapping[str, Any]:
    """A part of a report; empty where it has none."""
    part = report.get(name) if isinstance(report, Mapping) else None
    return part if isinstance(part, Mapping) else {}


def _over_frames(values: Sequence[Any], frames: int | None) -> Curve:
    """Points over the frames' numbers: each is the mean of an equal stretch of them."""
    each = (frames or len(values)) / max(len(values), 1)
    y = [float(f"{value:.6g}") if _is_number(value) else None for value in values]
    return {"x": [round((place + 0.5) * each - 0.5, 2) for place in range(len(values))], "y": y}


def plain_values(metrics: Any, name: str = "") -> dict[str, Any]:
    """Every single number or text in a rollout's metrics; names of nested ones joined by dots."""
    if isinstance(metrics, Mapping):
        found: dict[str, Any] = {}
        for key, value in metrics.items():
            found |= plain_values(value, f"{name}.{key}" if name else str(key))
        return found
    if isinstance(metrics, str | bool) or _is_number(metrics):
        return {name: metrics}
    return {}
