"""The commit points of a build: manifests, samples, shards, the catalog, decisions."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from data_catalog.base.files import names_in, read_json, remove_temps
from data_catalog.base.paths import DataFolder
from data_catalog.connection import open_catalog
from flows.catalog.decisions import decide, recorded
from flows.catalog.kept_rows import keep_and_merge
from flows.catalog.manifests import (
    mark_current,
    merge_prepared,
    merge_shards,
    rebuild_catalog,
    repair_catalog,
)
from flows.catalog.path_rows import record_paths
from pipeline.analysis import arrays
from pipeline.batches.pack_shards import _staged, encode_clips, pack_shard, unstage
from pipeline.batches.plan_samples import sample_keys
from pipeline.batches.prepare_sources import build_keys, prepare_source
from pipeline.config import AnalysisConfig, BuildConfig, ClipConfig, CropConfig, VariantConfig
from pipeline.shards.tar import manifests
from tests.pipeline.people import person
from tests.power_loss.point import Acknowledge, CommitPoint, World, same_files

CONFIG = BuildConfig(
    clips=ClipConfig(frames=25),
    crop=CropConfig(shape=64),
    analysis=AnalysisConfig(proxy_px=256),
    variants=VariantConfig(count=1),
)
KEYS = build_keys(CONFIG)
VIEWS = ("paths", "sources", "clips", "samples", "shards")
RUN = {"run": "r", "stage": "starter", "config": {"lr": 1e-4}, "data_version": "d", "code_hash": "c"}


class StandingDancer:
    """Finds one person in every picture, at once: what is tried here is what becomes of the files."""

    def find(self, rgb: np.ndarray) -> np.ndarray:
        """As `PoseFinder.find`."""
        height, width = rgb.shape[:2]
        return person(width / 2, 0.95 * height, 0.8 * height)[None].astype(np.float32)

    def find_with_masks(self, rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """As `PoseFinder.find_with_masks`."""
        return self.find(rgb), np.ones((1, *rgb.shape[:2]), bool)


def prepare_here(folder: Path, world: World) -> list[str]:
    """Analyse and tile the world's source; the ids of its clips."""
    data = DataFolder(folder)
    if world.source_id not in names_in(data.clip_set(KEYS.clip_set), ".json"):
        prepare_source(data, world.source_id, bytes(world.video), CONFIG, StandingDancer())  # type: ignore[arg-type]
    return [clip["clip_id"] for clip in read_json(data.clips(world.source_id, KEYS.clip_set))["clips"]]


def encode_here(folder: Path, world: World, clip_ids: list[str]) -> None:
    """Stage the samples of some clips."""
    counted = encode_clips(DataFolder(folder), world.source_id, bytes(world.video), clip_ids, CONFIG, StandingDancer())  # type: ignore[arg-type]
    assert not counted["clips_failed"], "the clip could not be encoded"


def packed_clips(folder: Path) -> set[str]:
    """The clips whose samples lie in shards that the build believes in; what they left staged is tidied up."""
    data, found = DataFolder(folder), set()
    for manifest in manifests(data.shards):
        unstage(data, manifest)
        found |= {sample["clip_id"] for sample in manifest["samples"]}
    return found


def pack_here(folder: Path, world: World, done: Acknowledge = lambda _: None) -> None:
    """A shard for each clip that is in none."""
    clip_ids = prepare_here(folder, world)
    packed = packed_clips(folder)
    for number, clip_id in enumerate(clip_ids):
        if clip_id not in packed:
            encode_here(folder, world, [clip_id])
            assert pack_shard(DataFolder(folder), [clip_id], CONFIG)
        done(f"shard {number}")


class Manifests(CommitPoint):
    """What was found in a source."""

    name = "manifests"

    def act(self, folder: Path, world: World, done: Acknowledge) -> None:
        """As a worker."""
        prepare_here(folder, world)
        done("source")

    def check(self, folder: Path, finished: Path, acknowledged: tuple[str, ...], world: World) -> None:
        """A manifest is believed as soon as it is there."""
        data = DataFolder(folder)
        if data.analysis(world.source_id, KEYS.analysis).with_suffix(".json").is_file():
            arrays.load(data.analysis(world.source_id, KEYS.analysis))
            same_files(folder, finished, "analysis", all_of_them=True)
        for part in ("clips", "sound"):
            same_files(folder, finished, part, all_of_them=bool(acknowledged))
        remove_temps(*data.own_folders)
        prepare_here(folder, world)
        for part in ("analysis", "clips", "sound"):
            same_files(folder, finished, part, all_of_them=True)


class Samples(CommitPoint):
    """Samples that wait for their shard."""

    name = "samples"
    after = "manifests"

    def act(self, folder: Path, world: World, done: Acknowledge) -> None:
        """Clip by clip."""
        for clip_id in prepare_here(folder, world):
            encode_here(folder, world, [clip_id])
            done(clip_id)

    def check(self, folder: Path, finished: Path, acknowledged: tuple[str, ...], world: World) -> None:
        """A sample is believed as soon as its json is there."""
        data = DataFolder(folder)
        clip_ids = prepare_here(folder, world)
        for clip_id in clip_ids:
            staged = _staged(data, clip_id, CONFIG)
            assert staged or clip_id not in acknowledged, f"{clip_id} was finished and is lost"
            for key in sample_keys(clip_id, KEYS.sample_set, CONFIG.variants.count) if staged else ():
                for kind in ("mp4", "npy", "json"):
                    whole = DataFolder(finished).staged(key, kind).read_bytes()
                    assert data.staged(key, kind).read_bytes() == whole, f"{key}.{kind} has other bytes"
        remove_temps(*data.own_folders)
        encode_here(folder, world, clip_ids)
        same_files(folder, finished, "work", all_of_them=True)


class Shards(CommitPoint):
    """Tars with their manifests."""

    name = "shards"
    after = "samples"

    def act(self, folder: Path, world: World, done: Acknowledge) -> None:
        """A shard for each clip."""
        pack_here(folder, world, done)

    def check(self, folder: Path, finished: Path, acknowledged: tuple[str, ...], world: World) -> None:
        """A shard is believed as soon as its manifest is there and its size is right."""
        data, whole = DataFolder(folder), {m["shard"]: m for m in manifests(DataFolder(finished).shards)}
        found = {manifest["shard"]: manifest for manifest in manifests(data.shards)}
        for name, manifest in found.items():
            assert manifest == whole[name], f"the manifest of {name} says something else"
            written = (DataFolder(finished).shards / name).read_bytes()
            assert (data.shards / name).read_bytes() == written, f"{name} has other bytes"
        assert len(found) >= len(acknowledged), "a finished shard is lost"
        clip_ids = prepare_here(folder, world)
        packed = packed_clips(folder)
        lost = [c for c in clip_ids if c not in packed and not _staged(data, c, CONFIG)]
        assert not lost, f"samples of {lost} were finished and are lost"
        remove_temps(*data.own_folders)
        pack_here(folder, world)
        same_files(folder, finished, "shards", all_of_them=True)


def rows_of(folder: Path) -> dict[str, list[Any]]:
    """All rows of the catalog that a build writes."""
    with open_catalog(DataFolder(folder).catalog, read_only=True) as con:
        return {view: sorted(con.execute(f"SELECT * FROM {view}").fetchall(), key=repr) for view in VIEWS}


@cache
def finished_rows(finished: Path) -> dict[str, list[Any]]:
    """The same, read once."""
    return rows_of(finished)


def merge_here(folder: Path, world: World) -> None:
    """Bring the catalog up to date, as a build does."""
    data = DataFolder(folder)
    found = {"path": bytes(world.video), "source_id": world.source_id, "size": 1, "mtime_ns": 1, "inode": 1}
    record_paths(data, [found])
    merge_prepared(data, [(world.source_id, bytes(world.video), 1)], KEYS)
    merge_shards(data, list(manifests(data.shards)))
    mark_current(data, KEYS, CONFIG)


class Catalog(CommitPoint):
    """The catalog: made, merged into, made again."""

    name = "catalog"
    after = "shards"

    def act(self, folder: Path, world: World, done: Acknowledge) -> None:
        """As a build, a training, and `catalog rebuild`."""
        data = DataFolder(folder)
        repair_catalog(data, CONFIG, KEYS)
        done("made")
        merge_here(folder, world)
        done("merged")
        keep_and_merge(data, "run-r", {"runs": [RUN]})
        done("run")
        rebuild_catalog(data, CONFIG, KEYS)
        done("rebuilt")

    def check(self, folder: Path, finished: Path, acknowledged: tuple[str, ...], world: World) -> None:
        """What is merged stays; the rest comes from the files."""
        data, whole = DataFolder(folder), finished_rows(finished)
        repair_catalog(data, CONFIG, KEYS)
        found = rows_of(folder)
        if "merged" in acknowledged:
            assert found == whole, "merged rows are lost"
        for view in ("samples", "shards"):
            assert all(row in whole[view] for row in found[view]), f"{view} hold other rows"
        with open_catalog(data.catalog, read_only=True) as con:
            runs = con.execute("SELECT run FROM runs").fetchall()
        assert runs == [("r",)] or "run" not in acknowledged, "the run's row is lost"
        merge_here(folder, world)
        assert rows_of(folder) == whole


class Decisions(CommitPoint):
    """A person's word on clips."""

    name = "decision"
    after = "catalog"

    def act(self, folder: Path, world: World, done: Acknowledge) -> None:
        """Two decisions on one clip."""
        data, clip_id = DataFolder(folder), prepare_here(folder, world)[0]
        decide(data, [clip_id], "drop", "ann", "one")
        done("drop")
        decide(data, [clip_id], "keep", "bob", "two")
        done("keep")

    def check(self, folder: Path, finished: Path, acknowledged: tuple[str, ...], world: World) -> None:
        """The newest that is on disk counts, and one that was answered is on disk."""
        data, clip_id = DataFolder(folder), prepare_here(folder, world)[0]
        rows = recorded(data)
        assert all(row in recorded(DataFolder(finished)) for row in rows), "a decision says something else"
        assert {row["decision"] for row in rows} >= set(acknowledged), "a decision is lost"
        repair_catalog(data, CONFIG, KEYS)
        newest = max(rows, key=lambda row: row["decided"])["decision"] if rows else None
        with open_catalog(data.catalog, read_only=True) as con:
            stored = con.execute("SELECT decision FROM clips WHERE clip_id = ?", [clip_id]).fetchall()
        assert stored == [(newest,)], f"the catalog says {stored} and the files {newest}"
        answer = decide(data, [clip_id], "clear", "eve", "three")
        assert answer["clips"][clip_id]["decision"] is None


BUILD_POINTS: tuple[CommitPoint, ...] = (Manifests(), Samples(), Shards(), Catalog(), Decisions())
