"""A rollout's drift as a table, beside that of real clips: on the terminal, in Prefect and on both pages the same."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from model.drift.metrics import METRICS, TRUTH_METRICS

COLUMNS = ("metric", "mean", "first tenth", "last tenth", "per 100 frames", "real clips", "their 95 % band")


def report_table(report: Mapping[str, Any] | None) -> tuple[list[str], list[tuple[Any, ...]]]:
    """COLUMNS and a row per metric of a report (`model.drift.report.Drift`), three digits each; no row where nothing
    was measured."""
    metrics = (report or {}).get("metrics") or {}
    real = ((report or {}).get("reference") or {}).get("metrics") or {}
    return list(COLUMNS), [_row(name, metrics[name], real.get(name) or {}) for name in in_order(metrics)]


def in_order(names: Collection[str]) -> list[str]:
    """Metrics as METRICS has them, for JSON forgets the order; those of other versions come last."""
    known = [name for name in (*METRICS, *TRUTH_METRICS) if name in names]
    return [*known, *(name for name in names if name not in known)]


def _row(name: str, made: Mapping[str, Any], real: Mapping[str, Any]) -> tuple[Any, ...]:
    numbers = (made["mean"], made["tenths"][0], made["tenths"][-1], made["slope"], real.get("mean"))
    low, high = real.get("band") or (None, None)
    return (name, *map(_short, numbers), None if low is None else f"{low:.3g} to {high:.3g}")


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.3g}")
