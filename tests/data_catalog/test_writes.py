import random
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_catalog.connection import open_catalog
from data_catalog.errors import RowError
from data_catalog.tables import TABLES
from data_catalog.writes import (
    merge,
    merge_checkpoints,
    merge_clips,
    merge_decisions,
    merge_latents,
    merge_losses,
    merge_paths,
    merge_rollouts,
    merge_runs,
    merge_sources,
    merge_tables,
    merge_versions,
    register_shards,
    set_current,
)
from tests.data_catalog.rows import clip, sample, source, table

HOSTILE = [b"it's.mp4", b'"quoted".mp4', b"new\nline.mp4", b"-rf.mp4", b"%d.mp4", b"a'); DROP TABLE clip_rows; --.mp4"]
HOSTILE += [b"\xff\xfe.mp4", b"caf\xc3\xa9.mp4", b"[x]*?.mp4", b"nul-free \x01.mp4"]


def run(name: str = "r", **columns: Any) -> dict[str, Any]:
    return {"run": name, "stage": "starter", "config": {"lr": 1e-4}, "data_version": "d", "code_hash": "c"} | columns


def version(**columns: Any) -> dict[str, Any]:
    return {"version": "v", "parent": "all", "policy": {"fraction": 0.1}, "hash": "abc", "samples": 1} | columns


def loss(k: int, value: float) -> dict[str, Any]:
    key = {"sample_key": "clip-0-v0", "run": "r", "checkpoint": "10", "stage": "starter", "bank": "b"}
    return key | {"window": 0, "bin": k % 2, "k": k, "loss": value}


def test_every_merge_can_be_repeated(path: Path) -> None:
    for _ in range(2):
        with open_catalog(path) as con:
            merge_paths(con, [{"path": b"a.mp4", "source_id": "source-0", "size": 1, "mtime_ns": 2, "inode": 3}])
            merge_sources(con, [source()])
            merge_clips(con, [clip(0), clip(1)])
            register_shards(con, [{"shard": "a.tar", "samples": 2}], [sample(0), sample(1)])
            set_current(con, ["clip-0", "clip-1"], ["a.tar"], ["source-0"])
            merge_latents(con, [{"sample_key": "clip-0-v0", "codec": "pca", "offset": 512, "shape": [4, 64, 64]}])
            merge_versions(con, [version()], [{"version": "v", "sample_key": "clip-0-v0", "weight": 1.0}])
            merge_runs(con, [run()])
            merge_checkpoints(con, [{"run": "r", "step": 10, "path": "r/10", "verified": True}])
            merge_losses(con, [loss(0, 0.5), loss(1, 0.7)])
            merge_rollouts(con, [{"rollout": "x", "path": "x.mp4", "seed": 1, "metrics": {"psnr": 20.0}}])
            merge_tables(con, {"ledgers": [{"fragment": "f", "run": "r"}]})
            merge_tables(con, {"run_sources": [{"run": "r", "source_id": "source-0"}]})
            merge_tables(con, {"worth": [{"evidence": "e", "sample_key": "clip-0-v0", "rho": 0.5}]})
            merge_decisions(con, [{"clip_id": "clip-0", "decided": datetime(2026, 11, 1), "decision": "keep"}])
    with open_catalog(path, read_only=True) as con:
        counts = {name: con.execute(f"SELECT count(*) FROM {name}").fetchall()[0][0] for name in TABLES}
    assert counts == {name: 2 if name in ("clips", "samples", "losses") else 1 for name in TABLES}


def test_merging_the_same_rows_again_writes_no_row(path: Path) -> None:
    with open_catalog(path) as con:
        rows = [clip(0, crop_path=[[0.5, 1]], blur=0.1), clip(1)]
        assert merge(con, "clips", rows) == 2
        assert merge(con, "clips", rows) == 0
        assert merge(con, "clips", [clip(0, crop_path=[[0.5, 1]], blur=0.2), clip(1)]) == 1


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.permutations(range(12)), st.integers(1, 12))
def test_the_order_and_the_batches_of_merges_do_not_matter(path: Path, order: list[int], batch: int) -> None:
    rows = [clip(number, blur=number / 7) for number in order]
    with open_catalog(path) as con:
        con.execute("DELETE FROM clip_rows")
        for start in range(0, len(rows), batch):
            merge_clips(con, rows[start : start + batch])
        ids = con.execute("SELECT clip_id, blur FROM clips ORDER BY clip_id").fetchall()
    assert ids == sorted((f"clip-{number}", number / 7) for number in range(12))


def test_a_merge_replaces_the_whole_row_of_its_key(path: Path) -> None:
    with open_catalog(path) as con:
        merge_clips(con, [clip(0, blur=0.5, align_reason="too_small")])
        merge_clips(con, [clip(0, blur=0.6)])
    assert table(path, "SELECT blur, align_reason FROM clips") == [(0.6, None)]


def test_names_are_data_and_their_bytes_survive(path: Path) -> None:
    with open_catalog(path) as con:
        merge_paths(con, [{"path": name, "source_id": str(n)} for n, name in enumerate(HOSTILE)])
        merge_sources(con, [source(n, path_bytes=name) for n, name in enumerate(HOSTILE)])
    assert {row[0] for row in table(path, "SELECT path FROM paths")} == set(HOSTILE)
    assert {row[0] for row in table(path, "SELECT path_bytes FROM sources")} == set(HOSTILE)
    shown = {row[0] for row in table(path, "SELECT path FROM sources")}
    assert {"\\xff\\xfe.mp4", "café.mp4", "a'); DROP TABLE clip_rows; --.mp4"} <= shown
    assert table(path, "SELECT path_bytes FROM sources WHERE path LIKE '%DROP%'") == [(HOSTILE[5],)]


def test_numpy_scalars_arrow_tables_and_the_largest_hash_are_taken_as_they_are(path: Path) -> None:
    with open_catalog(path) as con:
        merge_clips(con, [clip(0, blur=np.float32(0.5), shot=np.int64(3), phash=np.uint64(2**64 - 1))])
        merge_clips(con, pa.table({"clip_id": ["clip-1"], "shot": [4], "blur": [0.25]}))
    assert table(path, "SELECT clip_id, blur, shot, phash FROM clips") == [
        ("clip-0", 0.5, 3, 2**64 - 1),
        ("clip-1", 0.25, 4, None),
    ]


def test_a_score_that_is_nan_is_not_measured_but_a_loss_that_is_nan_is_a_loss(path: Path) -> None:
    with open_catalog(path) as con:
        merge_clips(con, [clip(0, blur=float("nan"))])
        merge_losses(con, [loss(0, float("nan"))])
    assert table(path, "SELECT blur IS NULL FROM clips") == [(True,)]
    assert table(path, "SELECT isnan(loss) FROM losses") == [(True,)]


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([{"clip_id": "a", "blurr": 1.0}], "no column 'blurr'"),
        ([{"clip_id": "a", 'x"; DROP TABLE clip_rows': 1.0}], "no column"),
        ([{"clip_id": None}], "are without their clip_id"),
        ([{"blur": 1.0}], "are without their clip_id"),
        ([{"clip_id": "a", "shot": 1.5}], "shot does not fit"),
        ([{"clip_id": "a", "blur": "sharp"}], "blur does not fit"),
        ([{"clip_id": "a", "phash": -1}], "phash does not fit"),
        ([{"clip_id": "\udcff"}], "clip_id does not fit"),
        ([{"clip_id": "a", "crop_path": [float("nan")]}], "crop_path does not fit"),
        ([{"clip_id": "a", "blur": 1.0}, {"clip_id": "a", "blur": 2.0}], "comes twice"),
    ],
)
def test_rows_that_do_not_fit_are_one_sentence_and_change_nothing(path: Path, rows: list[Any], sentence: str) -> None:
    with open_catalog(path) as con, pytest.raises(RowError, match=sentence):
        merge_clips(con, rows)
    assert table(path, "SELECT * FROM clips") == []


def test_the_same_row_twice_in_one_merge_is_one_row(path: Path) -> None:
    with open_catalog(path) as con:
        merge_clips(con, [clip(0), clip(0)])
    assert table(path, "SELECT clip_id FROM clips") == [("clip-0",)]


def test_losses_that_come_twice_are_one_row_or_one_sentence(path: Path) -> None:
    with open_catalog(path) as con:
        merge_losses(con, [loss(0, 0.5), loss(0, 0.5), loss(1, 0.25)])
        with pytest.raises(RowError, match=r"'clip-0-v0'.*comes twice with different contents"):
            merge_losses(con, [loss(0, 0.5), loss(0, 0.75)])
    assert table(path, "SELECT k, loss FROM losses ORDER BY k") == [(0, 0.5), (1, 0.25)]


def test_a_shard_registered_again_forgets_the_samples_that_it_no_longer_holds(path: Path) -> None:
    with open_catalog(path) as con:
        register_shards(con, [{"shard": "a.tar", "samples": 2}], [sample(0), sample(1)])
        register_shards(con, [{"shard": "b.tar", "samples": 1}], [sample(2, shard="b.tar")])
        register_shards(con, [{"shard": "a.tar", "samples": 1}], [sample(1, mp4_offset=7)])
    rows = table(path, "SELECT shard, sample_key, mp4_offset FROM samples")
    assert rows == [("a.tar", "clip-1-v0", 7), ("b.tar", "clip-2-v0", 2512)]


@pytest.mark.parametrize("samples", [[], [sample(0)], [sample(0), sample(1), sample(2, shard="b.tar")]])
def test_a_shard_with_another_number_of_samples_is_refused_whole(path: Path, samples: list[Any]) -> None:
    with open_catalog(path) as con, pytest.raises(RowError, match="states"):
        register_shards(con, [{"shard": "a.tar", "samples": 2}], samples)
    assert table(path, "SELECT * FROM shards") == table(path, "SELECT * FROM samples") == []


def test_a_failure_in_the_second_table_takes_back_the_first(path: Path) -> None:
    with open_catalog(path) as con:
        with pytest.raises(RowError):
            merge_versions(con, [version()], [{"version": "v", "sample_key": None}])
        merge_clips(con, [clip(0)])
    assert table(path, "SELECT * FROM versions") == []


def test_only_what_is_current_is_shown_and_older_rows_stay(path: Path) -> None:
    with open_catalog(path) as con:
        merge_sources(con, [source(0), source(1)])
        merge_clips(con, [clip(0), clip(1)])
        register_shards(con, [{"shard": "a.tar", "samples": 1}], [sample(0)])
        register_shards(con, [{"shard": "b.tar", "samples": 2}], [sample(0, shard="b.tar"), sample(1, shard="b.tar")])
        set_current(con, ["clip-1"], ["b.tar"], ["source-1"])
    assert table(path, "SELECT clip_id FROM clips") == [("clip-1",)]
    assert table(path, "SELECT source_id FROM sources") == [("source-1",)]
    assert table(path, "SELECT shard FROM shards") == [("b.tar",)]
    assert table(path, "SELECT sample_key, shard FROM samples") == [("clip-0-v0", "b.tar"), ("clip-1-v0", "b.tar")]
    assert len(table(path, "SELECT * FROM clip_rows")) == len(table(path, "SELECT * FROM source_rows")) == 2
    with open_catalog(path) as con:
        set_current(con, ["clip-0"], ["a.tar"], ["source-0"])
    assert table(path, "SELECT clip_id FROM clips") == [("clip-0",)]
    assert table(path, "SELECT sample_key, shard FROM samples") == [("clip-0-v0", "a.tar")]


def test_what_is_merged_again_is_current_again(path: Path) -> None:
    with open_catalog(path) as con:
        merge_clips(con, [clip(0)])
        set_current(con, [], [], [])
        assert con.execute("SELECT * FROM clips").fetchall() == []
        merge_clips(con, [clip(0)])
    assert table(path, "SELECT clip_id FROM clips") == [("clip-0",)]


def test_an_unknown_id_cannot_be_current_and_nothing_changes(path: Path) -> None:
    with open_catalog(path) as con:
        merge_clips(con, [clip(0)])
        with pytest.raises(RowError, match=r"'b\.tar' cannot be current"):
            set_current(con, [], ["b.tar"], [])
    assert table(path, "SELECT clip_id FROM clips") == [("clip-0",)]


def test_a_version_and_a_run_never_change_but_a_run_goes_on(path: Path) -> None:
    with open_catalog(path) as con:
        merge_versions(con, [version()], [])
        merge_runs(con, [run(status="running", step=10)])
        with pytest.raises(RowError, match="version 'v' exists"):
            merge_versions(con, [version(hash="other")], [])
        with pytest.raises(RowError, match="run 'r' exists"):
            merge_runs(con, [run(config={"lr": 1e-3})])
        merge_runs(con, [run(status="done", step=20)])
    assert table(path, "SELECT hash FROM versions") == [("abc",)]
    assert table(path, "SELECT status, step, config->>'lr' FROM runs") == [("done", 20, "0.0001")]


def test_json_text_does_not_depend_on_the_order_of_keys(path: Path) -> None:
    with open_catalog(path) as con:
        assert merge(con, "runs", [run(config={"a": 1, "b": 2})]) == 1
        assert merge(con, "runs", [run(config={"b": 2, "a": 1})]) == 0


def test_thousands_of_rows_in_any_order_keep_one_row_a_key(path: Path) -> None:
    numbers = [number % 700 for number in range(2100)]
    random.Random(0).shuffle(numbers)
    with open_catalog(path) as con:
        for start in range(0, len(numbers), 300):
            merge_clips(con, [clip(number) for number in numbers[start : start + 300]])
    assert table(path, "SELECT count(*), count(DISTINCT clip_id) FROM clips") == [(700, 700)]


def test_rows_that_are_all_key_merge_once(path: Path) -> None:
    row = {"run": "r", "source_id": "s"}
    with open_catalog(path) as con:
        for _ in range(2):
            merge_tables(con, {"run_sources": [row, row]})
        assert con.execute("FROM run_sources").fetchall() == [("r", "s")]
