"""Rows that no file of a data set gives are written down, and outlive the catalog."""

from datetime import datetime
from pathlib import Path
from typing import Any

from data_catalog.base.files import write_json
from data_catalog.base.paths import DataFolder
from flows.catalog.kept_rows import keep_and_merge
from flows.catalog.manifests import rebuild_from_record
from pipeline.config import BuildConfig
from tests.data_catalog.rows import table

RUN: dict[str, Any] = {"run": "r", "stage": "starter", "step": 10, "created": datetime(2026, 1, 2, 3, 4, 5)}
ROLLOUT: dict[str, Any] = {"rollout": "x", "path": "/somewhere/out.mp4", "seed": 3, "created": datetime(2026, 1, 2)}


def rows_of(data: DataFolder) -> list[Any]:
    return [table(data.catalog, f"SELECT * FROM {view}") for view in ("runs", "run_sources", "checkpoints", "rollouts")]


def test_runs_and_rollouts_come_back_when_the_catalog_is_lost(tmp_path: Path) -> None:
    data = DataFolder(tmp_path)
    seen = [{"run": "r", "source_id": "s"}]
    keep_and_merge(data, "run-r", {"runs": [RUN | {"step": 5}], "run_sources": seen})
    checkpoints = [{"run": "r", "step": 10, "path": "/p", "verified": True}]
    keep_and_merge(data, "run-r", {"runs": [RUN], "run_sources": seen, "checkpoints": checkpoints})
    keep_and_merge(data, "rollout-x", {"rollouts": [ROLLOUT]})
    before = rows_of(data)
    assert [len(rows) for rows in before] == [1, 1, 1, 1]
    write_json(data.build_record, {"raw": "raw", "config": BuildConfig().model_dump(mode="json")})
    data.catalog.unlink()
    rebuild_from_record(data)
    assert rows_of(data) == before


def test_a_damaged_record_costs_its_own_run_alone(tmp_path: Path) -> None:
    data = DataFolder(tmp_path)
    keep_and_merge(data, "rollout-x", {"rollouts": [ROLLOUT]})
    keep_and_merge(data, "run-r", {"runs": [RUN]})
    path = data.kept_rows / "rollout-x.json"
    path.write_bytes(path.read_bytes().replace(b'"seed":', b'"feed":'))
    write_json(data.build_record, {"raw": "raw", "config": BuildConfig().model_dump(mode="json")})
    data.catalog.unlink()
    rebuild_from_record(data)
    assert [len(rows) for rows in rows_of(data)] == [1, 0, 0, 0]
