"""A clip's samples in one ffmpeg run: the accepted span is decoded once, however many variants are made of it."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import ffmpeg
import numpy as np

from data_catalog.base.errors import RejectedError
from pipeline.clips.crop import Crop
from pipeline.clips.crop_filter import balanced_sum, cropped
from pipeline.clips.steady_filter import steadied
from pipeline.clips.steadying.steady import Steady
from pipeline.config import CropConfig, LimitsConfig, VideoConfig
from pipeline.picture_size import PictureSize
from pipeline.shards.augment import Recipe
from pipeline.video.ffmpeg import encode, file_url
from pipeline.video.filters import upright
from pipeline.video.probe import Probe
from pipeline.video.writer import timescale

VERSION = 2  # raise it when the same recipe would give other bytes
MAX_BYTES = 256 << 20


@dataclass(frozen=True)
class VariantJob:
    """One sample to be made: which frames, which crop, what is done to them, where it goes."""

    frames: np.ndarray
    crop: Crop
    recipe: Recipe
    out: Path
    steady: Steady | None = None
    """What the crop is cut out of; None: the source's picture."""


def encode_variants(
    descriptor: int,
    probe: Probe,
    pts: np.ndarray,
    jobs: list[VariantJob],
    fps: Fraction,
    crop: CropConfig,
    config: VideoConfig,
    limits: LimitsConfig,
) -> None:
    """Decode from the first needed frame on and write every take.

    Args:
        probe: the source at these frames (`Analysis.probe_at`).

    Raises:
        RejectedError: the source could not be decoded, or what was written does not verify.
    """
    first = min(int(job.frames[0]) for job in jobs) if probe.seekable else 0
    within = span(pts, first, max(int(job.frames[-1]) for job in jobs))
    picture = upright(descriptor, probe, limits, within, counted=True)
    branches = picture.filter_multi_output("split", len(jobs)) if len(jobs) > 1 else [picture]
    outputs = [_output(branches[i], job, first, probe, fps, crop, config, limits.threads) for i, job in enumerate(jobs)]
    encode(ffmpeg.merge_outputs(*outputs), descriptor, limits, MAX_BYTES)
    for job in jobs:
        verify(job.out, len(job.frames), crop.size, fps)


def span(pts: np.ndarray, first: int, last: int) -> dict[str, str]:
    """Input options that begin with frame `first` and end after `last`: what lies beyond is never decoded."""
    options = {"ss": just_before(pts, first)} if first else {}
    if last + 1 < len(pts):
        options["to"] = just_before(pts, last + 1)
    return options


def just_before(pts: np.ndarray, frame: int) -> str:
    """A time between a frame, which is not the first, and the one before it, in ffmpeg's words.

    ffmpeg rounds it to the stream's ticks. A frame may last for one tick alone, and the middle of that would be rounded
    either way; a quarter of it is always rounded to the frame.
    """
    return f"{pts[frame] - (pts[frame] - pts[frame - 1]) / 4:.6f}"


def _output(
    branch: ffmpeg.nodes.Stream,
    job: VariantJob,
    first: int,
    probe: Probe,
    fps: Fraction,
    crop: CropConfig,
    config: VideoConfig,
    threads: int,
) -> ffmpeg.nodes.OutputStream:
    picture = branch.filter("select", selection(job.frames - first))
    if job.steady is None:
        picture = cropped(picture, job.crop, probe, crop.size, crop.fill, "bicubic")
    else:
        picture = steadied(picture, job.frames, job.steady, job.crop, probe, crop.size, crop.fill)
    recipe = job.recipe
    if (recipe.brightness, recipe.contrast, recipe.saturation) != (0.0, 1.0, 1.0):
        picture = picture.filter(
            "eq", brightness=recipe.brightness, contrast=recipe.contrast, saturation=recipe.saturation
        )
    if recipe.flip:
        picture = picture.filter("hflip")
    # `fps` passes each frame once and gives it one tick: a source's uneven durations would repeat frames.
    picture = picture.filter("settb", f"{fps.denominator}/{fps.numerator}").filter("setpts", "N")
    picture = picture.filter("fps", f"{fps.numerator}/{fps.denominator}")
    return ffmpeg.output(
        picture, file_url(job.out), format="mp4", vcodec="libx264", preset=config.preset, crf=config.crf,
        r=f"{fps.numerator}/{fps.denominator}", fps_mode="cfr", video_track_timescale=timescale(fps),
        g=config.gop, keyint_min=config.gop, sc_threshold=0, bf=2, threads=threads, pix_fmt="yuv420p",
        maxrate=f"{config.max_kbit}k", bufsize=f"{config.max_kbit}k", colorspace="bt709", color_primaries="bt709",
        color_trc="bt709", color_range="tv", map_metadata=-1, fflags="+bitexact", movflags="+faststart",
        **{"flags:v": "+bitexact", "frames:v": len(job.frames)},
    )  # fmt: skip


def selection(frames: np.ndarray) -> str:
    """An ffmpeg `select` expression for these frame numbers (ascending): stretches of constant step, joined."""
    parts, i = [], 0
    while i < len(frames):
        step = int(frames[i + 1] - frames[i]) if i + 1 < len(frames) else 1
        j = i + 1
        while j + 1 < len(frames) and frames[j + 1] - frames[j] == step:
            j += 1
        j = min(j, len(frames) - 1)
        low, high = int(frames[i]), int(frames[j])
        parts.append(f"between(n,{low},{high})" + (f"*not(mod(n-{low},{step}))" if step > 1 and high > low else ""))
        i = j + 1
    return balanced_sum(parts)


def verify(path: Path, frames: int, size: PictureSize, fps: Fraction) -> None:
    """Decode a written clip back.

    Raises:
        RejectedError: `encode_failed`, with what differs.
    """
    found = describe(path)
    wanted = {"frames": frames, "width": size.width, "height": size.height, "fps": fps, "even": True}
    wrong = {name: (found[name], value) for name, value in wanted.items() if found[name] != value}
    if wrong:
        text = ", ".join(f"{name} is {got}, expected {value}" for name, (got, value) in wrong.items())
        raise RejectedError("encode_failed", f"The written clip does not verify: {text}.")


def describe(path: Path) -> dict[str, Any]:
    """Frames, size, rate and evenness of a clip of our own, by decoding all of it.

    Raises:
        RejectedError: `encode_failed`, it does not decode.
    """
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1
            decoded = [(frame.pts, frame.width, frame.height) for frame in container.decode(stream)]
            tick = stream.time_base
            rate = Fraction(stream.average_rate or 0)
    except (av.FFmpegError, IndexError, AttributeError) as error:  # no video, or none of a codec that is known
        raise RejectedError("encode_failed", f"{path.name} does not decode: {error}.") from error
    pts = np.array([p for p, *_ in decoded])
    sizes = {(w, h) for _, w, h in decoded}
    width, height = sizes.pop() if len(sizes) == 1 else (0, 0)
    even = bool(len(pts) > 1 and (np.abs(np.diff(pts) * float(tick or 0) - 1 / float(rate or 1)) < 1e-9).all())
    return {"frames": len(decoded), "width": width, "height": height, "fps": rate, "even": even}
