"""Curves for the page: what a run wrote while it trained, and what a rollout's metrics hold frame by frame."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from data_catalog.base.paths import RunFolder
from model.drift.metrics import DANCE_METRICS, FORMER_METRICS, METRICS, TRUTH_METRICS
from model.drift.table import in_order

MAX_POINTS = 400  # of one curve: a page is narrower than a run is long
PICTURE_WIDTH = 1200

Curve = dict[str, list[float | None]]  # {"x": [...], "y": [...]}


def training_curves(run_dir: Path) -> dict[str, Curve]:
    """Curves by name from a run's `metrics.jsonl`: training and validation loss, each validation bin, and the like.

    Empty where the file is gone. Lines that are no record, as a killed process may leave, are passed over.
    """
    path = RunFolder(run_dir).metrics
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
    paths = sorted(RunFolder(run_dir).samples.glob("*.png"))
    picture = cv2.imread(str(paths[-1])) if paths else None
    if picture is None:
        return None
    if picture.shape[1] > PICTURE_WIDTH:
        height = round(picture.shape[0] * PICTURE_WIDTH / picture.shape[1])
        picture = cv2.resize(picture, (PICTURE_WIDTH, height), interpolation=cv2.INTER_AREA)
    return bytes(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 85])[1])


def drift_curves(report: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """For each metric of a rollout's report (`model.drift.report.Drift`) its curve over the frames, that of the clip
    beside it, and the real clips' band: {name, meaning, series: [{name, x, y}], band}."""
    made, real = report or {}, (report or {}).get("reference") or {}
    curves, beside = made.get("curves") or {}, real.get("curves") or {}
    bands = {name: row.get("band") for name, row in (real.get("metrics") or {}).items()}
    return [
        {
            "name": name,
            "meaning": (METRICS | TRUTH_METRICS | DANCE_METRICS | FORMER_METRICS).get(name, ""),
            "series": [
                {"name": side, **_over_frames(values[name], whole.get("frames"))}
                for side, values, whole in (("generated", curves, made), ("real", beside, real))
                if name in values
            ],
            "band": bands.get(name),
        }
        for name in in_order(curves)
    ]


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
