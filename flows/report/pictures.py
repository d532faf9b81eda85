"""Which pictures the page wants, and making them in processes of their own."""

import os
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import as_completed
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from data_catalog.base.files import atomic, read_json
from data_catalog.base.paths import DataFolder
from data_catalog.base.processes import defer_sigint, worker_pool
from data_catalog.connection import open_catalog
from flows.report.page_data import MEDIA, STORED, rollout_video
from flows.report.posters import Wanted, draw_pictures, missing
from pipeline.config import BuildConfig

Job = tuple[str, bytes | None, list[Wanted]]  # source id, its file if it is there, clips
PER_JOB = 16  # clips: a source of hours is worked on by several processes


def build_config(data: DataFolder) -> BuildConfig:
    """The config of the data set's last build; the defaults where no build is on record."""
    record = read_json(data.build_record)["config"] if data.build_record.is_file() else {}
    return BuildConfig.recorded(record)


def wanted_clips(con: duckdb.DuckDBPyConnection, clip_id: str | None = None) -> list[Job]:
    """Clips by source, each with the place of its stored video; a source that changed on disk counts as gone."""
    rows = con.execute(
        """SELECT c.source_id, p.path, p.size, p.mtime_ns, c.clip_id, s.shard, s.mp4_offset, s.mp4_length,
                  s.flac_offset, s.flac_length
           FROM clips c
           LEFT JOIN (SELECT source_id, min(path) AS path, arg_min(size, path) AS size,
                             arg_min(mtime_ns, path) AS mtime_ns FROM paths GROUP BY ALL) p USING (source_id)
           LEFT JOIN (SELECT * FROM samples WHERE variant = 0) s ON s.clip_id = c.clip_id
           WHERE $1 IS NULL OR c.clip_id = $1 ORDER BY c.source_id, c.first_frame, c.clip_id""",
        [clip_id],
    ).fetchall()
    sources: dict[str, Job] = {}
    for source_id, path, size, mtime_ns, clip, shard, offset, length, sound_offset, sound_length in rows:
        if source_id not in sources:
            there = path is not None and _same_file(bytes(path), size, mtime_ns)
            sources[source_id] = (source_id, bytes(path) if there else None, [])
        sound = None if sound_offset is None else (shard, sound_offset, sound_length)
        sources[source_id][2].append(Wanted(clip, (shard, offset, length) if shard else None, sound))
    return list(sources.values())


def _same_file(path: bytes, size: int, mtime_ns: int) -> bool:
    try:
        stat = os.stat(path)  # noqa: PTH116 (a name may be no text)
    except (OSError, ValueError):
        return False
    return (stat.st_size, stat.st_mtime_ns) == (size, mtime_ns)


def picture_jobs(data: DataFolder, media: Path) -> list[Job]:
    """What is to be drawn: clips that lack a picture which can be had, in batches of one source."""
    with open_catalog(data.catalog, read_only=True) as con:
        sources = wanted_clips(con)
    jobs: list[Job] = []
    for source_id, path, clips in sources:
        stored = ("posters", "previews", "frames") if path else ("posters", "previews")
        todo = [c for c in clips if (path or c.stored) and missing(media, c.clip_id, stored)]
        jobs += [(source_id, path, todo[i : i + PER_JOB]) for i in range(0, len(todo), PER_JOB)]
    return jobs


def draw_all(
    data: DataFolder, media: Path, jobs: Sequence[Job], workers: int, say: Callable[[int, int], None]
) -> Counter[str]:
    """Draw in processes of their own; each picture is whole or not there, so Ctrl-C loses nothing."""
    done: Counter[str] = Counter()
    total, count, config = sum(len(job[2]) for job in jobs), 0, build_config(data)
    if not jobs:
        return done
    with worker_pool(min(workers, len(jobs)), _one_thread) as pool:
        with defer_sigint():  # as are the workers, which are started here: they would have their say on stderr
            futures = {pool.submit(draw_pictures, data, media, *job, config): len(job[2]) for job in jobs}
        for future in as_completed(futures):
            done += future.result()
            count += futures[future]
            say(count, total)
    return done


def _one_thread() -> None:
    """One thread a process."""
    import cv2

    cv2.setNumThreads(1)


def pictured(media: Path, clips: pa.Table) -> np.ndarray:
    """(clips,) which pictures lie in the folder, as bits of `page_data.MEDIA`, and which clips are stored."""
    there = {kind: {path.stem for path in (media / kind).glob("*/*")} for kind in MEDIA}
    has = np.array(clips["stored"].to_pylist(), np.uint8) * STORED
    for kind, bit in MEDIA.items():
        has |= np.array([clip_id in there[kind] for clip_id in clips["clip_id"].to_pylist()], np.uint8) * np.uint8(bit)
    return np.asarray(has, np.uint8)


def copy_rollouts(data: DataFolder, media: Path) -> None:
    """Put generated videos beside the page's other pictures, so that the folder can be passed on."""
    with open_catalog(data.catalog, read_only=True) as con:
        rows = con.execute("SELECT rollout, path FROM rollouts").fetchall()
    for rollout, path in rows:
        video = rollout_video({"rollout": rollout, "path": path})
        if video and not (media / "rollouts" / video[1]).is_file():
            with atomic(media / "rollouts" / video[1]) as temp:
                shutil.copyfile(video[0], temp)


def jobs_for(data: DataFolder, clip_id: str) -> list[Job]:
    """The one job that pictures a clip, if the data set holds it."""
    with open_catalog(data.catalog, read_only=True) as con:
        return wanted_clips(con, clip_id)
