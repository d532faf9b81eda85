"""A score learnt from the person's own marks: the probability of `keep`, by logistic regression on stored scores."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import rankdata

PLACES = {"shot", "start_s", "end_s", "first_frame", "step", "fps", "frames", "phash"}
"""Columns that say where a clip lies, and not what it shows."""
FOLDS = 5
STRENGTHS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
LEAST_MARKS = 10


def score(clips: list[dict[str, Any]]) -> list[dict[str, float]]:
    """`score`: the probability that the person would keep the clip; all clips at once.

    Its strength is chosen by cross-validation over sources, and the area under the curve that this gave is printed.
    """
    marks_N = np.array([{"keep": 1.0, "drop": 0.0}.get(clip["decision"], np.nan) for clip in clips])
    marked = np.flatnonzero(~np.isnan(marks_N))
    if len(marked) < LEAST_MARKS or len(set(marks_N[marked])) < 2:
        raise SystemExit(
            f"{len(marked)} clips are marked: mark at least {LEAST_MARKS}, both keep and drop, with `longdance serve`"
        )
    x_NF, names = features(clips)
    folds = folds_of([clips[at]["source_id"] for at in marked])
    strength, auc = choose_strength(x_NF[marked], marks_N[marked], folds)
    weights = fit(x_NF[marked], marks_N[marked], strength)
    heaviest = np.argsort(-np.abs(weights[:-1]))[:3]
    found = "unknown, with marks of one source" if np.isnan(auc) else f"{auc:.3f}"
    print(
        f"learnt from {len(marked)} marks; area under the curve on sources left out: {found}; "
        f"weighs most: {', '.join(names[at] for at in heaviest)}",
        file=sys.stderr,
    )
    return [{"score": float(one)} for one in predict(x_NF, weights)]


def features(clips: Sequence[dict[str, Any]]) -> tuple[np.ndarray, list[str]]:
    """(N, F) of every score: where it stands among all clips' (-1 to 1), that squared, and whether it is unknown.

    Ranks, because scores differ in spread by orders of magnitude; squares, because people like a middle, too.
    """
    columns = sorted({name for clip in clips for name in clip["scores"]} - PLACES)
    parts, names = [], []
    for name in columns:
        values_N = np.array([clip["scores"].get(name) for clip in clips], float)
        known = ~np.isnan(values_N)
        if known.sum() < 2 or len(set(values_N[known])) < 2:
            continue
        rank_N = np.zeros(len(clips))
        rank_N[known] = 2 * (rankdata(values_N[known]) - 0.5) / known.sum() - 1
        parts += [rank_N, np.where(known, rank_N**2 - 1 / 3, 0)]
        names += [name, f"{name} (squared)"]
        if not known.all():
            parts.append(~known * 1.0)
            names.append(f"{name} (unknown)")
    return np.stack(parts, 1) if parts else np.zeros((len(clips), 0)), names


def folds_of(sources: Sequence[str]) -> np.ndarray:
    """(N,) fold of each clip: clips of one source are in one."""
    order = sorted(set(sources), key=lambda source: hashlib.sha256(source.encode()).digest())
    place = {source: at % FOLDS for at, source in enumerate(order)}
    return np.array([place[source] for source in sources])


def choose_strength(x_NF: np.ndarray, marks_N: np.ndarray, folds_N: np.ndarray) -> tuple[float, float]:
    """(the penalty whose marks are most likely on sources left out, the area under the curve there)."""
    best = (np.inf, STRENGTHS[-1], np.nan)
    for strength in STRENGTHS:
        told_N = np.full(len(marks_N), np.nan)
        for fold in set(folds_N):
            inside = folds_N != fold
            if len(set(marks_N[inside])) == 2:
                told_N[~inside] = predict(x_NF[~inside], fit(x_NF[inside], marks_N[inside], strength))
        judged = ~np.isnan(told_N)
        if judged.any():
            likely = np.clip(np.where(marks_N == 1, told_N, 1 - told_N)[judged], 1e-9, 1)
            best = min(best, (-np.log(likely).mean(), strength, area_under_curve(told_N[judged], marks_N[judged])))
    return best[1], best[2]


def fit(x_NF: np.ndarray, marks_N: np.ndarray, strength: float) -> np.ndarray:
    """(F + 1,) weights and offset of the least penalised negative log likelihood; both marks weigh equally."""
    weight_N = np.where(marks_N == 1, 0.5 / max(marks_N.sum(), 1), 0.5 / max((1 - marks_N).sum(), 1)) * len(marks_N)

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        logit_N = x_NF @ weights[:-1] + weights[-1]
        value = (weight_N * (np.logaddexp(0, logit_N) - marks_N * logit_N)).sum() + strength * (weights[:-1] ** 2).sum()
        slope_N = weight_N * (expit(logit_N) - marks_N)
        return value, np.append(x_NF.T @ slope_N + 2 * strength * weights[:-1], slope_N.sum())

    return np.asarray(minimize(loss, np.zeros(x_NF.shape[1] + 1), jac=True, method="L-BFGS-B").x)


def predict(x_NF: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(N,) probability of keep."""
    return np.asarray(expit(x_NF @ weights[:-1] + weights[-1]))


def area_under_curve(told_N: np.ndarray, marks_N: np.ndarray) -> float:
    """How often a kept clip scores above a dropped one (Mann and Whitney 1947); NaN where there is one mark only."""
    kept, dropped = int(marks_N.sum()), int((1 - marks_N).sum())
    if not kept or not dropped:
        return float("nan")
    return float((rankdata(told_N)[marks_N == 1].sum() - kept * (kept + 1) / 2) / (kept * dropped))
