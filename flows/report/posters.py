"""What the report shows of a clip: a poster, a small video, and the source's frame with crop and pose drawn in.

A stored clip comes out of its shard; one that was not stored, and every source's frame, through the hardened door
to the source. A picture's name is its clip's, which names its content, so what is there is not made again.
"""

import io
import itertools
import logging
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
import cv2
import ffmpeg
import numpy as np

from data_catalog.base.errors import KilledError, RejectedError
from data_catalog.base.files import atomic, read_sealed
from data_catalog.base.paths import DataFolder
from flows.report.overlay import draw_pose
from pipeline.analysis import arrays
from pipeline.batches.prepare_sources import build_keys, clips_of
from pipeline.clips.crop import Crop
from pipeline.clips.crop_filter import cropped
from pipeline.clips.make_clips import Clip
from pipeline.clips.steady_filter import steadied
from pipeline.config import BuildConfig
from pipeline.picture_size import PictureSize
from pipeline.shards.cut_sound import read_flac
from pipeline.shards.encode_clip import just_before, selection
from pipeline.shards.tar import read_member
from pipeline.video.add_sound import add_sound
from pipeline.video.ffmpeg import decode, open_source
from pipeline.video.filters import sized, upright
from pipeline.video.probe import Probe

LONGER = 256  # pixels of the longer side of a poster and of a preview
LONGEST = 640  # pixels of a source's frame
EVERY = 2  # a preview takes every second frame
PREVIEW_BITS = 48_000  # of its sound a second
KINDS = ("posters", "previews", "frames")
SUFFIX = {"posters": ".jpg", "previews": ".mp4", "frames": ".jpg"}
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Wanted:
    """A clip to be pictured; `stored` is where its video lies and `sound` where its sound: (shard, offset, length)."""

    clip_id: str
    stored: tuple[str, int, int] | None = None
    sound: tuple[str, int, int] | None = None


LONGEST_ID = 200
"""Letters of a clip's id: a file system takes names of 255 bytes."""


def picture_path(out: Path, kind: str, clip_id: str) -> Path:
    """Where a picture of a clip lies below the report's folder.

    Raises:
        ValueError: the id could name another place, or there is no such kind.
    """
    plain = all(c.isascii() and (c.isalnum() or c in "-_") for c in clip_id)
    if kind not in KINDS or not plain or not 0 < len(clip_id) <= LONGEST_ID:
        raise ValueError(f"{kind}/{clip_id!r} names no picture.")
    return out / kind / clip_id[:2] / (clip_id + SUFFIX[kind])


def missing(out: Path, clip_id: str, kinds: Iterable[str] = KINDS) -> set[str]:
    """The kinds of pictures that a clip is missing."""
    return {kind for kind in kinds if not picture_path(out, kind, clip_id).is_file()}


def draw_pictures(
    data: DataFolder, out: Path, source_id: str, path: bytes | None, wanted: Sequence[Wanted], config: BuildConfig,
    kinds: Sequence[str] = KINDS,
) -> Counter[str]:  # fmt: skip
    """Make the pictures that are missing of some clips of one source; what cannot be made is logged and counted.

    Args:
        out: The report's folder of pictures.
        path: The source's file, or None where it is not there any more: then only stored clips are pictured.
        kinds: Which of KINDS are wanted.
    """
    done: Counter[str] = Counter()
    for clip in wanted:
        lacking = missing(out, clip.clip_id, kinds) - {"frames"}
        if clip.stored and lacking:
            with _log_and_count(done, clip.clip_id):
                if lacking == {"posters"}:
                    poster = _stored_poster(data.shards, *clip.stored)
                    _write_jpeg(picture_path(out, "posters", clip.clip_id), _bgr(poster))
                else:
                    frames, rate = _stored_frames(data.shards, *clip.stored)
                    _write_preview(out, clip.clip_id, frames, rate, _stored_sound(data.shards, clip))
                done.update(lacking)
    rest = {c.clip_id: missing(out, c.clip_id, set(kinds) & {"frames"} if c.stored else kinds) for c in wanted}
    if path is not None and any(rest.values()):
        with _log_and_count(done, source_id):
            _draw_from_source(data, out, source_id, path, {k: v for k, v in rest.items() if v}, config, done)
    return done


@contextmanager
def _log_and_count(done: Counter[str], what: str) -> Iterator[None]:
    try:
        yield
    except (RejectedError, KilledError, av.error.FFmpegError, EOFError, FileNotFoundError) as error:
        logger.warning("No picture of %s: %s", what, error)
        done["failed"] += 1


def _draw_from_source(
    data: DataFolder, out: Path, source_id: str, path: bytes, wanted: Mapping[str, set[str]], config: BuildConfig,
    done: Counter[str],
) -> None:  # fmt: skip
    names = build_keys(config)
    analysed = read_sealed(data.analysis(source_id, names.analysis).with_suffix(".json"))
    analysis = arrays.load(data.analysis(source_id, names.analysis))
    pts = analysis.pts
    with ExitStack() as stack:
        descriptor = open_source(path)
        stack.callback(os.close, descriptor)
        for clip in clips_of(data, source_id, analysed, config, set(wanted)):
            kinds = wanted[clip.clip_id]
            found = analysis.probe_at(int(clip.window.frames[0]), Probe(**analysed["probe"]))
            with _log_and_count(done, clip.clip_id):
                if "frames" in kinds:
                    _write_frame(picture_path(out, "frames", clip.clip_id), clip, descriptor, found, pts, config)
                    done["frames"] += 1
                if kinds & {"posters", "previews"}:
                    frames = _source_frames(clip, descriptor, found, pts, config)
                    _write_preview(out, clip.clip_id, frames, clip.window.fps / EVERY)
                    done.update(kinds - {"frames"})


def _stored_frames(shards: Path, shard: str, offset: int, length: int) -> tuple[Iterator[av.VideoFrame], Fraction]:
    """Every second frame of a stored clip, small, and their rate."""
    video = io.BytesIO(read_member(shards / shard, offset, length))
    with av.open(video) as container:
        rate = Fraction(container.streams.video[0].average_rate or 25)

    def frames() -> Iterator[av.VideoFrame]:
        with av.open(video) as container:
            container.streams.video[0].codec_context.thread_count = 1
            for frame in itertools.islice(container.decode(video=0), 0, None, EVERY):
                yield _small(frame)

    video.seek(0)
    return frames(), rate / EVERY


def _stored_sound(shards: Path, clip: Wanted) -> tuple[np.ndarray, int] | None:
    """(int16 (samples, channels), rate) of a stored clip; None where it has no sound."""
    if clip.sound is None:
        return None
    shard, offset, length = clip.sound
    return read_flac(read_member(shards / shard, offset, length))


def _small(frame: av.VideoFrame) -> av.VideoFrame:
    width, height = scaled(frame.width, frame.height, LONGER)
    return frame.reformat(width=width, height=height, format="yuv420p", interpolation="AREA")


def _stored_poster(shards: Path, shard: str, offset: int, length: int) -> av.VideoFrame:
    """The frame that is a preview's middle one, without decoding what lies before its keyframe."""
    with av.open(io.BytesIO(read_member(shards / shard, offset, length))) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        rate, base = Fraction(stream.average_rate or 25), Fraction(stream.time_base or 1)
        wanted = EVERY * (-(-stream.frames // EVERY) // 2) / rate / base
        container.seek(int(wanted), stream=stream)
        for frame in container.decode(stream):
            if frame.pts is not None and frame.pts >= int(wanted):
                return _small(frame)
    raise RejectedError("damaged", "The middle frame of the stored clip did not come.")


def _source_frames(
    clip: Clip, descriptor: int, found: Probe, pts: np.ndarray, config: BuildConfig
) -> Iterator[av.VideoFrame]:
    """Every second frame of a clip that is in no shard: its crop, or the whole picture where there is none."""
    taken = clip.window.frames[::EVERY]
    picture, first = _seek(descriptor, found, pts, int(taken[0]), config)
    picture = picture.filter("select", selection(taken - first))
    if clip.crop is None:
        width, height = fitted(found.width, found.height, LONGER)
        picture = sized(picture, found, width, height, "area")
    else:
        width, height = scaled(*config.crop.size, LONGER)
        corners = clip.crop.corners[::EVERY] if len(clip.crop.corners) > 1 else clip.crop.corners
        crop, size = Crop(corners, clip.crop.width, clip.crop.height, clip.crop.framing), PictureSize(width, height)
        if clip.steady is None:
            picture = cropped(picture, crop, found, size, config.crop.fill, "area")
        else:
            picture = steadied(picture, taken, clip.steady, crop, found, size, config.crop.fill)
    with decode(picture, descriptor, (height, width), config.limits) as frames:
        for _, (_, planes) in zip(taken, frames):  # what lies behind the last one is not waited for
            yield av.VideoFrame.from_ndarray(np.ascontiguousarray(planes), format="yuv420p")


def _seek(
    descriptor: int, found: Probe, pts: np.ndarray, frame: int, config: BuildConfig
) -> tuple[ffmpeg.nodes.Stream, int]:
    """The upright picture from a frame on, and the number of the first frame that then comes."""
    first = frame if found.seekable else 0
    seek = {"ss": just_before(pts, first)} if first > 0 else {}
    return upright(descriptor, found, config.limits, seek, counted=True), first


def _write_frame(path: Path, clip: Clip, descriptor: int, found: Probe, pts: np.ndarray, config: BuildConfig) -> None:
    """The clip's middle frame as the source shows it, with the crop and the dancer's landmarks."""
    middle = len(clip.window.frames) // 2
    number = int(clip.window.frames[middle])
    picture, first = _seek(descriptor, found, pts, number, config)
    width, height = fitted(found.width, found.height, LONGEST)
    picture = sized(picture.filter("select", selection(np.array([number - first]))), found, width, height, "area")
    with decode(picture, descriptor, (height, width), config.limits) as frames:
        taken = next(frames, None)
    if taken is None:
        raise RejectedError("damaged", f"Frame {number} of the source did not come.")
    shown = _bgr(av.VideoFrame.from_ndarray(np.ascontiguousarray(taken[1]), format="yuv420p"))
    landmarks = clip.landmarks[middle] if clip.known[middle] else None
    corner = None if clip.crop is None else clip.crop.at(len(clip.window.frames))[middle]
    size = np.zeros(2) if clip.crop is None else clip.crop.size
    if clip.steady is not None and corner is not None:
        frame, ends = clip.window.frames[[middle]], np.stack([corner, corner + size])
        landmarks = None if landmarks is None else clip.steady.in_source(landmarks[None], frame)[0]
        corner, end = clip.steady.in_source(ends[None], frame)[0]
        size = end - corner
    _write_jpeg(path, draw_pose(shown, width / found.width, landmarks, corner, size))


def fitted(width: int, height: int, longest: int) -> tuple[int, int]:
    """(width, height), even, of a picture whose longest side is at most `longest`."""
    return scaled(width, height, min(longest, max(width, height)))


def scaled(width: int, height: int, longest: int) -> tuple[int, int]:
    """(width, height), even, of a picture whose longest side is to be `longest`."""
    scale = longest / max(width, height)
    return max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2)


def _write_preview(
    out: Path,
    clip_id: str,
    frames: Iterator[av.VideoFrame],
    rate: Fraction,
    sound: tuple[np.ndarray, int] | None = None,
) -> None:
    """The frames as a small H.264 file, with a clip's sound, and the middle one as the poster."""
    shown: list[av.VideoFrame] = list(frames)
    if not shown:
        raise RejectedError("damaged", "No frame could be decoded.")
    with atomic(picture_path(out, "previews", clip_id)) as temp:
        _encode(temp, shown, rate)
        if sound is not None:
            add_sound(io.BytesIO(temp.read_bytes()), *sound, temp, PREVIEW_BITS)
    _write_jpeg(picture_path(out, "posters", clip_id), _bgr(shown[len(shown) // 2]))


def _encode(path: Path, frames: Sequence[av.VideoFrame], rate: Fraction) -> None:
    with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as container:
        stream: Any = container.add_stream("libx264", rate=rate, options={"crf": "30", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = frames[0].width, frames[0].height, "yuv420p"
        stream.codec_context.thread_count = 1
        stream.codec_context.colorspace, stream.codec_context.color_range = 1, 1  # BT.709, limited, as stored
        for number, frame in enumerate(frames):
            frame.pts, frame.time_base, frame.pict_type = number, 1 / rate, 0
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _bgr(frame: av.VideoFrame) -> np.ndarray:
    return np.asarray(frame.to_ndarray(format="bgr24", src_colorspace="ITU709"))


def _write_jpeg(path: Path, picture: np.ndarray) -> None:
    with atomic(path) as temp:
        cv2.imwrite(str(temp), picture, [cv2.IMWRITE_JPEG_QUALITY, 82])
