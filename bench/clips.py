"""Data sets for benches: drawn dancers, cropped by their known joints, in shards and a catalog as the build's."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from data_catalog.connection import open_catalog
from data_catalog.writes import merge_clips, register_shards
from model.plans.stages import CLIP_FRAMES
from pipeline.shards.tar import ShardSample, write_shard
from pipeline.synthetic.synth import SynthVideo, plan_videos, write_video


def make_clips(data: Path, clips: int, seed: int = 0, side: int = 512) -> None:
    """A data set of `clips` clips of 181 frames, each from a source of its own, in one shard."""
    specs = [spec for spec in plan_videos(8 * clips, seed) if spec.fault is None and not spec.cuts]
    specs = [spec for spec in specs if spec.frames >= CLIP_FRAMES * spec.stride][:clips]
    if len(specs) < clips:
        raise RuntimeError(f"only {len(specs)} of {clips} drawn videos are long enough")
    work = data / "work"
    work.mkdir(parents=True)
    samples = [_sample(spec, work, side) for spec in specs]
    (data / "shards").mkdir()
    manifest = write_shard(data / "shards" / "00000.tar", samples, plan_key="bench")
    rows = manifest.pop("samples")
    with open_catalog(data / "catalog.duckdb") as catalog:
        merge_clips(catalog, [{"clip_id": s.meta["clip_id"], "source_id": s.key} for s in samples])
        register_shards(catalog, [{**manifest, "samples": len(rows)}], rows)


def _sample(spec: SynthVideo, work: Path, side: int) -> ShardSample:
    video = write_video(spec, work)
    truth = json.loads(video.with_suffix(".json").read_text())
    joints = np.array(truth["joints"], float)  # (frames, dancers, landmarks, 2), in pixels
    frames = cropped_frames(video, joints, spec, side)
    files = {kind: work / f"{spec.name}-clip.{kind}" for kind in ("mp4", "json", "npy")}
    write_mp4(files["mp4"], frames)
    files["json"].write_text("{}")
    np.save(files["npy"], np.zeros((CLIP_FRAMES, 33, 4), np.float32))
    return ShardSample(spec.name, {"clip_id": f"{spec.name}-clip", "variant": 0}, files)


def cropped_frames(video: Path, joints: np.ndarray, spec: SynthVideo, side: int) -> np.ndarray:
    """The first 181 frames at the clip rate, cut to the square around all joints: uint8 (F, side, side, 3)."""
    low, high = joints.reshape(-1, 2).min(0), joints.reshape(-1, 2).max(0)
    centre = (low + high) / 2
    size = int(min(1.2 * (high - low).max(), spec.width, spec.height))
    x, y = (int(np.clip(c - size / 2, 0, n - size)) for c, n in zip(centre, (spec.width, spec.height)))
    frames = []
    with av.open(str(video)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number % spec.stride:
                continue
            picture = frame.to_ndarray(format="rgb24")[y : y + size, x : x + size]
            frames.append(cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA))
            if len(frames) == CLIP_FRAMES:
                break
    return np.stack(frames)


def write_mp4(path: Path, frames_FHWC: np.ndarray, gop: int = 12) -> None:
    """H.264 as the build's shards hold it: 30 frames a second, a key frame every `gop` frames."""
    options = {"crf": "18", "preset": "veryfast", "g": str(gop), "keyint_min": str(gop)}
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(30), options=options)
        stream.height, stream.width = frames_FHWC.shape[1:3]
        stream.pix_fmt = "yuv420p"
        for picture in frames_FHWC:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
