"""In how many frames the dancer's hands are found, and what looking for them costs beside her pose and mask.

    LONGDANCE_FOOTAGE=FOLDER python bench/hands.py

Every so many frames of each video of the folder in which somebody dances, scaled as a clip is. A hand counts where its
wrist is inside the picture and visible (0.5), and a hand of her size is 30 pixels long or more, shown or clenched,
still or blurred. Below, the same of six drawn dancers of a seed that nothing was tuned on, whose hands are drawn small
and simple. Seconds are CPU time of one thread in one run.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pipeline.analysis.hands.hand_finder import HAND_PER_HEIGHT, SIDES, hand_finder
from pipeline.analysis.pose import BODY_PER_HEIGHT, PoseFinder, body_length, pose_finder
from pipeline.analysis.pose_model import pose_model_path
from pipeline.config import CropConfig
from pipeline.synthetic.synth import SynthVideo, write_video

LOOKS, LEAST_PX, LEAST_VISIBLE = 60, 30, 0.5
REAL = ("dance_stage", "dance_studio", "turn_white")
CROP = CropConfig()


def frames_of(path: Path) -> Iterator[np.ndarray]:
    """Some RGB pictures, evenly spread over a video."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        every = max(1, stream.frames // LOOKS)
        for number, frame in enumerate(container.decode(stream)):
            if number % every == 0:
                yield frame.to_ndarray(format="rgb24")


def judged(path: Path, finder: PoseFinder) -> np.ndarray:
    """(hands that count, those found, seconds of poses and masks, of hands) of one video."""
    counted = found = 0
    pose_s = hands_s = 0.0
    for rgb in frames_of(path):
        people = finder.find(rgb)
        if not len(people):
            continue
        standing = float(body_length(people[0])) / BODY_PER_HEIGHT
        scale = min(1.0, CROP.body * CROP.size.height / standing)
        seen = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        started = time.process_time()
        people, _ = finder.find_with_masks(seen)
        between = time.process_time()
        if not len(people):
            continue
        hands = hand_finder().find(seen, people[0])
        pose_s, hands_s = pose_s + between - started, hands_s + time.process_time() - between
        for hand, (wrist, *_) in enumerate(SIDES):
            place = people[0, wrist]
            inside = ((place[:2] >= 0) & (place[:2] < seen.shape[1::-1])).all()
            length = HAND_PER_HEIGHT * float(body_length(people[0])) / BODY_PER_HEIGHT
            if inside and place[3] >= LEAST_VISIBLE and length >= LEAST_PX:
                counted, found = counted + 1, found + int(hands[hand, 0, 3] > 0)
    return np.array([counted, found, pose_s, hands_s])


def main() -> None:
    """Print the table."""
    folder = os.environ.get("LONGDANCE_FOOTAGE")
    with pose_finder(pose_model_path(), 1, 0.5, masks=True) as finder, tempfile.TemporaryDirectory() as temp:
        hand_finder().find(np.zeros((64, 64, 3), np.uint8), np.full((33, 4), 32.0))
        groups: dict[str, list[Path]] = {"real": [], "drawn": []}
        groups["real"] = [Path(folder) / f"{name}.mp4" for name in REAL] if folder else []
        for number in range(6):
            spec = SynthVideo(name=f"hands_{number}", seed=8_400_000 + number, frames=60, standing=0.5, sound=False)
            groups["drawn"].append(write_video(spec, Path(temp)))
        for group, paths in groups.items():
            rows = np.array([judged(path, finder) for path in paths]).reshape(-1, 4)
            for path, (counted, found, *_) in zip(paths, rows):
                print(f"{group} {path.stem:14} hands {counted:4.0f}, found {found / max(counted, 1):.3f}")
            if len(rows):
                counted, found, pose_s, hands_s = rows.sum(0)
                print(f"{group} all            hands {counted:4.0f}, found {found / max(counted, 1):.3f}")
                print(f"{group} seconds of hands over pose and mask {hands_s / pose_s:.2f}")


if __name__ == "__main__":
    main()
