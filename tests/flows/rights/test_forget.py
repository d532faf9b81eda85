"""A source that is taken back leaves no byte, everything that had it is named, and a kill changes nothing."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_catalog.base.errors import LongdanceError
from data_catalog.base.files import read_sealed
from data_catalog.base.paths import DataFolder, RunFolder
from data_catalog.connection import open_catalog
from flows.catalog.decisions import decide
from flows.catalog.export_rows import merge_exports
from flows.catalog.kept_rows import keep_and_merge
from flows.catalog.manifests import rebuild_from_record
from flows.catalog.scoring_rows import merge_ledger, merge_version_files
from flows.report.report import write_report
from flows.rights.forget import forget
from flows.rights.plan import find_source, planned
from flows.storage.home import Home
from flows.train_stage import register_run
from model.data.dataset import choose_samples
from model.data.latents import encode_dataset, latents_manifests, verify_latents
from model.data.samples import read_samples
from model.data.versions import version_of, write_version
from model.errors import VersionError
from model.exports.config import export_config
from model.exports.export_data import export_data
from model.scoring.ledger import LOSSES, Fragment, write_fragment
from model.training.train import train
from pipeline.batches.forgotten import forgotten_sources, record_path
from pipeline.batches.rights import keep_rights
from pipeline.shards.tar import manifests, read_member
from pipeline.shards.verify import verify_shards
from tests.model.dataset import ENCODE, QUICK, micro_config

WHY = "she asked on 3 May"


def sources_of(data: DataFolder) -> list[str]:
    with open_catalog(data.catalog, read_only=True) as con:
        return [source for (source,) in con.execute("SELECT source_id FROM sources ORDER BY source_id").fetchall()]


@pytest.fixture(scope="module")
def lived_in(drawn: DataFolder, tmp_path_factory: pytest.TempPathFactory) -> DataFolder:
    """A data set with all that people and trainings leave in one: versions, latents, losses, marks, pictures."""
    root = tmp_path_factory.mktemp("lived")
    data = DataFolder(Path(shutil.copytree(drawn.root, root / "data")))
    keys = read_samples(data.root)
    for name, held in (("all", keys), ("other", [s for s in keys if s.source_id != sources_of(data)[0]])):
        write_version(data.root, version_of(name, None, {"made": name}, held))
        merge_version_files(data.root, [name])
    encode = {**ENCODE, "picture": "32x64"}
    config = micro_config(encode=encode, version="all", holdout=0, **QUICK)
    encode_dataset(data.root, config.encode)
    train(data.root, root / "run", config)
    register_run(Home(data), root / "run", "finished")
    latents = read_sealed(latents_manifests(data.root)[0])
    losses = pa.table(
        {"sample_key": [s.key for s in keys], "window": [0] * len(keys), "bin": [0] * len(keys), "k": [0] * len(keys),
         "log_snr": [0.5] * len(keys), "loss": [float(i) for i in range(len(keys))], "change": [1.0] * len(keys)},
        LOSSES,
    )  # fmt: skip
    named = ("run-a", "checkpoint-a", "starter", "bank", {}, latents["shard"], latents["sha256"], 0, 1)
    write_fragment(data.root, Fragment(*named, tuple(s.key for s in keys)), losses)
    merge_ledger(data.root)
    data.scores.mkdir()
    worth = pa.table({"evidence": ["ab"] * len(keys), "sample_key": [s.key for s in keys]})
    pq.write_table(worth, data.scores / "ab.parquet", write_page_checksum=True)
    decide(data, [keys[0].clip_id, keys[-1].clip_id], "keep", "anna", "")
    lines = "".join(f"{source},a dance by {source[:4]}\n" for source in sources_of(data))
    data.captions.write_text("source_id,caption\n" + lines)
    clip = next(s.clip_id for s in keys if s.source_id == sources_of(data)[0])
    rollout = {
        "rollout": "one", "path": "/videos/by-picture.mp4", "plan": "origin", "seed": 1, "runs": "{}", "config": "{}",
        "metrics": json.dumps({"clip": clip}), "created": datetime(2026, 11, 29),
    }  # fmt: skip
    keep_and_merge(data, "rollout-one", {"rollouts": [rollout, rollout | {"rollout": "two", "metrics": "{}"}]})
    (root / "raw").mkdir()
    (root / "raw" / "sources.csv").write_text(
        "source_id,licence,creator\n" + "".join(f"{s},cc-by,{s[:4]}\n" for s in sources_of(data))
    )
    keep_rights(data, root / "raw", {s.encode(): s for s in sources_of(data)})
    rebuild_from_record(data)
    write_report(data, None, True, 1, lambda *_: None)
    export_data(data.root, root / "taken", export_config(to="hf"))
    merge_exports(data)
    return data


@pytest.fixture
def data(lived_in: DataFolder, tmp_path: Path) -> DataFolder:
    return DataFolder(Path(shutil.copytree(lived_in.root, tmp_path / "data")))


def traces(data: DataFolder, source: str) -> dict[str, list[bytes]]:
    """Bytes that could only come from the source: pieces of its members, of its landmarks, of its latents; hashes."""
    keys = [sample for sample in read_samples(data.root) if sample.source_id == source]
    found: dict[str, list[bytes]] = {"members": [], "latents": [], "hashes": []}
    for manifest in manifests(data.shards):
        for row in manifest["samples"]:
            if row["sample_key"] in {sample.key for sample in keys}:
                for kind in ("mp4", "npy", "flac", "mask"):
                    whole = read_member(data.shards / manifest["shard"], row[f"{kind}_offset"], row[f"{kind}_length"])
                    middle = len(whole) // 2
                    found["members"] += [whole[middle : middle + 64], whole[-200:-136]]
                    found["hashes"].append(hashlib.sha256(whole).hexdigest().encode())
    for path in latents_manifests(data.root):
        record = read_sealed(path)
        for entry in record["samples"]:
            if entry["key"] in {sample.key for sample in keys}:
                with path.with_suffix(".f16").open("rb") as file:
                    file.seek(entry["offset"])
                    found["latents"].append(file.read(4096)[-64:])
    found["pictures"] = [p.read_bytes() for s in keys for p in data.root.rglob(f"{s.clip_id}.*") if p.suffix == ".jpg"]
    found["analysis"] = [np.load(path)["thumbs"].tobytes()[:200] for path in data.root.rglob(f"{source}.npz")]
    return found


def holding(data: DataFolder, pieces: list[bytes]) -> list[Path]:
    files = [path for path in data.root.rglob("*") if path.is_file()]
    return [path for path in files if any(piece in path.read_bytes() for piece in pieces)]


def test_no_byte_of_the_source_stays_and_what_had_it_is_named(data, lived_in):
    source = sources_of(data)[0]
    before = traces(data, source)
    assert all(before.values())
    for kind, pieces in before.items():
        assert holding(data, pieces), f"the test looks for {kind} that are not there"
    others = {s.key: s.mp4_sha256 for s in read_samples(data.root) if s.source_id != source}
    record = forget(data, source, WHY)
    for kind, pieces in before.items():
        assert not holding(data, pieces), kind
    # The names alone: of the record, and of the lineage of what had it.
    named = {path.relative_to(data.root).parts[0] for path in holding(data, [source.encode(), source[:16].encode()])}
    assert named <= {"forgotten", "versions", "rows", "exports", "catalog.duckdb"}
    seen = record["seen_by"]
    run = lived_in.root.parent / "run"
    assert seen["rollouts"] == ["/videos/by-picture.mp4"]
    assert seen["versions"] == ["all"]
    assert len(seen["runs"]) == 1
    assert seen["checkpoints"] == [str(path) for path in sorted(RunFolder(run).checkpoints.iterdir())]
    assert seen["exports"] == [f"{lived_in.root.parent / 'taken'} (hf)"]
    assert len(seen["codecs"]) == 1
    assert {s.key: s.mp4_sha256 for s in read_samples(data.root)} == others
    check_whole(data)


def check_whole(data: DataFolder) -> None:
    """`longdance verify` finds nothing."""
    assert [wrong for _, problems in verify_shards(data.shards, decode=True) for wrong in problems] == []
    assert latents_manifests(data.root)
    assert all(verify_latents(path) for path in latents_manifests(data.root))


def test_the_others_keep_latents_losses_marks_captions_and_rights(data):
    source = sources_of(data)[0]
    with open_catalog(data.catalog, read_only=True) as con:
        losses = dict(con.execute("SELECT sample_key, loss FROM losses").fetchall())
    kept = [sample for sample in read_samples(data.root) if sample.source_id != source]
    forget(data, source, WHY)
    with open_catalog(data.catalog, read_only=True) as con:
        now = dict(con.execute("SELECT sample_key, loss FROM losses").fetchall())
        rights = con.execute("SELECT DISTINCT licence, creator FROM sources").fetchall()
        worth = con.execute("SELECT count(*) FROM worth").fetchall()
    assert now == {sample.key: losses[sample.key] for sample in kept}
    assert worth == [(len(kept),)]
    assert {creator for _, creator in rights} == {sample.source_id[:4] for sample in kept}
    assert {s.caption for s in read_samples(data.root)} == {f"a dance by {s.source_id[:4]}" for s in kept}
    encode = {**ENCODE, "picture": "32x64"}
    result = encode_dataset(data.root, micro_config(encode=encode).encode)
    assert (result.encoded_shards, result.skipped_shards) == (0, 1)


def test_an_old_version_says_what_is_missing_and_names_its_successor(data):
    source = sources_of(data)[0]
    os.utime(data.versions / "all.json", (1e9, 1e9))
    forget(data, source, WHY)
    with open_catalog(data.catalog, read_only=True) as con:
        assert con.execute("SELECT year(created) FROM versions WHERE version = 'all'").fetchall() == [(2001,)]
    with pytest.raises(VersionError, match=rf"has lost 2 samples .*she asked.*'all-without-{source[:8]}'"):
        choose_samples(data.root, 0, "all")
    after = choose_samples(data.root, 0, f"all-without-{source[:8]}")
    assert len(after.train) == 4
    assert choose_samples(data.root, 0, "other").train == after.train
    with open_catalog(data.catalog, read_only=True) as con:
        [(parent,)] = con.execute("SELECT parent FROM versions WHERE version LIKE 'all-without-%'").fetchall()
        [(why, seen)] = con.execute("SELECT why, seen_by ->> '$.versions[0]' FROM forgotten").fetchall()
    assert (parent, why, seen) == ("all", WHY, "all")


def tree(data: DataFolder) -> dict[str, str]:
    """Every file's hash; not of the catalog, which is compared by its rows, of locks, or of the time of the record."""
    files = {str(p.relative_to(data.root)): p for p in data.root.rglob("*") if p.is_file()}
    skipped = ("catalog.duckdb", ".lock")
    hashes = {n: hashlib.sha256(p.read_bytes()).hexdigest() for n, p in files.items() if not n.endswith(skipped)}
    return {name: "" if name.startswith("forgotten/") else value for name, value in hashes.items()}


def rows(data: DataFolder) -> list[object]:
    views = ("sources", "clips", "samples", "shards", "version_samples", "losses", "runs", "decisions")
    with open_catalog(data.catalog, read_only=True) as con:
        return [sorted(con.execute(f"SELECT * FROM {view}").fetchall(), key=repr) for view in views]


def killed_at(operation: int, act: Callable[[], object]) -> bool:
    """Do it in a child that is killed before its n-th rename or removal of a file; whether it came so far."""
    child = os.fork()
    if child == 0:
        done = 0

        def counted(function: Callable[..., object]) -> Callable[..., object]:
            def call(*arguments: object, **named: object) -> object:
                nonlocal done
                done += 1
                if done > operation:
                    os.kill(os.getpid(), signal.SIGKILL)
                return function(*arguments, **named)

            return call

        for name in ("unlink", "replace", "rename"):
            setattr(Path, name, counted(getattr(Path, name)))
        try:
            act()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def test_a_kill_at_any_moment_and_the_same_command_end_the_same(lived_in, tmp_path):
    source = sources_of(lived_in)[0]
    undisturbed = DataFolder(Path(shutil.copytree(lived_in.root, tmp_path / "undisturbed" / "data")))
    forget(undisturbed, source, WHY)
    wanted, wanted_rows = tree(undisturbed), rows(undisturbed)
    operation, step = 0, 5
    while True:
        data = DataFolder(Path(shutil.copytree(lived_in.root, tmp_path / str(operation) / "data")))
        killed = killed_at(operation, lambda data=data: forget(data, source, WHY))  # type: ignore[misc]
        forget(data, source, WHY)
        assert tree(data) == wanted, operation
        assert rows(data) == wanted_rows, operation
        check_whole(data)
        shutil.rmtree(data.root.parent)
        if not killed:
            break
        operation += step
    assert operation > 6 * step


def test_a_half_forgotten_source_stops_a_build_and_a_forgotten_one_is_refused(data):
    source = sources_of(data)[0]
    assert killed_at(3, lambda: forget(data, source, WHY))
    with pytest.raises(LongdanceError, match="was stopped: run `longdance forget"):
        forgotten_sources(data)
    forget(data, source, WHY)
    assert WHY in forgotten_sources(data)[source]


def test_a_rehearsal_names_it_all_and_changes_nothing(data):
    before, source = tree(data), sources_of(data)[0]
    record, begun = planned(data, source, WHY)
    assert not begun
    assert record["seen_by"]["versions"] == ["all"]
    assert len(record["samples"]) == 2
    assert tree(data) == before
    assert not record_path(data, source).exists()


@pytest.mark.parametrize("named", ["d3.mp4", "nobody.mp4", "d"])
def test_a_source_is_found_by_its_name_and_one_that_is_not_there_is_one_sentence(data, named):
    if named == "d3.mp4":
        assert forget(data, named, WHY)["stage"] == "done"
        assert forget(data, named, WHY)["stage"] == "done"
    else:
        with pytest.raises(LongdanceError, match=r"names no source of .*give the path or the id"):
            forget(data, named, WHY)


@pytest.mark.parametrize("again", ["path", "name", "folder and name", "id", "beginning of the id"])
def test_a_source_that_was_taken_back_is_found_by_every_name_that_it_had(data, again):
    with open_catalog(data.catalog, read_only=True) as con:
        source, path = con.execute("SELECT source_id, path FROM sources WHERE path LIKE '%d3.mp4'").fetchone()
    forget(data, source, WHY)
    names = {
        "path": path, "name": "d3.mp4", "folder and name": "/".join(Path(path).parts[-2:]), "id": source,
        "beginning of the id": source[:10],
    }  # fmt: skip
    assert forget(data, names[again], WHY)["stage"] == "done"


def test_another_file_where_one_was_taken_back_is_another_source(data):
    first, second = sources_of(data)[:2]
    with open_catalog(data.catalog, read_only=True) as con:
        path = con.execute("SELECT path FROM sources WHERE source_id = $1", [first]).fetchone()[0]
    forget(data, path, WHY)
    with open_catalog(data.catalog) as con:
        con.execute("UPDATE path_rows SET shown = $1 WHERE source_id = $2", [path, second])
    assert find_source(data, path) == second
    assert find_source(data, first) == first
    assert killed_at(9, lambda: forget(data, path, WHY))
    with open_catalog(data.catalog) as con:
        con.execute("INSERT INTO path_rows SELECT * REPLACE ($1 AS shown) FROM path_rows LIMIT 1", [path])
    assert find_source(data, path) == second, "what was begun is ended first"
    forget(data, path, WHY)
    assert find_source(data, path) in {first, second}


CAPTIONS = {
    "spaces around the id": b"clip_id,caption\n %s ,SAID OF HER\n",
    "too many values": b"clip_id,caption\n%s,SAID OF HER,and,more\nother,kept\n",
    "another alphabet": b"clip_id,caption\n%s,SAID OF HER \xe9\nother,d\xe9j\xe0\n",
    "semicolons": b"clip_id;caption\n%s;SAID OF HER\nother;kept\n",
    "other columns": b"who,caption,clip_id\nann,SAID OF HER,%s\n",
}


@pytest.mark.parametrize("kind", CAPTIONS)
def test_no_caption_of_hers_stays_however_the_list_was_written(data, kind):
    source = sources_of(data)[0]
    clip = next(s.clip_id for s in read_samples(data.root) if s.source_id == source)
    data.captions.write_bytes(CAPTIONS[kind].replace(b"%s", clip.encode()))
    forget(data, source, WHY)
    rest = data.captions.read_bytes()
    assert b"SAID OF HER" not in rest
    assert b"caption" in rest
    assert (b"other" in rest) == (b"other" in CAPTIONS[kind])


def test_a_list_that_cannot_be_read_line_by_line_stops_it_before_anything_goes(data):
    source, before = sources_of(data)[0], tree(data)
    data.captions.write_bytes(b'clip_id,caption\none,"SAID OF HER\nother,kept\n')
    with pytest.raises(LongdanceError, match="is no CSV file"):
        forget(data, source, WHY)
    assert tree(data).keys() == before.keys()
    assert b"kept" in data.captions.read_bytes()


def test_what_sources_csv_says_of_a_source_that_was_taken_back_is_not_kept_again(data, lived_in):
    source = sources_of(data)[0]
    raw = lived_in.root.parent / "raw"
    everything = {one.encode(): one for one in sources_of(data)}
    forget(data, source, WHY)
    keep_rights(data, raw, everything, forgotten_sources(data))
    assert source not in data.rights.read_text()
    assert len(json.loads(data.rights.read_text())) == len(everything) - 1


def test_the_last_source_of_a_data_set_can_be_taken_back(data):
    for source in sources_of(data):
        forget(data, source, WHY)
    assert not list(data.shards.glob("*"))
    assert not latents_manifests(data.root)
    assert sources_of(data) == []
    assert not list(data.root.rglob("*.npz"))
