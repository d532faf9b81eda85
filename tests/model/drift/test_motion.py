"""Motion is dance: what grain, flicker, a codec and the detector's jitter add is left out, real mediapipe and all.

The quick form takes one drawn clip; `make soak` takes ten drawn ones and ten of $LONGDANCE_FOOTAGE.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from model.drift.metrics import measure, summary
from model.drift.motion import tile_colours, tile_travel
from pipeline.analysis.pose_metrics import DancerFinder
from pipeline.synthetic.synth import SynthVideo, write_video
from tests.footage import footage
from tests.model.drift.remembering import Remembering

SIDE = 128
MOTIONS = ("picture_motion", "joint_motion")
STILL = 0.05
"""Most that a picture which stands still may read, of the clip that it is from."""
GRAIN, BLOTCHES, FLICKER = 3.0, 1.5, 0.5
"""8-bit levels: standard deviations of a pixel, of 8x8 pixels and of whole frames. The rollouts in
bench/results/rollout.txt change by at most 2.9 levels from frame to frame, dance included; this grain alone makes 3.4.
Their flicker reads 0.14 at most."""
HARD = pytest.mark.xfail(
    strict=True,
    reason="mediapipe guesses a hidden forearm in a burst: stills read 0.063 and 0.066, the second's half speed 0.635",
)
REAL = [
    *(pytest.param("dance_studio.mp4", start, marks=HARD) for start in (0, 450)),
    *(("dance_studio.mp4", start) for start in (150, 300, 600, 750)),
    ("dance_stage.mp4", 0), ("dance_stage.mp4", 138), ("turn_white.mp4", 0), ("turn_white.mp4", 170),
]  # fmt: skip


def drawn_clip(folder: Path, seed: int, fps: int, frames: int) -> np.ndarray:
    """A drawn dancer at 30 frames a second; one drawn at 60 frames a second dances at half the speed."""
    spec = SynthVideo(
        name=f"drawn-{seed}-{fps}", seed=seed, width=256, height=256, frames=frames, fps=str(fps), standing=0.7,
        sound=False,
    )  # fmt: skip
    return square(write_video(spec, folder), 0, frames)


def square(video: Path, start: int, frames: int) -> np.ndarray:
    """Frames of a video in a square of SIDE pixels, the whole picture in it."""
    with av.open(str(video)) as container:
        decoded = (frame.to_ndarray(format="rgb24") for frame in container.decode(video=0))
        pictures = np.stack(list(islice(decoded, start, start + frames)))
    height, width = pictures.shape[1:3]
    side = max(height, width)
    below, beside = (side - height) // 2, (side - width) // 2
    padded = np.pad(pictures, ((0, 0), (below, below), (beside, beside), (0, 0)), mode="edge")
    return np.stack([cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for picture in padded])


def noisy_still(picture_HWC: np.ndarray, frames: int) -> np.ndarray:
    """One picture again and again, with grain, blotches as large as a latent, and flicker, through H.264."""
    generator = np.random.default_rng(1)
    grain = generator.normal(0, GRAIN, (frames, SIDE, SIDE, 3))
    blotches = generator.normal(0, BLOTCHES, (frames, SIDE // 8, SIDE // 8, 3)).repeat(8, 1).repeat(8, 2)
    flicker = generator.normal(0, FLICKER, (frames, 1, 1, 1))
    return through_codec(np.clip(np.rint(picture_HWC + grain + blotches + flicker), 0, 255).astype(np.uint8))


def through_codec(frames: np.ndarray) -> np.ndarray:
    """Frames through H.264 at its usual quality."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as out:
        stream: Any = out.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], "yuv420p"
        for frame in frames:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        out.mux(stream.encode(None))
    file.seek(0)
    with av.open(file) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


@pytest.fixture(scope="module")
def motion(pose_model: Path) -> Iterator[Callable[[np.ndarray], dict[str, float]]]:
    """What a clip reads, by mediapipe's own landmarks."""
    asked = DancerFinder(pose_model)
    finder = Remembering(asked)

    def of(frames: np.ndarray) -> dict[str, float]:
        found = summary(measure(frames, finder))
        return {name: found[name]["mean"] for name in MOTIONS}

    yield of
    asked.close()


def check(name: str, motion: Callable[[np.ndarray], dict[str, float]], speeds: dict[float, np.ndarray]) -> None:
    """Every promise on one clip at several speeds; prints the readings as shares of the clip's own."""
    clip = speeds[1.0]
    readings = {str(speed): motion(frames) for speed, frames in sorted(speeds.items())}
    readings |= {"mirrored": motion(clip[:, :, ::-1]), "noisy still": motion(noisy_still(clip[0], len(clip)))}
    own = readings["1.0"]
    for measured in MOTIONS:
        share = {what: reading[measured] / own[measured] for what, reading in readings.items()}
        print(f"{name} {measured} {own[measured]:.3g}: " + ", ".join(f"{k} {v:.3f}" for k, v in share.items()))
        assert share["noisy still"] <= STILL
        assert 0.4 <= share["0.5"] <= 0.6
        assert share["mirrored"] == pytest.approx(1, abs=0.1 if measured == "joint_motion" else 1e-6)
        rising = [share[str(speed)] for speed in sorted(speeds)]
        assert all(fast > slow for slow, fast in pairwise(rising))


def test_a_drawn_dance_reads_half_at_half_the_speed_and_a_noisy_still_reads_nearly_nothing(
    tmp_path: Path, motion: Callable[[np.ndarray], dict[str, float]]
) -> None:
    check("drawn 3", motion, {fps: drawn_clip(tmp_path, 3, round(30 / fps), round(60 / fps)) for fps in (0.5, 1.0)})


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 110))
def test_motion_is_right_on_drawn_clips(
    seed: int, tmp_path: Path, motion: Callable[[np.ndarray], dict[str, float]]
) -> None:
    speeds = {fps: drawn_clip(tmp_path, seed, round(30 / fps), round(90 / fps)) for fps in (0.5, 1.0, 2.0)}
    check(f"drawn {seed}", motion, speeds)


@pytest.mark.soak
@pytest.mark.parametrize(("name", "start"), REAL)
def test_motion_is_right_on_real_clips(name: str, start: int, motion: Callable[[np.ndarray], dict[str, float]]) -> None:
    clip = square(footage() / name, start, 150)
    speeds = {0.25: clip.repeat(4, 0), 0.5: clip.repeat(2, 0), 1.0: clip, 2.0: clip[::2]}
    check(f"{name} {start}", motion, speeds)


def test_a_fade_and_flicker_move_no_tile_and_a_square_that_crosses_the_picture_does() -> None:
    picture = np.random.default_rng(0).integers(60, 180, (SIDE, SIDE, 3)).astype(np.uint8)
    fading = [np.clip(picture + 0.5 * n + 3.0 * (n % 2), 0, 255).astype(np.uint8) for n in range(60)]
    assert np.nansum(tile_travel([tile_colours(frame) for frame in fading])) == 0
    crossing = []
    for n in range(60):
        frame = picture.copy()
        frame[40:72, 2 * n : 2 * n + 24] = 255
        crossing.append(tile_colours(frame))
    whole, slow = (np.nanmean(tile_travel(colours)) for colours in (crossing, np.repeat(crossing, 2, 0)))
    assert whole > 1
    assert 0.4 <= slow / whole <= 0.6
    assert tile_travel(crossing[:1]).shape == (1,)
