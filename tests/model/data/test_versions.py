"""A version is its samples, their bytes and its policy, wherever it is made; it never changes."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data_catalog.connection import open_catalog
from data_catalog.writes import merge_tables
from model.data.dataset import load_data
from model.data.loader import WindowDataset
from model.data.samples import read_samples
from model.data.versions import (
    Version,
    VersionSample,
    fold_version,
    folds_of,
    read_version,
    version_of,
    version_path,
    version_rows,
    write_version,
)
from model.errors import ConfigError, DataError, VersionError
from model.seeding import weighted_order
from tests.model.dataset import micro_encode


@pytest.fixture
def data(dataset: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(dataset, tmp_path / "data"))


def some(data: Path, count: int = 5) -> Version:
    return version_of("some", None, {"config": {"score": "random"}}, read_samples(data)[:count])


def test_the_same_inputs_give_the_same_hash_and_file_on_another_machine(data, tmp_path):
    other = Path(shutil.copytree(data, tmp_path / "other"))
    paths = [write_version(where, some(where)) for where in (data, other)]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    mixed = replace(some(data), samples=some(data).samples[::-1])
    assert mixed.hash == some(data).hash


def test_the_hash_tells_samples_bytes_weights_and_policy_apart_and_not_names_of_runs(data):
    version = some(data)
    first, *rest = version.samples
    others = [
        replace(version, samples=tuple(rest)),
        replace(version, samples=(replace(first, sha256="0" * 64), *rest)),
        replace(version, samples=(replace(first, weight=2.0), *rest)),
        replace(version, policy={"config": {"score": "rho"}}),
    ]
    assert len({one.hash for one in (version, *others)}) == 5
    assert replace(version, policy={**version.policy, "runs": ["an id drawn by chance"]}).hash == version.hash


def test_a_version_never_changes_and_writing_it_again_touches_nothing(data):
    path = write_version(data, some(data))
    before = path.stat().st_mtime_ns
    assert write_version(data, some(data)).stat().st_mtime_ns == before
    with pytest.raises(VersionError, match="versions never change"):
        write_version(data, some(data, 4))
    record = json.loads(path.read_bytes())
    record["samples"].pop()
    path.write_text(json.dumps(record))
    with pytest.raises(VersionError, match="altered"):
        read_version(data, "some")


def test_training_on_a_version_sees_its_samples_alone_and_the_hold_out_stays_whole(data):
    write_version(data, some(data))
    whole, part = load_data(data, micro_encode(), 0.3), load_data(data, micro_encode(), 0.3, "some")
    named = {sample.key for sample in some(data).samples}
    assert {s.key for s in part.train.samples} == {s.key for s in whole.train.samples} & named
    assert part.holdout.samples == whole.holdout.samples
    assert part.version != whole.version


def test_a_version_without_a_sample_is_named_and_not_the_hold_out(data):
    write_version(data, some(data, 0))
    with pytest.raises(DataError, match="The version 'some' has no sample"):
        load_data(data, micro_encode(), 0.3, "some")


def test_a_version_whose_bytes_changed_or_are_gone_is_refused(data):
    version = some(data)
    write_version(data, version)
    with open_catalog(data / "catalog.duckdb") as con:
        con.execute("UPDATE sample_rows SET mp4_sha256 = 'other' WHERE sample_key = ?", [version.samples[0].key])
    with pytest.raises(VersionError, match="have changed since"):
        load_data(data, micro_encode(), 0.3, "some")
    with open_catalog(data / "catalog.duckdb") as con:
        con.execute("DELETE FROM sample_rows WHERE sample_key = ?", [version.samples[0].key])
    with pytest.raises(VersionError, match="no longer holds"):
        load_data(data, micro_encode(), 0.3, "some")


def test_folds_part_the_sources_evenly_and_leave_out_the_held_ones(data):
    samples = read_samples(data)
    sources = sorted({sample.source_id for sample in samples})
    held = sources[:1]
    folds = [{s.key for s in fold_version(samples, held, fold).samples} for fold in (0, 1)]
    assert set.union(*folds) == {s.key for s in samples if s.source_id not in held}
    by_key = {s.key: s.source_id for s in samples}
    assert not {by_key[key] for key in folds[0]} & {by_key[key] for key in folds[1]}
    for count in (2, 3, 1001):
        dealt = list(folds_of(f"source-{n}" for n in range(count)).values())
        assert abs(dealt.count(0) - dealt.count(1)) <= 1
    with pytest.raises(VersionError, match="holds no source"):
        fold_version(samples, sources, 0)


def test_rows_of_a_version_go_into_the_catalog_twice_without_a_change(data):
    write_version(data, some(data))
    for _ in range(2):
        versions, samples = version_rows(data, ["some"])
        with open_catalog(data / "catalog.duckdb") as con:
            merge_tables(con, {"versions": versions, "version_samples": samples})
            assert con.execute("SELECT version, samples FROM versions").fetchall() == [("some", 5)]
            assert con.execute("SELECT count(*), sum(weight) FROM version_samples").fetchall() == [(5, 5.0)]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"name": "one"}', b'{"samples": 3}', b"\xff\xfe"])
def test_a_damaged_version_is_one_sentence(data, content):
    version = version_of("one", None, {}, read_samples(data))
    write_version(data, version).write_bytes(content)
    with pytest.raises(VersionError, match="was altered after it was written"):
        read_version(data, "one")


def test_unknown_and_impossible_names_are_one_sentence(data):
    with pytest.raises(VersionError, match="Unknown version 'none'"):
        load_data(data, micro_encode(), 0.3, "none")
    for name in ("", "../x", "a/b", ".hidden"):
        with pytest.raises(VersionError, match="is not one"):
            version_path(data, name)


def test_prioritised_sampling_follows_the_weights_and_is_a_function_of_the_position_alone(data):
    version = some(data, 8)
    heavy = [replace(sample, weight=4.0 if n == 0 else 1.0) for n, sample in enumerate(version.samples)]
    write_version(data, replace(version, name="heavy", samples=tuple(heavy)))
    split = load_data(data, micro_encode(), 0.0, "heavy")
    plain, chosen = (WindowDataset(split.train, "starter", 3, 2, prioritise=how) for how in (False, True))
    drawn = [chosen.window(position)[0] for position in range(8 * 110)]
    counts = np.bincount(drawn, minlength=8)
    assert counts[0] == pytest.approx(8 * 110 * 4 / 11, rel=0.05)
    assert counts[1:].min() > 60
    assert sorted(plain.window(position)[0] for position in range(8)) == list(range(8))
    again = WindowDataset(split.train, "starter", 3, 2, prioritise=True)
    for position in (500, 3, 41, 500):
        assert again.window(position) == chosen.window(position)
    with pytest.raises(ConfigError, match="needs weights"):
        WindowDataset(load_data(data, micro_encode(), 0.0).train, "starter", 3, 2, prioritise=True)


def test_an_epoch_by_equal_weights_sees_every_sample_once():
    for epoch in range(5):
        assert sorted(weighted_order(1, epoch, np.full(37, 0.5))) == list(range(37))
    assert VersionSample("a", "b").weight == 1
