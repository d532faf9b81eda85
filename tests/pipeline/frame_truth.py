"""What is stored of a drawn dance's frames, beside the truth: wrists and masks."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import av
import numpy as np

from data_catalog.base.paths import DataFolder
from pipeline.analysis.pose import LEFT_WRIST, RIGHT_WRIST, PoseFinder, body_length
from pipeline.batches.pack_shards import encode_clips
from pipeline.batches.plan_samples import sample_keys
from pipeline.batches.prepare_sources import build_keys, clips_of, prepare_source
from pipeline.clips.crop import Placement, placed
from pipeline.config import BuildConfig, SoundConfig, VariantConfig
from pipeline.shards.masks import FrameMask, masks_in_clip, read_masks
from pipeline.synthetic.recording import content_frames, shots_of
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


@dataclass(frozen=True)
class StoredFrames:
    """The first clip of a drawn video: what is stored of its frames, and what is true of them, in its pixels."""

    spec: SynthVideo
    placement: Placement
    frames: np.ndarray
    pictures: list[np.ndarray]
    between: np.ndarray
    """(frames, 33, 4) landmarks between the analysis's detections."""
    stored: np.ndarray
    masks: np.ndarray
    true: np.ndarray


def build_frames(spec: SynthVideo, folder: Path, finder: PoseFinder) -> StoredFrames:
    """Draw a video and build its first clip, by a finder of masks."""
    video, data = write_video(spec, folder), DataFolder(folder / "data" / spec.name)
    truth = json.loads(video.with_suffix(".json").read_text())
    config = BuildConfig(variants=VariantConfig(count=0), sound=SoundConfig(keep=False))
    source_id = video.stem * 4
    prepare_source(data, source_id, bytes(video), config, finder)
    manifest = json.loads(data.clips(source_id, build_keys(config).clip_set).read_text())
    clip = next(clip for clip in clips_of(data, source_id, manifest, config) if clip.crop)
    assert clip.crop is not None
    assert encode_clips(data, source_id, bytes(video), [clip.clip_id], config, finder)["clips_encoded"] == 1
    placement = placed(clip.crop, (manifest["probe"]["height"], manifest["probe"]["width"]), config.crop.size)
    (key,) = sample_keys(clip.clip_id, build_keys(config).sample_set, 0)
    with av.open(str(data.staged(key, "mp4"))) as container:
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    joints = np.array(truth["joints"], float)[clip.window.frames, 0]
    return StoredFrames(
        spec=spec,
        placement=placement,
        frames=clip.window.frames,
        pictures=pictures,
        between=placement.landmarks(clip.landmarks),
        stored=np.load(data.staged(key, "npy")).astype(float),
        masks=read_masks(data.staged(key, "mask.png").read_bytes(), len(pictures)),
        true=placement.landmarks(np.concatenate([joints, np.zeros_like(joints)], -1)),
    )


def wrists_of(clip: StoredFrames, finder: PoseFinder) -> Wrists:
    """A clip's wrists: between detections, as they are stored, and detected by frame.

    The third is `PoseFinder` on each stored picture by itself: what no sampling spoils and nothing smooths.
    """
    seen = np.stack([_detected(finder, picture, near) for picture, near in zip(clip.pictures, clip.between)])
    size = float(np.median(body_length(clip.true)))
    speed = np.linalg.norm(np.diff(clip.true[:, WRISTS, :2], axis=0), axis=-1).mean() / size
    apart = [(found - clip.true)[:, WRISTS, :2] for found in (clip.between, clip.stored, seen)]
    sampled, kept, every = (float(np.linalg.norm(error, axis=-1).mean()) for error in apart)
    jitter = [float(np.linalg.norm(np.diff(error, axis=0), axis=-1).mean()) for error in apart]
    return Wrists(float(speed), sampled, kept, every, jitter[0], jitter[1])


def _detected(finder: PoseFinder, picture: np.ndarray, near: np.ndarray) -> np.ndarray:
    """The largest person in one picture; where nobody is found, what was known before."""
    people = finder.find(picture).astype(float)
    return people[int(np.argmax(body_length(people)))] if len(people) else near


def true_masks(clip: StoredFrames) -> np.ndarray:
    """Bool (frames, h, w) where the dancer is drawn, as `StoredFrames.masks`: what no backdrop shines through."""
    content, times = content_frames(clip.spec)
    (shot,) = shots_of(clip.spec, times)
    black, white = (replace(shot, backdrop=np.full_like(shot.backdrop, level)) for level in (0, 255))
    drawn = []
    for frame in clip.frames:
        shines = white.draw(content[frame]).astype(int) - black.draw(content[frame])
        drawn.append(FrameMask(shines.max(-1) < 128, np.zeros(2), np.ones(2)))
    return masks_in_clip(list(drawn), clip.placement, flip=False)


def overlap_of(found: np.ndarray, true: np.ndarray) -> float:
    """Intersection over union, the mean over frames."""
    both, either = (found & true).sum((1, 2)), (found | true).sum((1, 2))
    return float((both / np.maximum(either, 1)).mean())
