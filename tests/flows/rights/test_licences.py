"""A licence decides what a version holds and what is exported; a forgotten source in RAW is refused by a real build."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest

from data_catalog.base.files import write_json
from data_catalog.base.paths import DataFolder
from data_catalog.connection import open_catalog
from flows.catalog.rights_rows import merge_rights
from flows.rights.forget import forget
from model.data.samples import read_samples
from model.data.versions import Version, VersionSample, bytes_hash, write_version
from model.errors import DataError, VersionError
from model.exports.config import export_config
from model.exports.export_data import export_data
from model.scoring.policy import policy
from model.scoring.score_table import version_samples
from tests.flows.conftest import build
from tests.model.dataset import make_dataset

FREE = ("source-0", "source-2")


@pytest.fixture
def data(tmp_path: Path) -> DataFolder:
    """Two of four sources are CC0, one is all rights reserved, of one nothing is known."""
    folder = DataFolder(make_dataset(tmp_path / "data"))
    rights = {source: {"licence": "CC0", "creator": source.upper()} for source in FREE}
    write_json(folder.rights, {**rights, "source-1": {"licence": "all rights reserved"}})
    with open_catalog(folder.catalog) as con:
        con.execute("INSERT INTO source_rows (source_id, current) SELECT DISTINCT source_id, true FROM clip_rows")
    merge_rights(folder)
    return folder


def test_licences_are_columns_of_sources_and_clips(data):
    with open_catalog(data.catalog, read_only=True) as con:
        rows = con.execute("SELECT source_id, licence, creator FROM sources ORDER BY 1").fetchall()
        clips = con.execute("SELECT DISTINCT source_id, licence FROM clips ORDER BY 1").fetchall()
    assert rows[0] == ("source-0", "CC0", "SOURCE-0")
    assert dict(clips) == {
        "source-0": "CC0", "source-1": "all rights reserved", "source-2": "CC0", "source-3": None,
    }  # fmt: skip


def test_a_policy_keeps_only_what_has_its_licence_whatever_was_marked(data):
    stored = read_samples(data.root)
    kept = version_samples(data.root, None, stored, [], [], policy(licences="CC0"))
    assert {sample.source_id for sample in kept} == set(FREE)
    with pytest.raises(VersionError, match="No good sample has the licence MIT"):
        version_samples(data.root, None, stored, [], [], policy(licences="MIT"))


def test_an_export_of_such_a_version_holds_no_other_source_in_either_split_and_names_the_creators(data, tmp_path):
    stored = read_samples(data.root)
    chosen = policy(licences="CC0")
    kept = version_samples(data.root, None, stored, [], [], chosen)
    about = {"config": chosen.model_dump(mode="json")}
    samples = tuple(VersionSample(sample.key, bytes_hash(sample)) for sample in kept)
    write_version(data.root, Version("free", None, about, samples))
    made = export_data(data.root, tmp_path / "out", export_config(to="hf", version="free", holdout=0.5))
    assert sum(counts["items"] for counts in made["counts"].values()) == 4
    with (tmp_path / "out" / "hf" / "ATTRIBUTION.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["source_id"], row["licence"], row["creator"], row["samples"]) for row in rows] == [
        (source, "CC0", source.upper(), "2") for source in FREE
    ]
    assert "* 4 samples: CC0" in (tmp_path / "out" / "hf" / "README.md").read_text()
    with pytest.raises(DataError, match="has the licence MIT"):
        export_data(data.root, tmp_path / "other", export_config(to="hf", licences=("MIT",)))


def test_a_build_reads_the_list_and_refuses_a_forgotten_source_under_any_settings(raw, server, tmp_path):
    mine = Path(shutil.copytree(raw, tmp_path / "raw"))
    (mine / "sources.csv").write_text("path,licence,creator\nfirst.mp4,CC0,Anna\n")
    data = DataFolder(tmp_path / "data")
    build(mine, data.root, server)
    with open_catalog(data.catalog, read_only=True) as con:
        rows = con.execute("SELECT source_id, status, licence FROM sources WHERE path LIKE '%first.mp4'").fetchall()
    [(source, status, licence)] = rows
    assert (status, licence) == ("ok", "CC0")
    forget(data, "first.mp4", "she asked")
    for more in ([], ["--frames", "20"]):
        build(mine, data.root, server, *more)
        with open_catalog(data.catalog, read_only=True) as con:
            told = con.execute("SELECT status, reason, detail FROM sources WHERE source_id = ?", [source]).fetchall()
            clips = con.execute("SELECT count(*) FROM clips WHERE source_id = ?", [source]).fetchall()
        [(status, reason, detail)] = told
        assert (status, reason, clips) == ("rejected", "forgotten", [(0,)])
        assert "she asked" in detail
