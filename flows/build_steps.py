"""One run of a build: batches go out to workers, manifests come back and are merged as they arrive.

The tasks are what Prefect shows. Each waits on the head for a worker, which knows nothing of Prefect.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

from prefect import task

from data_catalog.base.files import names_in
from data_catalog.base.paths import DataFolder
from data_catalog.connection import open_catalog
from flows.catalog import manifests
from flows.catalog.in_groups import in_groups
from flows.catalog.path_rows import known_ids, record_paths
from flows.progress import Progress
from flows.runners import TASK_OPTIONS
from flows.storage.home import Home
from pipeline.analysis.editing.text_model import text_model_path
from pipeline.analysis.hands.hand_model import hand_model_path
from pipeline.analysis.pose_model import pose_model_path
from pipeline.batches.forgotten import forgotten_sources
from pipeline.batches.jobs import EncodeJob, WantedClip, batches, encode_jobs, shard_groups
from pipeline.batches.pack_shards import pack_shard, unstage
from pipeline.batches.prepare_sources import BuildKeys, forget_limited, record_rejected
from pipeline.batches.sources import SourceFile, is_nameless, nameless_id
from pipeline.batches.stored_work import PackedShard, encode_shard, prepare_stored, try_to_encode
from pipeline.batches.work import (
    KILLED,
    KILLED_DETAIL,
    Hashed,
    encode,
    fail_killers,
    hash_files,
    prepare,
    reject_killer,
)
from pipeline.config import BuildConfig
from pipeline.shards import tar
from pipeline.workers.workers import (
    Worked,
    WorkerDiedError,
    Workers,
    as_completed,
    on_any_host,
    one_by_one,
    work_through,
)  # fmt: skip

logger = logging.getLogger(__name__)

_Batch = TypeVar("_Batch")
_Result = TypeVar("_Result")
PreparedSource = tuple[str, bytes, int]  # source id, path, bytes
Root = Path | str
"""Where workers find the data set: a folder, or an address in object storage."""


@task(name="hash sources", task_run_name="hash {what}", **TASK_OPTIONS)
def hash_batch(workers: Workers, files: list[SourceFile], what: str) -> Worked[SourceFile, list[Hashed]]:
    """The source ids of a batch of files."""
    return work_through(workers, hash_files, files)


@task(name="prepare sources", task_run_name="prepare {what}", **TASK_OPTIONS)
def prepare_batch(
    workers: Workers, batch: list[tuple[str, bytes]], root: Root, config: BuildConfig, model: Path, what: str
) -> Worked[tuple[str, bytes], Counter[str]]:
    """Analyse and tile a batch of sources."""
    if isinstance(root, str):
        return work_through(workers, prepare_stored, batch, root, config, model)
    return work_through(workers, prepare, batch, root, config, model)


@task(name="encode clips", task_run_name="encode {what}", **TASK_OPTIONS)
def encode_batch(
    workers: Workers, jobs: list[EncodeJob], root: Path, config: BuildConfig, model: Path, what: str
) -> Worked[EncodeJob, Counter[str]]:
    """Stage the samples of a batch of clips."""
    return work_through(workers, encode, jobs, root, config, model)


@task(name="pack shard", task_run_name="pack shard {shard}", **TASK_OPTIONS)
def pack_batch(root: Path, clip_ids: list[str], config: BuildConfig, shard: int) -> dict[str, Any] | None:
    """Move staged samples into one tar."""
    return pack_shard(DataFolder(root), clip_ids, config)


@task(name="encode shard", task_run_name="encode {what}", **TASK_OPTIONS)
def encode_stored(
    workers: Workers, jobs: list[EncodeJob], url: str, config: BuildConfig, model: Path, clip_ids: list[str], what: str
) -> Worked[EncodeJob, PackedShard]:
    """Encode a shard's clips and pack it, in one worker; where that dies, without the sources that kill it.

    Where the rest dies, too, it waits for the next run.
    """
    try:
        return Worked([on_any_host(workers, encode_shard, jobs, url, config, model, clip_ids)], [])
    except WorkerDiedError as error:
        logger.warning("A worker died (%s) at %s: its %d sources are tried one by one.", error, what, len(jobs))
    killers = one_by_one(workers, try_to_encode, jobs, url, config, model).killers
    killed = {clip_id for _, _, clips in killers for clip_id in clips}
    left, kept = [job for job in jobs if job not in killers], [clip for clip in clip_ids if clip not in killed]
    try:
        return Worked([on_any_host(workers, encode_shard, left, url, config, model, kept)], killers)
    except WorkerDiedError as error:
        logger.warning("A worker died again (%s) at %s: the next run tries again.", error, what)
        return Worked([], killers)


class Build:
    """One run of the flow: tasks go out, manifests come back and are merged as they arrive."""

    def __init__(
        self,
        home: Home,
        config: BuildConfig,
        names: BuildKeys,
        workers: Workers,
        progress: Progress,
        counters: Counter[str],
    ) -> None:
        self.home, self.folder = home, home.folder
        self.config, self.names, self.workers = config, names, workers
        self.progress, self.counters = progress, counters
        self.ids: dict[bytes, str] = {}

    def results(
        self, step: str, call: Callable[[_Batch], _Result], todo: Sequence[_Batch], size: Callable[[_Batch], int]
    ) -> Iterator[tuple[_Batch, _Result]]:
        """(batch, what came of it) in order of completion; progress counts `size` of each."""
        with self.progress.step(step, sum(map(size, todo))) as advance:
            for batch, result in as_completed(call, todo, self.workers.count):
                yield batch, result
                advance(size(batch))

    def identify(self, files: Sequence[SourceFile]) -> list[PreparedSource]:
        """Hash what is new or changed; the distinct sources, with the codes of what cannot be read recorded."""
        ids = self.ids = self._known(files)
        fresh = [file for file in files if file.path not in ids]

        def call(batch: list[SourceFile]) -> Worked[SourceFile, list[Hashed]]:
            return hash_batch(self.workers, batch, _shown([file.path for file in batch]))

        for batch, worked in self.results("hash", call, batches(fresh, self.workers.count, smallest=8), len):
            killers = [(file, nameless_id(file.path), KILLED, KILLED_DETAIL) for file in worked.killers]
            for file, source_id, code, detail in [*chain(*worked.results), *killers]:
                ids[file.path] = source_id
                if code:
                    record_rejected(self.folder, source_id, file.path, self.config, code, detail)
            self.counters["sources_hashed"] += len(batch)
        self.refuse_forgotten(files)
        record_paths(
            self.folder,
            (
                {"path": f.path, "source_id": ids[f.path], "size": f.size, "mtime_ns": f.mtime_ns, "inode": f.inode}
                for f in files
            ),
        )
        nameless = manifests.forget_nameless(self.folder, set(ids.values()), self.names)
        self.home.dropped(self.folder.clips(source_id, self.names.clip_set) for source_id in nameless)
        first: dict[str, PreparedSource] = {}
        for file in files:  # the same bytes twice are one source, under its first name
            first.setdefault(ids[file.path], (ids[file.path], file.path, file.size))
        self.counters["duplicates"] = len(files) - len(first)
        return list(first.values())

    def _known(self, files: Sequence[SourceFile]) -> dict[bytes, str]:
        """The ids of files that are as they were when they were hashed; what could not be read is not known."""
        there = {file.path: (file.size, file.mtime_ns, file.inode) for file in files}
        with open_catalog(self.folder.catalog) as con:
            known = known_ids(con)
            return {path: one for path, seen, one in known if there.get(path) == seen and not is_nameless(one)}

    def refuse_forgotten(self, files: Sequence[SourceFile]) -> None:
        """Reject what was taken back and lies in RAW again, under any settings, before it is decoded."""
        gone = forgotten_sources(self.folder)
        for file in files if gone else ():
            source_id = self.ids[file.path]
            if source_id in gone and not self.folder.clips(source_id, self.names.clip_set).is_file():
                record_rejected(self.folder, source_id, file.path, self.config, "forgotten", gone[source_id])
                self.counters["sources_forgotten"] += 1

    def prepare(self, sources: list[PreparedSource]) -> None:
        """Analyse and tile what has no clip manifest, then bring the catalog up to date."""
        limited = forget_limited(self.folder, manifests.limited_sources(self.folder, self.names), self.config)
        self.home.dropped(self.folder.clips(source_id, self.names.clip_set) for source_id in limited)
        self.home.dropped(
            self.folder.analysis(source_id, self.names.analysis).with_suffix(".json") for source_id in limited
        )
        done = names_in(self.folder.clip_set(self.names.clip_set), ".json")
        with open_catalog(self.folder.catalog) as con:
            merged = dict(
                con.execute(
                    "SELECT source_id, path_bytes FROM source_rows WHERE clip_set = ?", [self.names.clip_set]
                ).fetchall()
            )
        # A renamed source is the same source under its new name.
        stale = [s for s in sources if s[0] in done and (s[0] not in merged or bytes(merged[s[0]]) != s[1])]
        if stale:
            manifests.merge_prepared(self.folder, stale, self.names)
        # Largest first, so that no worker is left alone with a long one at the end.
        todo = sorted((s for s in sources if s[0] not in done), key=lambda s: -s[2])
        if not todo:
            return
        model = pose_model_path()
        text_model_path()  # here and not in many workers at once

        def call(batch: list[PreparedSource]) -> Worked[tuple[str, bytes], Counter[str]]:
            what = _shown([path for _, path, _ in batch])
            return prepare_batch(self.workers, [s[:2] for s in batch], self.home.root, self.config, model, what)

        with in_groups(self.merge_prepared) as groups:
            for batch, worked in self.results("prepare", call, batches(todo, self.workers.count), len):
                self.counters += sum(worked.results, Counter())
                killers = {source_id for source_id, _ in worked.killers}
                for source_id, path in worked.killers:
                    reject_killer(self.folder, source_id, path, self.config)
                self.counters["sources_killed_worker"] += len(killers)
                groups.add((source, source[0] not in killers) for source in batch)

    def merge_prepared(self, found: list[tuple[PreparedSource, bool]]) -> None:
        """Bring sources into the catalog, each with whether a worker wrote its manifest."""
        self.home.arrived(self.folder.clips(source[0], self.names.clip_set) for source, made in found if made)
        manifests.merge_prepared(self.folder, [source for source, _ in found], self.names)

    def encode(self, wanted: list[WantedClip]) -> None:
        """Encode the wanted clips batch by batch, and pack each shard as soon as its last clip is there."""
        for manifest in tar.manifests(self.folder.shards):
            unstage(self.folder, manifest)  # a build that was killed while it tidied up
        if not wanted:
            return
        if self.config.landmarks.every_frame and self.config.landmarks.hands:
            hand_model_path()  # here and not in many workers at once
        groups = shard_groups(wanted, self.config.shards.samples, 1 + self.config.variants.count)
        if isinstance(self.home.root, str):
            self.encode_stored(groups, self.home.root, pose_model_path())
        else:
            self.encode_here(groups, len(wanted), pose_model_path())

    def encode_here(self, groups: list[list[WantedClip]], total: int, model: Path) -> None:
        """Stage clips in the folder that all workers see, and pack each shard once its last one is there."""
        per_task = max(1, -(-total // 400), min(8, total // (4 * self.workers.count)))
        todo = [
            (number, group[start : start + per_task])
            for number, group in enumerate(groups)
            for start in range(0, len(group), per_task)
        ]
        waiting = Counter(number for number, _ in todo)

        def call(batch: tuple[int, list[WantedClip]]) -> Worked[EncodeJob, Counter[str]]:
            number, part = batch
            what = f"{len(part)} clip{'s' * (len(part) > 1)} of shard {number}"
            return encode_batch(self.workers, encode_jobs(part), self.folder.root, self.config, model, what)

        for (number, _), worked in self.results("encode", call, todo, lambda batch: len(batch[1])):
            self.counters += sum(worked.results, fail_killers(self.folder, worked.killers, self.config))
            waiting[number] -= 1
            if waiting[number] == 0:
                self.pack(number, groups[number])

    def pack(self, number: int, group: list[WantedClip]) -> None:
        """Pack a shard and bring the catalog up to date."""
        ids = [clip.clip_id for clip in group]
        manifest = pack_batch(root=self.folder.root, clip_ids=ids, config=self.config, shard=number)
        manifests.merge_failures(self.folder, {clip.source_id for clip in group}, self.names)
        if manifest:
            manifests.merge_shards(self.folder, [manifest])
            self.counters["shards_packed"] += 1

    def encode_stored(self, groups: list[list[WantedClip]], url: str, model: Path) -> None:
        """Have each shard encoded and packed by one worker, which puts it into the store."""

        def call(batch: tuple[int, list[WantedClip]]) -> Worked[EncodeJob, PackedShard]:
            number, group = batch
            what, ids = f"shard {number}, {len(group)} clips", [clip.clip_id for clip in group]
            return encode_stored(self.workers, encode_jobs(group), url, self.config, model, ids, what)

        for (_, group), worked in self.results("encode", call, list(enumerate(groups)), lambda batch: len(batch[1])):
            self.counters += fail_killers(self.folder, worked.killers, self.config)
            self.counters["shards_waiting"] += not worked.results
            for packed in worked.results:
                self.counters += packed.counters
                self.home.arrived(self.folder.failure(clip_id, self.names.sample_set) for clip_id in packed.failed)
                if packed.manifest:
                    manifests.merge_shards(self.folder, [packed.manifest])
                    self.counters["shards_packed"] += 1
            manifests.merge_failures(self.folder, {clip.source_id for clip in group}, self.names)


def _shown(paths: Sequence[bytes]) -> str:
    """Files for a task run's name: the first one's name, and how many more there are."""
    first = paths[0].rpartition(b"/")[2].decode("utf-8", "replace")[:60]
    return first.replace("{", "(").replace("}", ")") + (f" and {len(paths) - 1} more" if len(paths) > 1 else "")
