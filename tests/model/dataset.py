"""A small data set as the build leaves it: tar shards of H.264 videos and a catalog, in well under a second."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

import av
import numpy as np

from data_catalog.connection import open_catalog
from data_catalog.writes import merge_clips, register_shards
from model.config import EncodeConfig, TrainConfig, train_config

QUICK = {"steps": 2, "checkpoint_every": 1, "validate_every": 50, "sample_every": 50}
"""Settings of a run that ends at once and measures nothing."""
ENCODE = {"picture": 32, "patch": 4, "channels": 4, "fit_frames": 32}
NETWORK = {
    "block_out_channels": (8, 16),
    "attention_levels": 1,
    "layers_per_block": 1,
    "attention_head_dim": 2,
    "norm_num_groups": 4,
}


def micro_config(stage: str = "starter", **settings: object) -> TrainConfig:
    """A training that takes a few hundredths of a second a step."""
    defaults = {
        "encode": ENCODE,
        "network": NETWORK,
        "steps": 12,
        "batch": 2,
        "workers": 0,
        "warmup": 4,
        "checkpoint_every": 3,
        "validate_every": 6,
        "sample_every": 6,
        "validation_windows": 2,
        "sample_windows": 1,
        "sample_steps": 2,
        "holdout": 0.3,
        "device": "cpu",
    }
    return train_config(stage, "tiny", **{**defaults, **settings})


def micro_encode() -> EncodeConfig:
    """The encoding that `micro_config` trains on."""
    return micro_config().encode


def moving_square(frames: int, side: int, seed: int, height: int | None = None) -> np.ndarray:
    """A bright square that wanders over a coloured gradient: uint8 (F, height or side, side, 3)."""
    generator = np.random.default_rng(seed)
    colour = generator.integers(60, 255, 3)
    ramp = np.linspace(20, 120, side, dtype=np.uint8)
    clip = np.broadcast_to(ramp[None, None, :, None], (frames, height or side, side, 3)).copy()
    speed = generator.uniform(0.2, 0.8)
    for number, frame in enumerate(clip):
        x = int((0.5 + 0.4 * np.sin(speed * number)) * (side - 8))
        frame[side // 4 : side // 4 + 8, x : x + 8] = colour
    return clip


STANDING = {
    0: (0.0, -0.36), 7: (0.03, -0.36), 8: (-0.03, -0.36), 11: (0.09, -0.24), 12: (-0.09, -0.24),
    13: (0.12, -0.1), 14: (-0.12, -0.1), 15: (0.13, 0.02), 16: (-0.13, 0.02), 23: (0.06, 0.0), 24: (-0.06, 0.0),
    25: (0.07, 0.2), 26: (-0.07, 0.2), 27: (0.07, 0.4), 28: (-0.07, 0.4),
}  # fmt: skip
"""x and y of main joints from the pelvis, in sides of the picture; the others lie with the nearest of them."""


def dancing_joints(frames: int, side: int, seed: int) -> np.ndarray:
    """(F, 33, 4) float32 landmarks of somebody who sways and swings her arms in a picture of that side."""
    generator, t = np.random.default_rng(seed), np.arange(frames)
    near = [max((j for j in STANDING if j <= joint), default=0) for joint in range(33)]
    points = np.tile(np.array([STANDING[joint] for joint in near]), (frames, 1, 1)) * side
    points += (0.5 * side, 0.52 * side)
    sway = np.sin(generator.uniform(0.15, 0.4) * t + generator.uniform(0, 6))
    points[..., 0] += 0.06 * side * sway[:, None]
    for joints, sign in (((13, 15, 17, 19, 21), -1), ((14, 16, 18, 20, 22), 1)):
        points[:, joints, 1] += sign * 0.1 * side * sway[:, None]
    return np.concatenate([points, np.zeros((frames, 33, 1)), np.ones((frames, 33, 1))], -1).astype(np.float32)


def npy_bytes(array: np.ndarray) -> bytes:
    """What `np.save` writes."""
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def add_member(tar: tarfile.TarFile, name: str, content: bytes) -> tuple[int, int]:
    """Append a file to a tar; the offset of its bytes, and how many there are."""
    member = tarfile.TarInfo(name)
    member.size = len(content)
    place = tar.offset + 512
    tar.addfile(member, io.BytesIO(content))
    return place, len(content)


def spoiled_outside(frames_FHWC: np.ndarray, picture: list[list[int]], seed: int) -> np.ndarray:
    """The frames with noise outside of the rectangle that all of them, or each, shows the picture in.

    A few pixels around it stay: colours are stored at half the size, and averaged on the way there.
    """
    noise = np.random.default_rng(seed).integers(0, 256, frames_FHWC.shape).astype(np.uint8)
    for number, frame in enumerate(frames_FHWC):
        x0, y0, x1, y1 = picture[number if len(picture) > 1 else 0]
        kept = slice(max(0, y0 - 4), y1 + 4), slice(max(0, x0 - 4), x1 + 4)
        noise[number][kept] = frame[kept]
    return noise


def encode_mp4(frames_FHWC: np.ndarray, crf: int = 18) -> bytes:
    """An H.264 mp4 of these frames; lossless at 0."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=30, options={"crf": str(crf), "preset": "ultrafast"})
        stream.height, stream.width = frames_FHWC.shape[1:3]
        stream.pix_fmt = "yuv420p"
        for picture in frames_FHWC:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return buffer.getvalue()


def make_dataset(
    data: Path, *, sources: int = 4, clips_per_source: int = 2, frames: int = 25, side: int = 32,
    height: int | None = None, picture: list[list[int]] | None = None, spoil: int | None = None,
) -> Path:  # fmt: skip
    """Two shards of `sources * clips_per_source` clips; returns `data`.

    picture: where odd sources' clips show their source's picture; what lies outside of it is noise of seed `spoil`.
    """
    (data / "shards").mkdir(parents=True)
    clips, shards, samples = [], [], []
    for number in range(2):
        name = f"shard-{number}.tar"
        path = data / "shards" / name
        mine = [(s, c) for s in range(sources) for c in range(clips_per_source) if s % 2 == number]
        with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
            for source, clip in mine:
                key = f"s{source}c{clip}v0"
                clip_FHWC = moving_square(frames, side, 100 * source + clip, height)
                filled = picture if source % 2 else None
                if filled is not None and spoil is not None:
                    clip_FHWC = spoiled_outside(clip_FHWC, filled, spoil)
                content = encode_mp4(clip_FHWC, 18 if spoil is None else 0)
                landmarks = dancing_joints(frames, side, 100 * source + clip)
                mp4 = add_member(tar, f"{key}.mp4", content)
                meta = add_member(tar, f"{key}.json", json.dumps({"size": [side, height or side]}).encode())
                npy = add_member(tar, f"{key}.npy", npy_bytes(landmarks))
                clips.append(
                    {
                        "clip_id": key[:-2],
                        "source_id": f"source-{source}",
                        "frames": frames,
                        "start_s": 10.0 * clip,
                        "end_s": 10.0 * clip + frames / 30,
                        "motion_energy": 1.0 + source + 0.1 * clip,
                    }
                )
                samples.append(
                    {
                        "sample_key": key,
                        "clip_id": key[:-2],
                        "variant": 0,
                        "shard": name,
                        "mp4_offset": mp4[0],
                        "mp4_length": mp4[1],
                        "json_offset": meta[0],
                        "json_length": meta[1],
                        "npy_offset": npy[0],
                        "npy_length": npy[1],
                        "picture": filled,
                        "mp4_sha256": hashlib.sha256(content).hexdigest(),
                    }
                )
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        shards.append({"shard": name, "samples": len(mine), "bytes": path.stat().st_size, "sha256": digest})
    with open_catalog(data / "catalog.duckdb") as catalog:
        merge_clips(catalog, clips)
        register_shards(catalog, shards, samples)
    return data
