"""Every sample's frames as latents, once, in shards of their own: float16, a fixed stride per frame, so that a
window is one pread per run of neighbouring frames.

`DATA/latents/CODEC/SHARD-SHA.f16` holds the frames back to back; the `.json` beside it, written last, says where
each sample begins. Both are named by what they were made from, so that a rerun makes only what is missing.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np

from data_catalog.base.disk import disk_errors
from data_catalog.base.files import (
    atomic,
    atomic_folder,
    is_sealed,
    read_json,
    sealed,
    sha256_json,
    write_json,
)
from data_catalog.base.large_files import sha256_of, stored_size
from data_catalog.base.locks import in_turn
from data_catalog.base.paths import DataFolder
from model.config import EncodeConfig
from model.data.codec import Codec, KLCodec, fit_patch_codec, load_codec, resize_frames
from model.data.counted import counted_cells, is_empty, regions_of
from model.data.samples import Sample, read_samples
from model.data.text import prompts_of, write_text
from model.errors import CodecError, DataError
from model.sources import EmbeddedCodec, Pretrained, SavedCodec
from pipeline.clips.fill import refill
from pipeline.picture_size import PictureSize
from pipeline.shards.tar import read_member

OnProgress = Callable[[int, int], None]
"""Called with (done, total)."""


@dataclass(frozen=True)
class EncodeResult:
    """What `encode_dataset` left on the disk."""

    codec: str
    folder: Path
    manifests: tuple[Path, ...]
    samples: int
    encoded_shards: int
    skipped_shards: int


def decode_video(mp4: bytes) -> np.ndarray:
    """All frames of a shard's own mp4 as uint8 RGB (F, H, W, 3)."""
    with av.open(io.BytesIO(mp4)) as container:
        container.streams.video[0].thread_type = "AUTO"
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def read_video(data: Path, sample: Sample, size: PictureSize) -> np.ndarray:
    """A sample's frames as uint8 RGB (F, height, width, 3) of this size, its filled area made again from its picture.

    Raises DataError if its shard is cut short, or its clips have another shape.
    """
    return resize_frames(_clip_frames(data, sample, size), size)


def read_regions(data: Path, sample: Sample, size: PictureSize) -> tuple[np.ndarray, np.ndarray | None]:
    """`read_video`'s frames, and (n, 4) rectangles of them, per frame or once, that show the picture alone."""
    frames = _clip_frames(data, sample, size)
    regions = None if sample.picture is None else regions_of(sample.picture, size_of(frames), size)
    return resize_frames(frames, size), regions


def sample_frames(data: Path, sample: Sample) -> np.ndarray:
    """The frames of a sample's mp4, (frames, H, W, 3) uint8. Raises DataError where its shard cannot be read."""
    try:
        mp4 = read_member(DataFolder(data).shards / sample.shard, sample.mp4_offset, sample.mp4_length)
    except (EOFError, FileNotFoundError) as error:
        raise DataError(
            f"Sample {sample.key} cannot be read ({error}): rebuild its shard with `longdance build`."
        ) from error
    return decode_video(mp4)


def _clip_frames(data: Path, sample: Sample, size: PictureSize) -> np.ndarray:
    """The frames as they are stored, refilled."""
    frames = sample_frames(data, sample)
    clip = size_of(frames)
    if not clip.resembles(size):
        raise DataError(
            f"Sample {sample.key} has {clip} pixels and encode.picture is {size}: set encode.picture to the shape of "
            f"the clips, as {clip} is one."
        )
    return frames if sample.picture is None else refill(frames, np.array(sample.picture))


def size_of(frames_FHWC: np.ndarray) -> PictureSize:
    """Of frames or of one picture (..., H, W, 3)."""
    return PictureSize(frames_FHWC.shape[-2], frames_FHWC.shape[-3])


def codec_folder(data: Path, config: EncodeConfig) -> Path:
    """Where the codec of this config is kept. The prompt, captions and text encoder do not matter to it."""
    pictures = config.model_copy(update={"text": None, "prompt": ""}).model_dump(mode="json", exclude={"captions"})
    return DataFolder(data).codecs / sha256_json(pictures)[:16]


def prepare_codec(data: Path, config: EncodeConfig, samples: Sequence[Sample], device: str = "cpu") -> Codec:
    """The data set's codec for this config: loaded, or made once and kept (a PCA stays as samples are added)."""
    folder = codec_folder(data, config)
    if not folder.is_dir():
        with in_turn(DataFolder(data).encoding_lock):
            if not folder.is_dir():
                _make_codec(folder, data, config, samples, device)
    return load_codec(folder, device)


def _make_codec(folder: Path, data: Path, config: EncodeConfig, samples: Sequence[Sample], device: str) -> None:
    codec: Codec
    match config.codec_source:
        case EmbeddedCodec():
            codec = fit_patch_codec(_fit_frames(data, config, samples), config.patch, config.channels)
        case SavedCodec(saved):
            codec = _saved_codec(saved, config.size, device)
        case Pretrained(name):
            codec = KLCodec(name, config.size, device)
    with atomic_folder(folder) as temp:
        codec.save(temp)


def _saved_codec(folder: Path, picture: PictureSize, device: str) -> Codec:
    """The codec that another data set was encoded with. Raises CodecError if it is for pictures of another size."""
    codec = load_codec(folder, device)
    if codec.picture != picture:
        raise CodecError(
            f"The codec in {folder} is for pictures of {codec.picture} pixels, setting 'encode.picture' is {picture}: "
            f"set it to {codec.picture}."
        )
    return codec


def _fit_frames(data: Path, config: EncodeConfig, samples: Sequence[Sample]) -> np.ndarray:
    """Frames spread evenly over at most 32 samples, chosen by the hash of their keys."""
    order = sorted(samples, key=lambda sample: hashlib.sha256(sample.key.encode()).digest())[:32]
    each = -(-config.fit_frames // len(order))
    parts = []
    for sample in order:
        frames = read_video(data, sample, config.size)
        parts.append(frames[np.linspace(0, len(frames) - 1, min(each, len(frames))).astype(int)])
    return np.concatenate(parts)


def manifest_path(data: Path, codec_hash: str, shard: str, shard_sha256: str) -> Path:
    """The manifest of one shard's latents."""
    return DataFolder(data).latents_of(codec_hash) / f"{Path(shard).stem}-{shard_sha256[:16]}.json"


def encode_dataset(
    data: Path, config: EncodeConfig, progress: OnProgress | None = None, device: str = "cpu"
) -> EncodeResult:
    """Encode every sample that has no latents yet; run again after a kill, it resumes at the next shard.

    Raises DataError (no data set, damaged shard, no room on the disk) and CodecError.
    """
    samples = read_samples(data, config.captions)
    codec = prepare_codec(data, config, samples, device)
    manifests, encoded, done = [], 0, 0
    for shard, members in by_shard(samples):
        path = manifest_path(data, codec.hash, shard, members[0].shard_sha256)
        if not is_complete(path):
            with in_turn(DataFolder(data).encoding_lock):
                if not is_complete(path):
                    encode_shard(data, shard, members, codec)
                    encoded += 1
        manifests.append(path)
        done += len(members)
        if progress:
            progress(done, len(samples))
    folder = DataFolder(data).latents_of(codec.hash)
    write_text(folder, config, prompts_of(config, [sample.caption for sample in samples]), device)
    skipped = len(manifests) - encoded
    return EncodeResult(codec.hash, folder, tuple(manifests), len(samples), encoded, skipped)


def by_shard(samples: Sequence[Sample]) -> list[tuple[str, list[Sample]]]:
    """(shard, its samples), by name."""
    found: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        found[sample.shard].append(sample)
    return sorted(found.items())


def read_manifest(path: Path) -> dict[str, Any] | None:
    """What a shard's manifest of latents says; None if it is not there or damaged: they are to be made again."""
    try:
        record = read_json(path)
    except (OSError, ValueError):
        return None
    return record if is_sealed(record) else None


def is_complete(manifest: Path) -> bool:
    """Whether a shard's latents are there, here or in object storage, as long as their manifest says."""
    record = read_manifest(manifest)
    return record is not None and has_latents(manifest, record)


def has_latents(manifest: Path, record: dict[str, Any]) -> bool:
    """The same of a manifest that was read."""
    try:
        return stored_size(manifest.parent / record["file"]) == int(record["bytes"])
    except FileNotFoundError:
        return False


def encode_shard(data: Path, shard: str, samples: Sequence[Sample], codec: Codec) -> dict[str, Any]:
    """Encode one shard's samples in the order in which they lie, and return the manifest that was written."""
    manifest = manifest_path(data, codec.hash, shard, samples[0].shard_sha256)
    digest, offset, entries = hashlib.sha256(), 0, []
    no_room = disk_errors(data, DataError, f"it continues with the latents of {shard}")
    with no_room, atomic(manifest.with_suffix(".f16")) as temp, temp.open("wb") as file:
        for sample in sorted(samples, key=lambda sample: sample.mp4_offset):
            frames = _clip_frames(data, sample, codec.picture)
            content = codec.encode(resize_frames(frames, codec.picture)).numpy().astype("<f2").tobytes()
            file.write(content)
            digest.update(content)
            entry = {"key": sample.key, "offset": offset, "frames": len(frames)}
            entries.append(entry | _counted(sample, size_of(frames), codec))
            offset += len(content)
    size = codec.picture
    record = {
        "codec": codec.hash,
        "shard": shard,
        "shard_sha256": samples[0].shard_sha256,
        "file": manifest.with_suffix(".f16").name,
        "sha256": digest.hexdigest(),
        "bytes": offset,
        "shape": [codec.channels, size.height // codec.factor, size.width // codec.factor],
        "samples": entries,
    }
    write_json(manifest, sealed(record))
    return record


def _counted(sample: Sample, clip: PictureSize, codec: Codec) -> dict[str, Any]:
    """What a sample's entry says of the latents that count, where they are not all. Raises DataError if none does."""
    if sample.picture is None:
        return {}
    cells = counted_cells(np.array(sample.picture), clip, codec)
    if is_empty(cells):
        raise DataError(
            f"Sample {sample.key} shows so little of its picture that no latent lies within it: raise encode.picture, "
            "or lower thresholds.filled and build again."
        )
    return {"counted": cells}


def latent_rows(manifest: Path) -> list[dict[str, Any]]:
    """A shard's latents as the catalog's `latents` keeps them."""
    record = read_json(manifest)
    stride = 2 * math.prod(record["shape"])
    shape = json.dumps(record["shape"])
    return [
        {
            "sample_key": entry["key"],
            "codec": record["codec"],
            "shard": record["file"],
            "offset": entry["offset"],
            "length": entry["frames"] * stride,
            "frames": entry["frames"],
            "dtype": "float16",
            "shape": shape,
        }
        for entry in record["samples"]
    ]


def latents_manifests(data: Path) -> list[Path]:
    """The manifests of all latents of a data set, of every codec."""
    return sorted(path for path in DataFolder(data).latents.glob("*/*.json") if not path.name.startswith("."))


def verify_latents(manifest: Path) -> bool:
    """Whether a shard's latents and their manifest still have the bytes that were written (reads the whole file)."""
    record = read_manifest(manifest)
    if record is None:
        return False
    path = manifest.parent / record["file"]
    return has_latents(manifest, record) and sha256_of(path) == record["sha256"]
