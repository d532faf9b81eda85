"""What the report shows is what the catalog holds: borderline distances, losses and versions checked by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_catalog.connection import open_catalog
from data_catalog.report_rows import KEPT, REMOVED, THINNED, clip_table, loss_columns, overview, version_marks
from data_catalog.views import set_thresholds
from data_catalog.writes import merge_clips, merge_losses, merge_runs, merge_sources, merge_versions, register_shards
from tests.data_catalog.rows import clip, sample, source, threshold

RULES = [threshold("blur", ">", 0.6, reason="blurred"), threshold("brightness", "<", 0.2, reason="dark", rank=2)]


def read(path: Path) -> list[dict[str, Any]]:
    with open_catalog(path, read_only=True) as con:
        return list(clip_table(con).to_pylist())


def test_borderline_is_the_distance_to_the_other_verdict_as_a_loop_finds_it(path: Path) -> None:
    rng = np.random.default_rng(1)
    rows = [clip(n, blur=float(rng.random()), brightness=float(rng.random())) for n in range(40)]
    rows += [clip(40, blur=0.7), clip(41), clip(42, blur=0.9, align_reason="too_small")]
    with open_catalog(path) as con:
        merge_clips(con, rows)
        set_thresholds(con, RULES)
    spread = {
        name: float(np.subtract(*np.quantile([row[name] for row in rows if row.get(name) is not None], [0.95, 0.05])))
        for name in ("blur", "brightness")
    }
    for row in read(path):
        given = rows[int(row["clip_id"][5:])]
        distances = {True: [], False: []}
        for rule in RULES:
            value = given.get(rule["score"])
            if value is not None:
                beyond = value > rule["value"] if rule["op"] == ">" else value < rule["value"]
                distances[beyond].append(abs(value - rule["value"]) / spread[rule["score"]])
        wanted = max(distances[True], default=None) or min(distances[False], default=None)
        if given.get("align_reason"):
            wanted = None
        assert row["borderline"] == (None if wanted is None else pytest.approx(wanted, rel=1e-12)), given


def test_scores_come_as_they_are_stored_to_the_last_bit(path: Path) -> None:
    values = [0.1, 1 / 3, 1e-300, 123456.789012345, None]
    with open_catalog(path) as con:
        merge_clips(con, [clip(n, blur=value) for n, value in enumerate(values)])
    assert [row["blur"] for row in read(path)] == values


def test_a_clips_loss_is_the_mean_over_its_samples_for_each_run_apart(path: Path) -> None:
    base = {"stage": "starter", "checkpoint": "s", "bank": "b", "window": 0}
    losses = [
        {**base, "run": run, "sample_key": f"clip-0-v{variant}", "k": k, "loss": value}
        for run, values in (("old", (1.0, 2.0, 3.0, 4.0)), ("new", (10.0, 10.0, 20.0, 20.0)))
        for (variant, k), value in zip(((0, 0), (0, 1), (1, 0), (1, 1)), values)
    ]
    with open_catalog(path) as con:
        merge_clips(con, [clip(0), clip(1)])
        register_shards(con, [{"shard": "a.tar", "samples": 3}], [sample(0), sample(0, 1), sample(1)])
        merge_runs(con, [{"run": run, "created": created} for run, created in (("old", _day(1)), ("new", _day(2)))])
        merge_losses(con, losses)
        assert [column["run"] for column in loss_columns(con)] == ["new", "old"]
    first, second = read(path)
    assert (first["loss_0"], first["loss_1"]) == (15.0, 2.5)
    assert (second["loss_0"], second["loss_1"]) == (None, None)
    assert (first["stored"], second["stored"]) == (True, True)


def _day(number: int) -> Any:
    from datetime import datetime

    return datetime(2026, 11, number)


def test_what_a_version_removed_is_compared_with_its_parent_clip_by_clip(path: Path) -> None:
    keys = [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)]
    members = {"all": keys, "part": [(0, 0), (0, 1), (1, 0)], "again": [(0, 0)]}
    with open_catalog(path) as con:
        merge_clips(con, [clip(n) for n in range(3)])
        register_shards(con, [{"shard": "a.tar", "samples": 6}], [sample(*key) for key in keys])
        merge_versions(
            con,
            [{"version": "all"}, {"version": "part", "parent": "all"}, {"version": "again", "parent": "part"}],
            [
                {"version": v, "sample_key": f"clip-{n}-v{x}", "weight": 1.0}
                for v, list_ in members.items()
                for n, x in list_
            ],
        )
        assert version_marks(con, "part", "all") == {"clip-0": KEPT, "clip-1": THINNED, "clip-2": REMOVED}
        assert version_marks(con, "again", "part") == {"clip-0": THINNED, "clip-1": REMOVED}
        assert version_marks(con, "part", None) == version_marks(con, "part", "all")


def test_an_empty_catalog_and_one_of_rejected_sources_have_a_report(path: Path) -> None:
    assert read(path) == []
    with open_catalog(path) as con:
        merge_sources(con, [source(0, status="rejected", reason="damaged", fps=float("nan"))])
        found = overview(con)
    assert [row["reason"] for row in found["sources"]] == ["damaged"]
    assert found["sources"][0]["fps"] is None
    assert found["shards"] == [{"shards": 0, "samples": 0, "bytes": 0}]
