"""How far wrists are from the truth of a drawn dance, by how its landmarks were found."""

import json
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from data_catalog.base.paths import DataFolder
from pipeline.analysis import arrays
from pipeline.analysis.pose import LEFT_WRIST, RIGHT_WRIST, PoseFinder, body_length
from pipeline.batches.pack_shards import encode_clips
from pipeline.batches.plan_samples import sample_keys
from pipeline.batches.prepare_sources import build_keys, clips_of, prepare_source
from pipeline.clips.crop import Placement, placed
from pipeline.config import BuildConfig, LandmarksConfig, SoundConfig, VariantConfig
from pipeline.synthetic.synth import SynthVideo, write_video

WRISTS = [LEFT_WRIST, RIGHT_WRIST]


@dataclass(frozen=True)
class Wrists:
    """Mean distances in pixels of the clip, of both wrists: from the truth, and of its change from frame to frame."""

    speed: float  # of the true wrists, body lengths a frame
    sampled: float
    ours: float
    every: float
    sampled_jitter: float
    ours_jitter: float


def wrists_of(spec: SynthVideo, folder: Path, finder: PoseFinder) -> Wrists:
    """Draw and build a video; its first clip's wrists, between detections, as they are stored, and detected by frame.

    The third is `PoseFinder` on each stored picture by itself: what no sampling spoils and nothing smooths.
    """
    video = write_video(spec, folder)
    truth = json.loads(video.with_suffix(".json").read_text())
    between, ours, placement, frames, pictures = _stored(video, DataFolder(folder / "data" / spec.name), finder)
    joints = np.array(truth["joints"], float)[frames, 0]
    true = placement.landmarks(np.concatenate([joints, np.zeros_like(joints)], -1))
    seen = np.stack([_detected(finder, picture, near) for picture, near in zip(pictures, between)])
    size = float(np.median(body_length(true)))
    speed = np.linalg.norm(np.diff(true[:, WRISTS, :2], axis=0), axis=-1).mean() / size
    apart = [(found - true)[:, WRISTS, :2] for found in (between, ours, seen)]
    sampled, kept, every = (float(np.linalg.norm(error, axis=-1).mean()) for error in apart)
    jitter = [float(np.linalg.norm(np.diff(error, axis=0), axis=-1).mean()) for error in apart]
    return Wrists(float(speed), sampled, kept, every, jitter[0], jitter[1])


def _stored(
    video: Path, data: DataFolder, finder: PoseFinder
) -> tuple[np.ndarray, np.ndarray, Placement, np.ndarray, list[np.ndarray]]:
    """Of the first clip: landmarks between detections and as stored, its placement, its source frames, its pictures."""
    config = BuildConfig(variants=VariantConfig(count=0), sound=SoundConfig(keep=False))
    assert config.landmarks == LandmarksConfig(every_frame=True)
    source_id = video.stem * 4
    prepare_source(data, source_id, bytes(video), config, finder)
    manifest = json.loads(data.clips(source_id, build_keys(config).clip_set).read_text())
    clip = next(clip for clip in clips_of(data, source_id, manifest, config) if clip.crop)
    assert clip.crop is not None
    assert encode_clips(data, source_id, bytes(video), [clip.clip_id], config, finder)["clips_encoded"] == 1
    analysis = arrays.load(data.analysis(source_id, build_keys(config).analysis))
    shape = analysis.shape_at(0, (manifest["probe"]["height"], manifest["probe"]["width"]))
    placement = placed(clip.crop, shape, config.crop.size)
    (key,) = sample_keys(clip.clip_id, build_keys(config).sample_set, 0)
    stored = np.load(data.staged(key, "npy")).astype(float)
    with av.open(str(data.staged(key, "mp4"))) as container:
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return placement.landmarks(clip.landmarks), stored, placement, clip.window.frames, pictures


def _detected(finder: PoseFinder, picture: np.ndarray, near: np.ndarray) -> np.ndarray:
    """The largest person in one picture; where nobody is found, what was known before."""
    people = finder.find(picture).astype(float)
    return people[int(np.argmax(body_length(people)))] if len(people) else near
