"""Data sets with planted samples: drawn dancers, one in ten spoiled in a known way, in shards and a catalog."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np

from bench.clips import write_mp4
from data_catalog.connection import open_catalog
from data_catalog.writes import merge_clips, register_shards
from pipeline.shards.tar import ShardSample, write_shard
from pipeline.synthetic.synth import SynthVideo, write_video

FRAMES, SIDE = 49, 96
SHARE = 0.1
SHARD = 32
Clip = tuple[np.ndarray, np.ndarray]
"""Frames (F, H, W, 3) and main joints (F, J, 2) in pixels."""


def noise(clip: Clip, generator: np.random.Generator) -> Clip:
    """A broken sensor: noise as strong as the picture."""
    frames, joints = clip
    return (frames + generator.normal(0, 70, frames.shape)).clip(0, 255).astype(np.uint8), joints


def shuffled(clip: Clip, generator: np.random.Generator) -> Clip:
    """Frames in any order."""
    order = generator.permutation(len(clip[0]))
    return clip[0][order], clip[1][order]


def misaligned(clip: Clip, generator: np.random.Generator) -> Clip:
    """A crop that follows something else: its place is drawn again every third frame, up to a quarter away."""
    places = generator.uniform(-0.25, 0.25, (len(clip[0]) // 3 + 1, 2)) * clip[0].shape[1]
    return _moved(clip, np.repeat(places, 3, axis=0)[: len(clip[0])])


def duplicated(clip: Clip, generator: np.random.Generator) -> Clip:
    """Blocks of four frames, each drawn from the whole clip: time jumps."""
    starts = generator.integers(0, len(clip[0]) - 4, len(clip[0]) // 4 + 1)
    order = (starts[:, None] + np.arange(4)).ravel()[: len(clip[0])]
    return clip[0][order], clip[1][order]


def shaken(clip: Clip, generator: np.random.Generator) -> Clip:
    """Heavy camera shake: every frame elsewhere, with a deviation of 6 % of the picture."""
    return _moved(clip, generator.normal(0, 0.06, (len(clip[0]), 2)) * clip[0].shape[1])


def _moved(clip: Clip, by: np.ndarray) -> Clip:
    frames, joints = clip
    size = frames.shape[2], frames.shape[1]
    moved = [
        cv2.warpAffine(frame, np.array([[1, 0, x], [0, 1, y]], np.float32), size, borderMode=cv2.BORDER_REFLECT)
        for frame, (x, y) in zip(frames, by)
    ]
    return np.stack(moved), joints + by[:, None]


SPOIL: dict[str, Callable[[Clip, np.random.Generator], Clip]] = {
    "noise": noise,
    "shuffled": shuffled,
    "misaligned": misaligned,
    "duplicated": duplicated,
    "shaken": shaken,
}


def make_spoiled(data: Path, sources: int, seed: int) -> dict[str, str]:
    """A data set of one clip a source; returns sample key to `honest` or how it was spoiled.

    The motion on record is what a pose tracker sees: joint speed in pixels a frame at 512, after the spoiling.
    """
    generator = np.random.default_rng([seed, 1])
    work, kinds = data / "work", list(SPOIL) * sources
    work.mkdir(parents=True)
    spoiled = dict(zip(generator.permutation(sources)[: round(SHARE * sources)].tolist(), kinds))
    clips, samples, truth = [], [], {}
    for number in range(sources):
        kind = spoiled.get(number, "honest")
        clip = _drawn(number, seed, work)
        frames, joints = SPOIL[kind](clip, generator) if kind != "honest" else clip
        speed = float(np.linalg.norm(np.diff(joints, axis=0), axis=-1).mean()) * 512 / frames.shape[1]
        key = f"clip{number:05d}v0"
        truth[key] = kind
        clips.append(
            {"clip_id": key[:-2], "source_id": f"{seed}-{number}", "motion_energy": speed, "frames": FRAMES,
             "start_s": 0.0, "end_s": FRAMES / 30}
        )  # fmt: skip
        samples.append(_sample(key, frames, work))
    (data / "shards").mkdir()
    with open_catalog(data / "catalog.duckdb") as catalog:
        merge_clips(catalog, clips)
        for start in range(0, sources, SHARD):
            manifest = write_shard(data / "shards" / f"{start:05d}.tar", samples[start : start + SHARD], "spoiled")
            rows = manifest.pop("samples")
            register_shards(catalog, [{**manifest, "samples": len(rows)}], rows)
    return truth


def _drawn(number: int, seed: int, work: Path) -> Clip:
    """A dancer on 256 pixels, made small; every fifth is filmed at half the rate, so dances twice as fast."""
    stride = 2 if number % 5 == 0 else 1
    name = f"dance{number:05d}"
    spec = SynthVideo(
        name=name, seed=10_000 * seed + number, width=256, height=256, frames=FRAMES * stride + 1, standing=0.55
    )  # fmt: skip
    video = write_video(spec, work)
    with av.open(str(video)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)][::stride][:FRAMES]
    small = np.stack([cv2.resize(frame, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for frame in frames])
    joints = np.array(json.loads(video.with_suffix(".json").read_text())["joints"], float)
    video.unlink()
    return small, joints.reshape(len(joints), -1, 2)[::stride][:FRAMES] * SIDE / 256


def _sample(key: str, frames: np.ndarray, work: Path) -> ShardSample:
    files = {kind: work / f"{key}.{kind}" for kind in ("mp4", "json", "npy")}
    write_mp4(files["mp4"], frames)
    files["json"].write_text("{}")
    np.save(files["npy"], np.zeros((FRAMES, 33, 4), np.float32))
    return ShardSample(key, {"clip_id": key[:-2], "variant": 0}, files)
