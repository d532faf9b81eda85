"""A rollout's drift in one table, from the report that was just made or from the catalog's JSON of it."""

from __future__ import annotations

import json

import pytest

from flows.report.curves import drift_curves
from model.drift.metrics import FORMER_METRICS, METRICS, TRUTH_METRICS
from model.drift.table import COLUMNS, report_table
from tests.flows.evidence import drift_metrics


def test_a_row_has_a_metrics_drift_beside_the_real_clips_in_three_digits() -> None:
    report = drift_metrics(1.0)
    columns, rows = report_table(report)
    assert columns == list(COLUMNS)
    assert {len(row) for row in rows} == {len(COLUMNS)}
    found = {row[0]: row[1:] for row in rows}
    made, real = report["metrics"]["picture_motion"], report["reference"]["metrics"]["picture_motion"]
    numbers = [made["mean"], made["tenths"][0], made["tenths"][-1], made["slope"], real["mean"]]
    assert found["picture_motion"][:5] == tuple(pytest.approx(number, rel=5e-3) for number in numbers)
    assert found["picture_motion"][5] == "{:.3g} to {:.3g}".format(*real["band"])
    assert found["psnr"][4:] == (None, None)


def test_the_rows_keep_their_order_through_json_and_metrics_of_other_versions_come_last() -> None:
    report = drift_metrics(1.0)
    report["metrics"]["a new one"] = report["metrics"]["picture_motion"]
    stored = json.loads(json.dumps(report, sort_keys=True))
    assert [row[0] for row in report_table(stored)[1]] == [*METRICS, *TRUTH_METRICS, "a new one"]
    assert report_table(stored) == report_table(report)


def test_a_rollout_that_0_1_measured_keeps_its_measures_of_motion_and_they_are_not_taken_for_todays() -> None:
    report = drift_metrics(1.0)
    for part in (report["metrics"], report["reference"]["metrics"], report["curves"], report["reference"]["curves"]):
        part["motion"], part["pose_motion"] = part.pop("picture_motion"), part.pop("joint_motion")
    stored = json.loads(json.dumps(report, sort_keys=True))
    names = [row[0] for row in report_table(stored)[1]]
    assert names == [*(n for n in METRICS if not n.endswith("motion")), *TRUTH_METRICS, *FORMER_METRICS]
    curves = {curve["name"]: curve for curve in drift_curves(stored)}
    assert list(curves) == names
    assert "until 0.1" in curves["pose_motion"]["meaning"]


@pytest.mark.parametrize("report", [None, {}, {"metrics": None, "reference": None}])
def test_what_was_not_measured_has_no_row(report: dict[str, None] | None) -> None:
    assert report_table(report) == (list(COLUMNS), [])
