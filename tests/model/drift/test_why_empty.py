"""An empty cell of the table of drift has a sentence that says why; a full table has none."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from model.drift.metrics import METRICS, TRUTH_METRICS, Measured
from model.drift.report import Drift
from model.drift.table import report_table, why_empty

FRAMES = 40


def measured(**curves: list[float]) -> Measured:
    """All metrics 1 in each frame, but for these."""
    full = {name: [1.0] * FRAMES for name in METRICS}
    return Measured(full | curves, np.random.default_rng(1).random((FRAMES, 33, 4)))


def drift(made: Measured, *real: Measured) -> dict[str, Any]:
    clips = [(f"clip-{n}", one) for n, one in enumerate(real)]
    return Drift(made, clips, dict.fromkeys(range(FRAMES), 1)).report()


NOBODY = dict.fromkeys(("visibility", "proportions", "joint_motion"), [math.nan] * FRAMES)


def test_a_full_table_needs_no_words() -> None:
    report = drift(measured(), measured())
    assert all(cell is not None for row in report_table(report)[1] for cell in row)
    assert why_empty(report) == []


@pytest.mark.parametrize(
    ("curves", "says"),
    [
        (
            {**NOBODY, "found": [0.0] * FRAMES},
            "visibility, proportions, joint_motion: mediapipe finds no",
        ),
        (
            {"proportions": [1.0] * 20 + [math.nan] * 20, "found": [1.0] * 20 + [0.0] * 20},
            "proportions: mediapipe finds no dancer in its last tenth",
        ),
        (
            {"joint_motion": [math.nan] * FRAMES, "found": [1.0] * 4 + [0.0] * 36},
            "joint_motion: mediapipe finds a dancer in 10% of the frames, too rarely",
        ),
        ({"background": [math.nan] * FRAMES}, "background: the dancer leaves too little of the picture free"),
        ({"flicker": [math.nan] * FRAMES}, "flicker: the video has too few frames"),
    ],
)
def test_an_empty_metric_says_why(curves: dict[str, list[float]], says: str) -> None:
    [sentence] = why_empty(drift(measured(**curves), measured()))
    assert sentence.startswith(says)
    assert sentence.endswith(".")


def test_of_a_video_so_short_that_its_tenths_hold_a_frame_the_length_is_named_and_not_the_dancer() -> None:
    curves = {name: [1.0] * 9 for name in METRICS}
    short = Measured(curves, np.random.default_rng(1).random((9, 33, 4)))
    report = Drift(short, [("clip", measured())], dict.fromkeys(range(9), 1)).report()
    sentences = why_empty(report)
    assert sentences
    assert all("too few frames in its last tenth" in sentence for sentence in sentences)


def test_empty_columns_of_real_clips_say_why() -> None:
    [sentence] = why_empty(drift(measured()))
    assert "--data" in sentence
    truth = {name: [1.0] * FRAMES for name in TRUTH_METRICS}
    [sentence] = why_empty(drift(measured(**truth)))
    assert "what really followed" in sentence
    [sentence] = why_empty(drift(measured(), measured(**NOBODY)))
    assert sentence.startswith("real clips: they have no visibility, proportions, joint_motion")


@pytest.mark.parametrize("report", [None, {}, {"metrics": None, "reference": None}])
def test_what_was_never_measured_says_nothing(report: dict[str, Any] | None) -> None:
    assert why_empty(report) == []
