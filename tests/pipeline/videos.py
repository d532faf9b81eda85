"""Small videos made on the spot. In a numbered one every frame carries its own number as black and white blocks."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np

from pipeline.analysis.arrays import Analysis
from pipeline.config import LimitsConfig
from pipeline.video.ffmpeg import decode, ffmpeg_exe, open_source
from pipeline.video.filters import sized, upright
from pipeline.video.probe import Probe, probe

SIDE = 128
BITS = 8
LIMITS = LimitsConfig(wall_s=120)


def ffmpeg(*arguments: str, stdin: bytes | None = None) -> None:
    """Run ffmpeg; RuntimeError with its words if it fails."""
    done = subprocess.run(
        [ffmpeg_exe(), "-hide_banner", "-loglevel", "error", "-y", *arguments],
        input=stdin, stdin=None if stdin is not None else subprocess.DEVNULL, capture_output=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(done.stderr.decode("utf-8", "replace"))


def numbered_pictures(count: int, width: int = SIDE, height: int = SIDE) -> np.ndarray:
    """(count, height, width) uint8: bit b of the number is block b of four columns and two rows."""
    numbers = np.arange(count)[:, None]
    bits = (numbers >> np.arange(BITS)) & 1
    blocks = bits.reshape(-1, 2, 4).astype(np.uint8) * 255
    return blocks.repeat(height // 2, 1).repeat(width // 4, 2)


def write_numbered(path: Path, count: int, *arguments: str, rate: str = "25", before: Sequence[str] = ()) -> Path:
    """A numbered video; `arguments` are ffmpeg's for the output, `before` its further inputs."""
    ffmpeg(
        "-f", "rawvideo", "-pix_fmt", "gray", "-s", f"{SIDE}x{SIDE}", "-r", rate, "-i", "pipe:0", *before,
        *arguments, str(path), stdin=numbered_pictures(count).tobytes(),
    )  # fmt: skip
    return path


def read_numbers(luma: np.ndarray) -> int:
    """The number in a picture of any size."""
    height, width = luma.shape
    rows = (np.array([0.25, 0.75]) * height).astype(int)
    columns = (np.array([0.125, 0.375, 0.625, 0.875]) * width).astype(int)
    bits = luma[np.ix_(rows, columns)].ravel() > 127
    return int((bits << np.arange(BITS)).sum())


def numbers_in(path: Path) -> list[int]:
    """The numbers of a stored clip's frames, in order."""
    return [read_numbers(picture) for picture in luma_of(path)]


def luma_of(path: Path) -> list[np.ndarray]:
    """The luma planes of a stored clip."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="yuv420p")[: frame.height] for frame in container.decode(video=0)]


def probed(path: Path) -> Probe:
    """The probe of a file."""
    descriptor = open_source(bytes(path))
    try:
        return probe(descriptor, LIMITS)
    finally:
        os.close(descriptor)


def pass_over(path: Path) -> tuple[Probe, np.ndarray, list[np.ndarray]]:
    """What the analysis sees: (probe, (frames,) seconds, I420 pictures at full size, even)."""
    descriptor = open_source(bytes(path))
    try:
        found = probe(descriptor, LIMITS)
        height, width = found.height // 2 * 2, found.width // 2 * 2
        picture = sized(upright(descriptor, found, LIMITS), found, width, height, "area")
        with decode(picture, descriptor, (height, width), LIMITS) as frames:
            both = [(pts, frame.copy()) for pts, frame in frames]
    finally:
        os.close(descriptor)
    return found, np.array([pts for pts, _ in both]), [frame for _, frame in both]


def blank_analysis(pts: np.ndarray, cuts: Sequence[int] = (), every: int = 4) -> Analysis:
    """An analysis in which nobody was found and nothing moved: a start for tests that fill in a part."""
    frames = len(pts)
    at = np.arange(0, frames, every)
    return Analysis(
        pts=pts,
        change=np.full(frames, 9.0, np.float32),
        cuts=np.array(cuts, np.int64),
        transitions=np.empty((0, 2), np.int64),
        pose_frames=at,
        people_end=np.zeros(len(at), np.int64),
        landmarks=np.empty((0, 33, 4), np.float32),
        blur=np.full(len(at), 0.3, np.float32),
        brightness=np.full(len(at), 0.5, np.float32),
        thumbs=np.zeros((len(at), 32, 32), np.uint8),
        camera_frames=np.stack([at[:-1], at[1:]], 1),
        camera=np.broadcast_to(np.eye(2, 3), (len(at) - 1, 2, 3)).copy(),
        bars=np.empty((0, 5), np.int64),
        look_frames=np.empty(0, np.int64),
        overlays_end=np.empty(0, np.int64),
        overlays=np.empty((0, 4), np.float32),
        sizes=np.empty((0, 3), np.int64),
    )


def joined(path: Path, parts: Sequence[Path], seconds: float | None = None) -> Path:
    """The streams of some files one after the other, copied; the container is the one that `path` names.

    A file that says that it lasts longer than its frames do leaves a gap; `seconds` of each part leave none.
    """
    listing = path.with_suffix(".txt")
    lasts = "" if seconds is None else f"duration {seconds}\n"
    listing.write_text("".join(f"file '{part}'\n{lasts}" for part in parts))
    ffmpeg("-f", "concat", "-safe", "0", "-i", str(listing), "-c", "copy", str(path))
    return path
