"""Latents by position: which sample is the n-th, and its frames by a few preads. No decoder, no shuffle buffer."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from data_catalog.base.files import sha256_json
from data_catalog.base.large_files import LargeFile, open_large
from data_catalog.base.paths import DataFolder
from model.config import EncodeConfig
from model.data.codec import codec_hash
from model.data.counted import Cells, counted_mask
from model.data.landmarks import LandmarkPlace, landmark_place, read_rows
from model.data.latents import codec_folder, has_latents, manifest_path, read_manifest
from model.data.outlines import MaskPlace, mask_place, read_outlines
from model.data.samples import Sample, holdout_sources, read_samples
from model.data.successors import say_forgotten
from model.data.text import prompts_of
from model.data.versions import Version, read_version
from model.errors import DataError
from model.sources import CODEC_FILE
from pipeline.picture_size import PictureSize

_OPEN_FILES = 128
"""Latent files a thread keeps open: well below the usual limit of 1,024."""


@dataclass(frozen=True)
class LatentSample:
    """One sample's latents: where they lie and what goes with them."""

    key: str
    source_id: str
    path: Path
    offset: int
    frames: int
    prompt: str
    counted: tuple[Cells, ...] | None = None
    """Of each frame, or of all, the latents that count; None: all do."""
    landmarks: LandmarkPlace | None = None
    """Where its landmarks lie; None where nobody asked for them."""
    masks: MaskPlace | None = None
    """Where its masks lie; None where it holds none, or nobody asked for them."""


@dataclass(frozen=True)
class DataIndex:
    """The samples of one side of a data set."""

    samples: tuple[LatentSample, ...]
    shape: tuple[int, int, int]
    """Channels, height and width of a frame's latents."""
    weights: tuple[float, ...] = ()
    """How often a sample is to be seen, relative to the others; empty: all equally often."""


@dataclass(frozen=True)
class SplitData:
    """A data set as one training sees it. `version` names its sample list and their bytes."""

    train: DataIndex
    holdout: DataIndex
    version: str
    codec: str
    codec_folder: Path
    latents: Path
    prompts: tuple[str, ...]


@dataclass(frozen=True)
class ChosenSamples:
    """Which samples one training sees, wherever their latents may be."""

    samples: tuple[Sample, ...]
    """All of the data set, bad ones included, in key order."""
    good: tuple[Sample, ...]
    """The good ones, and those of the version."""
    train: frozenset[str]
    holdout: frozenset[str]
    version: Version | None
    weights: dict[str, float]


def choose_samples(
    data: Path, holdout: float, version: str | None = None, captions: str | None = None
) -> ChosenSamples:
    """Split a data set by source: all good clips, or the samples of a version to train on.

    The hold-out is that of the good clips, whatever the version: it is never pruned. Raises DataError when there is
    no data set, no good clip or nothing left to train on; VersionError for a version that does not exist or whose
    bytes have changed.
    """
    samples = read_samples(data, captions)
    named = read_version(data, version) if version else None
    if named:
        say_forgotten(data, named.name)
    weights = _weights(named, samples)
    good = tuple(sample for sample in samples if sample.ok or sample.key in weights)
    if not good:
        raise DataError(f"No clip of {data} has the verdict 'ok': look at `longdance report`.")
    if named and not named.samples:
        raise DataError(f"The version {version!r} has no sample: prune less, or train without --version.")
    held = holdout_sources([sample.source_id for sample in samples], holdout)
    train = frozenset(s.key for s in good if s.source_id not in held and (s.key in weights if named else s.ok))
    if not train:
        raise DataError(f"No source of {data} is left to train on: lower the setting 'holdout' ({holdout}).")
    kept = frozenset(s.key for s in good if s.source_id in held and s.ok)
    return ChosenSamples(tuple(samples), good, train, kept, named, weights)


def load_data(
    data: Path, encode: EncodeConfig, holdout: float, version: str | None = None, pose: bool = False
) -> SplitData:
    """Index the latents of the samples that `choose_samples` splits; with `pose` their landmarks, too.

    Raises what it raises, and DataError if a sample has no latents of this codec.
    """
    chosen = choose_samples(data, holdout, version, encode.captions)
    folder = codec_folder(data, encode)
    if not (folder / CODEC_FILE).is_file():
        raise DataError(f"The data set {data} has no latents of this codec: run `longdance encode --data {data}`.")
    codec = codec_hash(folder)
    entries, rows, shape = _locate(data, codec, chosen.good, encode.prompt)
    if pose:
        places = {sample.key: landmark_place(data, sample, encode.size) for sample in chosen.good}
        masks = {sample.key: mask_place(data, sample, places[sample.key].frames) for sample in chosen.good}
        entries = [replace(entry, landmarks=places[entry.key], masks=masks[entry.key]) for entry in entries]
    train = tuple(entry for entry in entries if entry.key in chosen.train)
    weights = tuple(chosen.weights[entry.key] for entry in train) if chosen.version else ()
    return SplitData(
        train=DataIndex(train, shape, weights),
        holdout=DataIndex(tuple(entry for entry in entries if entry.key in chosen.holdout), shape),
        version=sha256_json([rows, chosen.version.hash]) if chosen.version else sha256_json(rows),
        codec=codec,
        codec_folder=folder,
        latents=DataFolder(data).latents_of(codec),
        prompts=tuple(prompts_of(encode, [sample.caption for sample in chosen.samples])),
    )


def _weights(named: Version | None, samples: Sequence[Sample]) -> dict[str, float]:
    """Sample key to weight of a version whose bytes are still the same; empty without one."""
    if named is None:
        return {}
    named.check({sample.key: sample.mp4_sha256 for sample in samples})
    return {sample.key: sample.weight for sample in named.samples}


def _locate(
    data: Path, codec: str, samples: Sequence[Sample], prompt: str
) -> tuple[list[LatentSample], list[list[str]], tuple[int, int, int]]:
    """Find each sample in its shard's manifest: entries, the rows the version is hashed from, and the shape."""
    manifests: dict[str, tuple[Path, dict, dict[str, dict]]] = {}
    entries, rows = [], []
    for sample in samples:
        if sample.shard not in manifests:
            path = manifest_path(data, codec, sample.shard, sample.shard_sha256)
            manifests[sample.shard] = _read_manifest(data, path)
        latents, record, places = manifests[sample.shard]
        if sample.key not in places:
            raise _no_latents(data)
        place = places[sample.key]
        text = sample.caption or prompt
        counted = tuple(tuple(cells) for cells in place["counted"]) if "counted" in place else None
        where = (sample.source_id, latents, place["offset"], place["frames"])
        entries.append(LatentSample(sample.key, *where, text, counted))
        rows.append([sample.key, sample.source_id, sample.shard_sha256, record["sha256"], text])
    first = next(iter(manifests.values()))[1]
    return entries, rows, (first["shape"][0], first["shape"][1], first["shape"][2])


def _read_manifest(data: Path, path: Path) -> tuple[Path, dict, dict[str, dict]]:
    record = read_manifest(path)
    if record is None:
        raise _no_latents(data)
    latents = path.parent / record["file"]
    if not has_latents(path, record):
        raise DataError(f"{latents} is missing or cut short: run `longdance encode --data {data}` to fix it.")
    return latents, record, {entry["key"]: entry for entry in record["samples"]}


def _no_latents(data: Path) -> DataError:
    return DataError(
        f"Some samples of {data} have no latents yet: run `longdance encode --data {data}`, with the encode settings "
        "that they are wanted for."
    )


def frame_runs(frames: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """Runs of consecutive frame numbers in `frames`: (place in the window, first frame, length)."""
    start = 0
    for place in range(1, len(frames) + 1):
        if place == len(frames) or frames[place] != frames[place - 1] + 1:
            yield start, frames[start], place - start
            start = place


class _OpenFiles(OrderedDict[Path, LargeFile]):
    """Open files, the least recently used first; closed with the thread that opened them."""

    def of(self, path: Path) -> LargeFile:
        """A file, opened if need be."""
        if path in self:
            self.move_to_end(path)
            return self[path]
        self[path] = open_large(path)
        if len(self) > _OPEN_FILES:
            self.popitem(last=False)[1].close()
        return self[path]

    def __del__(self) -> None:
        for file in self.values():
            file.close()


class _ThreadsOwn(threading.local):
    """A thread that closed a file which another one reads from would make it read a third."""

    def __init__(self) -> None:
        self.files = _OpenFiles()


class LatentReader:
    """Reads windows of an index with `pread`. Cheap to make; any number of threads may share it."""

    def __init__(self, index: DataIndex) -> None:
        self.index = index
        self._stride = 2 * int(np.prod(index.shape))
        self._own = _ThreadsOwn()

    def read(self, sample: int, frames: Sequence[int]) -> np.ndarray:
        """The latents (F, C, H, W) of these frames, float16. Raises DataError if the file ends too early."""
        window = np.empty((len(frames), *self.index.shape), "<f2")
        self.read_into(window, sample, frames)
        return window

    def counted(self, sample: int, frames: Sequence[int]) -> np.ndarray | None:
        """Which latents of these frames count, (F, H, W) bool; None where all do."""
        cells = self.index.samples[sample].counted
        return None if cells is None else counted_mask(cells, frames, *self.index.shape[1:])

    def landmarks(self, sample: int, frames: Sequence[int]) -> np.ndarray:
        """(F, 33, 4) landmarks of these frames, ascending, in pixels of the pictures. Raises DataError."""
        place = self.index.samples[sample].landmarks
        assert place is not None, "the data was not loaded with its poses"
        return read_rows(self._own.files.of(place.path), place, frames)

    def outlines(self, sample: int, frames: list[int], size: PictureSize) -> np.ndarray | None:
        """(F, H, W) bool, the dancer's outline in pictures of these frames; None where none is stored."""
        place = self.index.samples[sample].masks
        return None if place is None else read_outlines(place, frames, size)

    def read_into(self, window: np.ndarray, sample: int, frames: Sequence[int]) -> None:
        """The same into an array that is there already, contiguous and of that shape."""
        entry = self.index.samples[sample]
        view = memoryview(window).cast("B")  # type: ignore[arg-type]  # numpy's stubs lack the buffer protocol
        file = self._own.files.of(entry.path)
        for place, first, length in frame_runs(frames):
            part = view[place * self._stride : (place + length) * self._stride]
            if first < 0 or first + length > entry.frames:
                raise DataError(f"Sample {entry.key} has {entry.frames} frames; {first + length - 1} was asked for.")
            if file.read_into(part, entry.offset + first * self._stride) != len(part):
                raise DataError(f"{entry.path} ends inside sample {entry.key}: run `longdance encode` to fix it.")
