"""Videos from anywhere: a folder of files or of pictures, a data set's clips, a run's rollouts; frame by frame."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from data_catalog.base.errors import RejectedError
from data_catalog.base.files import read_json
from data_catalog.base.paths import DataFolder, RunFolder
from data_catalog.base.rollout_paths import RolloutFolder
from data_catalog.connection import open_catalog
from model.data.latents import decode_video
from model.data.samples import FPS, Sample, frame_rate, read_samples
from model.errors import MetricsError
from model.runs.record import read_record
from pipeline.analysis import sound_pass
from pipeline.config import LimitsConfig
from pipeline.shards.tar import read_member
from pipeline.video.ffmpeg import decode, open_source
from pipeline.video.filters import proxy_shape, sized, upright
from pipeline.video.probe import probe

VIDEOS = (".mp4", ".webm", ".mov", ".mkv", ".avi", ".gif", ".m4v")
PICTURES = (".png", ".jpg", ".jpeg", ".webp")
LONGEST = 512
"""Longer side at which a video is measured; a smaller one is not enlarged."""


@dataclass(frozen=True)
class BenchVideo:
    """A video by name. `frames` gives uint8 RGB (H, W, 3) again at each call."""

    name: str
    frames: Callable[[], Iterator[np.ndarray]]
    fps: Fraction
    path: Path | None = None
    """Its file, where that may hold sound."""
    measured: Path | None = None
    """The drift report that `generate` wrote of it; None where it did not make it."""

    def beats(self) -> np.ndarray | None:
        """Seconds of the beats of its sound; None where it has none."""
        if self.path is None:
            return None
        descriptor = open_source(os.fsencode(self.path))
        try:
            heard = sound_pass.listen(descriptor, 1e6, LimitsConfig())
        except RejectedError:
            return None
        finally:
            os.close(descriptor)
        return np.asarray(heard.beats) if heard.sounds else None


def videos_of(place: Path, data: Path, most: int, skip: Callable[[str], None] = lambda why: None) -> list[BenchVideo]:
    """The videos of a folder, of a run (its rollouts, by the catalog of `data`) or of a data set (its good clips).

    `skip` is told of what cannot be read and of what is one too many. Raises MetricsError where there is none.
    """
    skipped: list[str] = []
    if DataFolder(place).catalog.is_file():
        found = [_of_sample(place, sample) for sample in _clips(place)]
    elif RunFolder(place).record.is_file():
        found = _named(_rollouts_of(place, data), None, skipped.append)
    elif place.is_file():
        found = [_of_file(place)]
    elif place.is_dir():
        found = _of_folder(place, skipped.append)
    else:
        found = []
    if not found and skipped:
        raise MetricsError(f"No video of {place} can be read: {'; '.join(skipped)}.")
    if not found:
        raise MetricsError(f"{place} holds no video: give a folder of videos or of pictures, a run, or a data set.")
    if len(found) > most:
        skipped.append(f"{len(found) - most} more videos of {place}")
    for why in skipped:
        skip(why)
    return found[:most]


def _of_folder(place: Path, skip: Callable[[str], None]) -> list[BenchVideo]:
    """Every video file below it; where there is none, every folder of pictures, or the folder itself as one."""
    files = sorted(p for p in place.rglob("*") if p.suffix.lower() in VIDEOS and not _is_ours(p.relative_to(place)))
    if files:
        return _named(files, place, skip)
    folders = sorted({p.parent for p in place.rglob("*") if p.suffix.lower() in PICTURES})
    return [_of_pictures(folder) for folder in folders]


def _named(files: Sequence[Path], place: Path | None, skip: Callable[[str], None]) -> list[BenchVideo]:
    """Videos by the names of their files, or, where two share one, by their paths below `place`."""
    shared = {name for name, count in Counter(path.stem for path in files).items() if count > 1}
    found = []
    for path in files:
        below = path.relative_to(place) if place else path
        try:
            found.append(_of_file(path, str(below) if path.stem in shared else path.stem))
        except MetricsError as error:
            skip(str(error).rstrip("."))
    return found


def _is_ours(path: Path) -> bool:
    """Whether a file is a part of a rollout of ours, and not a video."""
    return any(part.endswith(".rollout") or part.startswith(".") for part in path.parts)


def _of_file(path: Path, name: str | None = None) -> BenchVideo:
    try:
        descriptor = open_source(os.fsencode(path))
        try:
            found = probe(descriptor, LimitsConfig())
        finally:
            os.close(descriptor)
    except RejectedError as error:
        raise MetricsError(f"{path} cannot be read as a video ({error.code}: {error.detail.rstrip('.')}).") from error
    height, width = proxy_shape(found, LONGEST)

    def frames() -> Iterator[np.ndarray]:
        descriptor = open_source(os.fsencode(path))
        try:
            graph = sized(upright(descriptor, found, LimitsConfig()), found, width, height, "area")
            with decode(graph, descriptor, (height, width), LimitsConfig()) as pictures:
                for _, picture in pictures:
                    yield cv2.cvtColor(picture, cv2.COLOR_YUV2RGB_I420)
        except RejectedError as error:
            raise MetricsError(f"{path} cannot be decoded ({error.code}: {error.detail.rstrip('.')}).") from error
        finally:
            os.close(descriptor)

    report = RolloutFolder.beside(path).metrics
    rate = Fraction(found.fps).limit_denominator(1001) if found.fps else FPS
    return BenchVideo(name or path.stem, frames, rate, path, report if report.is_file() else None)


def _of_pictures(folder: Path) -> BenchVideo:
    """Pictures in the order of their names, at 30 a second."""
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURES)

    def frames() -> Iterator[np.ndarray]:
        for path in files:
            try:
                with Image.open(path) as picture:
                    yield shrunk(np.asarray(picture.convert("RGB")))
            except (OSError, ValueError, SyntaxError) as error:  # what Pillow raises for a damaged one
                raise MetricsError(f"{path} cannot be read as a picture ({error})") from error

    return BenchVideo(folder.name, frames, FPS)


def _of_sample(data: Path, sample: Sample) -> BenchVideo:
    def frames() -> Iterator[np.ndarray]:
        try:
            content = read_member(DataFolder(data).shards / sample.shard, sample.mp4_offset, sample.mp4_length)
        except (EOFError, FileNotFoundError) as error:
            raise MetricsError(f"Clip {sample.clip_id} of {data} cannot be read any more ({error})") from error
        yield from map(shrunk, decode_video(content))

    return BenchVideo(sample.clip_id, frames, frame_rate(data, sample.clip_id) or FPS)


def shrunk(frame_HWC: np.ndarray) -> np.ndarray:
    """A frame whose longer side is at most LONGEST."""
    scale = LONGEST / max(frame_HWC.shape[:2])
    if scale >= 1:
        return frame_HWC
    height, width = (max(2, round(side * scale / 2) * 2) for side in frame_HWC.shape[:2])
    return np.asarray(cv2.resize(frame_HWC, (width, height), interpolation=cv2.INTER_AREA))


def _clips(data: Path) -> list[Sample]:
    """The plainest sample of every good clip; sources take turns, so that a few clips are of many."""
    clips: dict[str, Sample] = {}
    for sample in read_samples(data):
        if sample.ok:
            clips.setdefault(sample.clip_id, sample)
    turns: dict[str, int] = {}
    order = []
    for sample in clips.values():
        turns[sample.source_id] = turns.get(sample.source_id, 0) + 1
        order.append((turns[sample.source_id], sample.key, sample))
    return [sample for *_, sample in sorted(order, key=lambda one: one[:2])]


def _rollouts_of(run: Path, data: Path) -> list[Path]:
    """The videos that a run has a part in, by the catalog of a data set, as far as they are there."""
    if not DataFolder(data).catalog.is_file():
        raise MetricsError(
            f"{run} is a run: name the data set that knows its rollouts by --data, or give a folder of videos."
        )
    run_id = str(read_record(run)["run_id"])
    with open_catalog(DataFolder(data).catalog, read_only=True) as con:
        rows = con.execute("SELECT path, runs::VARCHAR FROM rollouts ORDER BY created, path").fetchall()
    return [Path(path) for path, runs in rows if run_id in json.loads(runs or "{}").values() and Path(path).is_file()]


def stored_report(video: BenchVideo) -> dict[str, object] | None:
    """What `generate` measured of a video of its own, on its frames before they were compressed."""
    return None if video.measured is None else dict(read_json(video.measured))
