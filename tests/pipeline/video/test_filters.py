"""Any picture comes out upright, with square pixels, 8 bits and SDR, the same in the analysis and in the clip."""

import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config import CropConfig, VideoConfig
from pipeline.shards.augment import Recipe
from pipeline.shards.encode_clip import VariantJob, encode_variants
from pipeline.video.ffmpeg import open_source
from pipeline.video.filters import proxy_shape
from pipeline.video.probe import Probe
from tests.pipeline.crops import square
from tests.pipeline.videos import LIMITS, ffmpeg, luma_of, pass_over

COUNT = 12
QUADRANTS = np.array([[60, 100], [150, 200]], np.uint8)  # each corner has its own grey, so any turn shows
X264 = ("-c:v", "libx264", "-crf", "12")


def upright_picture(width: int, height: int) -> np.ndarray:
    return cv2.resize(QUADRANTS, (width, height), interpolation=cv2.INTER_NEAREST)


def stored(name: str, picture: np.ndarray, *arguments: str) -> Callable[[Path], Path]:
    """A maker of a video that shows one grey picture."""

    def make(folder: Path) -> Path:
        height, width = picture.shape
        ffmpeg("-f", "rawvideo", "-pix_fmt", "gray", "-s", f"{width}x{height}", "-r", "25", "-i", "pipe:0",
               *arguments, str(folder / name), stdin=np.stack([picture] * COUNT).tobytes())  # fmt: skip
        return folder / name

    return make


def turned(degrees: int) -> Callable[[Path], Path]:
    """A file that a player must turn by `degrees` counterclockwise."""
    plain = stored("plain.mp4", np.rot90(upright_picture(160, 96), -degrees // 90), *X264, "-pix_fmt", "yuv420p")

    def make(folder: Path) -> Path:
        plain(folder)
        ffmpeg("-display_rotation:v", str(degrees), "-i", str(folder / "plain.mp4"), "-c", "copy",
               str(folder / "turned.mp4"))  # fmt: skip
        return folder / "turned.mp4"

    return make


WIDE = upright_picture(160, 96)
PQ = ("-vf", "scale=out_color_matrix=bt2020nc:out_range=tv,format=yuv420p10", "-color_primaries", "bt2020",
      "-color_trc", "smpte2084", "-colorspace", "bt2020nc", "-color_range", "tv")  # fmt: skip
BT2020 = "log-level=error:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc"
X265 = ("-c:v", "libx265", "-crf", "12", "-x265-params")
# name: (maker, width and height as displayed, whether greys must be kept)
KINDS: dict[str, tuple[Callable[[Path], Path], tuple[int, int], bool]] = {
    "turned by 90": (turned(90), (160, 96), True),
    "turned by 180": (turned(180), (160, 96), True),
    "turned by 270": (turned(270), (160, 96), True),
    "odd width and height": (stored("o.webm", upright_picture(161, 97), "-c:v", "libvpx-vp9", "-crf", "10", "-b:v", "0",
                                    "-cpu-used", "8", "-deadline", "realtime"), (161, 97), True),
    "wide pixels": (stored("w.mp4", upright_picture(80, 96), *X264, "-pix_fmt", "yuv420p", "-vf", "setsar=2"),
                    (160, 96), True),
    "narrow pixels": (stored("n.mkv", upright_picture(160, 96), *X264, "-pix_fmt", "yuv420p", "-vf", "setsar=11/15"),
                      (117, 96), True),
    "10 bits": (stored("t.mp4", WIDE, *X265, "log-level=error", "-pix_fmt", "yuv420p10"), (160, 96), True),
    "hdr of pq": (stored("h.mp4", WIDE, *X265, BT2020,
                         *PQ), (160, 96), False),
    "hdr of hlg": (stored("l.mp4", WIDE, *X265, "log-level=error:colorprim=bt2020:transfer=arib-std-b67:"
                          "colormatrix=bt2020nc", *[a.replace("smpte2084", "arib-std-b67") for a in PQ]),
                   (160, 96), False),
    "alpha": (stored("a.webm", WIDE, "-c:v", "libvpx-vp9", "-crf", "10", "-b:v", "0", "-pix_fmt", "yuva420p",
                     "-cpu-used", "8", "-deadline", "realtime"), (160, 96), True),
    "4:4:4": (stored("f.mp4", WIDE, *X264, "-pix_fmt", "yuv444p"), (160, 96), True),
    "4:2:2 of 10 bits": (stored("p.mov", WIDE, "-c:v", "prores_ks"), (160, 96), True),
    "full range": (stored("r.mp4", WIDE, *X264, "-pix_fmt", "yuvj420p"), (160, 96), True),
    "rgb": (stored("g.mkv", WIDE, "-c:v", "ffv1", "-pix_fmt", "gbrp"), (160, 96), True),
    "grey": (stored("y.mkv", WIDE, "-c:v", "ffv1", "-pix_fmt", "gray"), (160, 96), True),
    "palette": (stored("p.gif", WIDE), (160, 96), True),
    "interlaced": (stored("i.mpg", WIDE, "-c:v", "mpeg2video", "-q:v", "2", "-flags", "+ildct+ilme", "-vf",
                          "setfield=tff"), (160, 96), True),
}  # fmt: skip


def corners_of(luma: np.ndarray) -> np.ndarray:
    """(2, 2) mean luma around the middle of each quadrant, as 8-bit grey of full range."""
    height, width = luma.shape
    parts = [[luma[y - 6 : y + 6, x - 6 : x + 6].mean() for x in (width // 4, width * 3 // 4)]
             for y in (height // 4, height * 3 // 4)]  # fmt: skip
    return (np.array(parts) - 16) * 255 / 219


@pytest.mark.parametrize("kind", KINDS)
def test_analysis_and_clip_agree_on_an_upright_picture(kind: str, tmp_path: Path) -> None:
    make, size, grey = KINDS[kind]
    path = make(tmp_path)
    found, pts, pictures = pass_over(path)
    assert (found.width, found.height) == size
    seen = pictures[3][: found.height // 2 * 2]
    corners = corners_of(seen)
    assert (np.argsort(corners.ravel()) == range(4)).all(), "not upright"
    if grey:
        assert np.abs(corners - QUADRANTS).max() < 4

    side = min(size) // 2 * 2
    corner = (np.array(size) - side) // 2 * 2  # at the far end: another idea of the size would show
    take = VariantJob(np.arange(2, 11), square(corner[None], side), Recipe(), tmp_path / "clip.mp4")
    descriptor = open_source(bytes(path))
    try:
        encode_variants(descriptor, found, pts, [take], Fraction(25), CropConfig(shape=96), VideoConfig(crf=6), LIMITS)
    finally:
        os.close(descriptor)
    x, y = corner
    wanted = cv2.resize(seen[y : y + side, x : x + side], (96, 96), interpolation=cv2.INTER_AREA).astype(float)
    got = luma_of(take.out)[1].astype(float)
    assert np.abs(wanted - got).mean() < 3
    with av.open(str(take.out)) as container:
        context = container.streams.video[0].codec_context
        assert context.pix_fmt == "yuv420p"
        assert (context.width, context.height) == (96, 96)
        assert context.sample_aspect_ratio in (None, 1)


def test_hdr_highlights_are_tone_mapped_not_clipped_and_greys_keep_their_order(tmp_path: Path) -> None:
    ramp = np.broadcast_to(np.linspace(0, 255, 160).astype(np.uint8), (96, 160))
    path = stored("ramp.mp4", ramp, *X265, BT2020,
                  *PQ)(tmp_path)  # fmt: skip
    found, _, pictures = pass_over(path)
    assert found.hdr
    row = pictures[3][40, 20:150:10].astype(int)
    assert (np.diff(row) >= -1).all()
    assert row[-1] - row[0] > 60


@given(st.integers(1, 8000), st.integers(1, 8000), st.integers(64, 1024))
def test_a_proxy_is_even_no_larger_than_asked_and_keeps_the_shape(width: int, height: int, longest: int) -> None:
    probe = Probe(
        stream=0, width=width, height=height, rotation=0, square=True, fps=25.0, duration_s=1.0, codec="h264",
        pix_fmt="yuv420p", hdr=False, interlaced=False, foreign_colour=False, seekable=True, display_matrix=False,
    )  # fmt: skip
    rows, columns = proxy_shape(probe, longest)
    assert rows % 2 == columns % 2 == 0
    assert max(rows, columns) <= max(longest + 1, 2)
    scale = min(1.0, longest / max(width, height))
    assert abs(rows - max(2, height * scale)) <= 1
    assert abs(columns - max(2, width * scale)) <= 1
