"""The warp alone on drawn dancers: how near it comes to what really follows a picture, beside the picture repeated.

    python bench/warp.py

Twelve dancers, 90 frames each, known joints, every tenth frame judged. `shown`: places that the picture shows;
`dancer`: her own among them; `joints`: mean distance of mediapipe's main joints to those of the real frame, in pixels
at 512, over the frames in which it finds her; milliseconds are CPU time of one thread.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from model.data.outlines import outline_at
from model.pose.paint import behind, warp_picture
from model.pose.warp import BACKGROUND, reference_of, warp_field
from pipeline.analysis.pose import PoseFinder
from pipeline.analysis.pose_metrics import DancerFinder, joint_distance
from pipeline.analysis.pose_model import pose_model_path
from pipeline.picture_size import PictureSize
from tests.model.pose.dancers import drawn, psnr

SEEDS, FRAMES = range(3000, 3012), range(10, 90, 10)


def milliseconds(size: int) -> float:
    """A frame's field and picture, the median of 90."""
    shot, landmarks = drawn(3000, size=size)
    picture, reference = shot.draw(0), reference_of(landmarks[0], (size, size))
    background, took = behind(picture, reference), []
    for pose in landmarks:
        started = time.process_time()
        warp_picture(picture, background, warp_field(reference, pose))
        took.append(time.process_time() - started)
    return 1000 * float(np.median(took))


def outline_of(seed: int, size: int, masks: PoseFinder) -> np.ndarray:
    """Where mediapipe sees the dancer in the first picture, drawn large, as `longdance warp` looks at it."""
    shot, _ = drawn(seed, size=4 * size)
    _, found = masks.find_with_masks(np.ascontiguousarray(shot.draw(0)[..., ::-1]))
    return outline_at(found[0], PictureSize(size, size))


def judged(seed: int, size: int, finder: DancerFinder, masks: PoseFinder) -> list[float]:
    """Of one dancer: PSNR of warp and still on shown places and on the dancer, found, and joints of both."""
    shot, landmarks = drawn(seed, size=size)
    picture = shot.draw(0)
    reference = reference_of(landmarks[0], (size, size), outline_of(seed, size, masks))
    background, rows = behind(picture, reference), []
    for t in FRAMES:
        truth, field = shot.draw(t), warp_field(reference, landmarks[t])
        warped, shown = warp_picture(picture, background, field), ~field.unknown_HW
        dancer = shown & (field.part_HW != BACKGROUND)
        levels = [psnr(made, truth, where) for where in (shown, dancer) for made in (warped, picture)]
        real, made, still = (finder.find(np.ascontiguousarray(p[..., ::-1])) for p in (truth, warped, picture))
        found = [float(np.isfinite(real).all()), float(np.isfinite(made).all())]
        rows.append([*levels, *found, *(joint_distance(x, real, size) for x in (made, still))])
    return list(np.nanmean(rows, 0))


def main() -> None:
    """Print the table."""
    finder, masks = DancerFinder(pose_model_path()), PoseFinder(pose_model_path(), 1, 0.5, masks=True)
    print("size | shown: warp, still dB | dancer: warp, still dB | found: real, warp | joints: warp, still px")
    for size in (96, 192):
        rows = np.array([judged(seed, size, finder, masks) for seed in SEEDS])
        print(f"{size:4} | " + "  ".join(f"{value:6.2f}" for value in np.nanmean(rows, 0)))
        print(f"       at least 25 dB on shown places: {int((rows[:, 0] >= 25).sum())} of {len(rows)} dancers")
    finder.close()
    masks.close()
    for size in (96, 512):
        print(f"{milliseconds(size):.1f} ms a frame at {size} pixels")


if __name__ == "__main__":
    main()
