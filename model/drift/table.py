"""A rollout's drift as a table, beside that of real clips: on the terminal, in Prefect and on both pages the same."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from model.drift.metrics import DANCE_METRICS, METRICS, TRUTH_METRICS

COLUMNS = ("metric", "mean", "first tenth", "last tenth", "per 100 frames", "real clips", "their 95 % band")


def report_table(report: Mapping[str, Any] | None) -> tuple[list[str], list[tuple[Any, ...]]]:
    """COLUMNS and a row per metric of a report (`model.drift.report.Drift`), three digits each; no row where nothing
    was measured."""
    metrics = (report or {}).get("metrics") or {}
    real = ((report or {}).get("reference") or {}).get("metrics") or {}
    return list(COLUMNS), [_row(name, metrics[name], real.get(name) or {}) for name in in_order(metrics)]


OF_DANCER = ("visibility", "proportions", "joint_motion", "pose_error")
"""Metrics that want a dancer."""
SHORT = 20
"""Frames from which on a tenth of a video holds two, which motion is measured between."""
TOO_FEW = "the video has too few frames{} to measure it"


def why_empty(report: Mapping[str, Any] | None) -> list[str]:
    """A sentence for each reason why cells of `report_table` are empty; none where all are filled."""
    metrics = (report or {}).get("metrics") or {}
    if not metrics:
        return []
    reasons: dict[str, list[str]] = {}
    for name in in_order(metrics):
        made = metrics[name]
        cells = {"": made["mean"], " in its first tenth": made["tenths"][0], " in its last tenth": made["tenths"][-1]}
        empty = [part for part, value in cells.items() if value is None]
        if empty:
            short = empty[0] != "" and (report or {}).get("frames", SHORT) < SHORT
            why = TOO_FEW.format(empty[0]) if short else _why(name, empty[0], metrics)
            reasons.setdefault(why, []).append(name)
    sentences = [f"{', '.join(names)}: {why}." for why, names in reasons.items()]
    return sentences + _why_no_real_clips(report or {}, metrics)


def _why(name: str, part: str, metrics: Mapping[str, Any]) -> str:
    """Why a metric has no value, of the whole video or in a part of it."""
    if name in OF_DANCER:
        share = (metrics.get("found") or {}).get("mean")
        if not share:
            return "mediapipe finds no dancer in any frame of the video"
        if part:
            return f"mediapipe finds no dancer{part}, or too rarely"
        return f"mediapipe finds a dancer in {share:.0%} of the frames, too rarely, or not where the real one is"
    if name == "background":
        return f"the dancer leaves too little of the picture free{part} to compare a background"
    return TOO_FEW.format(part)


def _why_no_real_clips(report: Mapping[str, Any], metrics: Mapping[str, Any]) -> list[str]:
    """Why the columns of the real clips are empty, all of them or in a row."""
    compared = [name for name in TRUTH_METRICS if name in metrics]
    if compared:
        said = "compared with what really followed, frame by frame, so no other real clips stand beside it"
    elif "reference" not in report:
        said = "none: name a data set by --data to compare with its clips"
    else:
        real = report["reference"]["metrics"]
        asked = [name for name in in_order(metrics) if name not in DANCE_METRICS]  # no real clip was given this dance
        lacking = [name for name in asked if (real.get(name) or {}).get("mean") is None]
        said = f"they have no {', '.join(lacking)}: no dancer is found there, or they are too short" if lacking else ""
        if "dance_of" in report:
            said = f"{report['dance_of']} alone, whose dance this is{'; ' if said else ''}{said}"
    return [f"real clips: {said}."] if said else []


def in_order(names: Collection[str]) -> list[str]:
    """Metrics as METRICS has them, for JSON forgets the order; those of other versions (FORMER_METRICS) come last."""
    known = [name for name in (*METRICS, *TRUTH_METRICS, *DANCE_METRICS) if name in names]
    return [*known, *(name for name in names if name not in known)]


def _row(name: str, made: Mapping[str, Any], real: Mapping[str, Any]) -> tuple[Any, ...]:
    numbers = (made["mean"], made["tenths"][0], made["tenths"][-1], made["slope"], real.get("mean"))
    low, high = real.get("band") or (None, None)
    return (name, *map(_short, numbers), None if low is None else f"{low:.3g} to {high:.3g}")


def _short(value: float | None) -> float | None:
    """Three digits; what arithmetic leaves of nothing is 0."""
    return None if value is None else 0.0 if abs(value) < 1e-12 else float(f"{value:.3g}")
