"""A picture of one clip with the dance of another: how well a network of stage `star` follows, beside the warp alone.

    python bench/pairs.py --run RUN --data DATA [--pairs 20] [--frames 181]

DATA holds clips that the run has not seen. Clip after clip gives the picture; the first of the clips after it whose
dance stays within that picture gives the dance. `dancer` is the driving clip itself through the codec, against its own
landmarks: the ceiling. Identity: whether what she wears (the colours under her bones, against those of the picture's
own clip) and her proportions lie, in the mean, within the 95 % band of that clip's frames through the codec.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import cv2

from bench.star import danced, measured, through, told_of, warped
from flows.dancing.driving_dance import DancePace, put_on
from model.data.landmarks import clip_landmarks
from model.data.outlines import clip_outline
from model.data.samples import read_samples
from model.drift.metrics import band
from model.drift.report import real_clip
from model.errors import PoseError
from model.pose.retarget import checked_dance
from model.rollout.config import sampling_config
from model.rollout.generate import Prepared, Request, prepare
from pipeline.analysis.pose_metrics import BONES, DancerFinder
from pipeline.analysis.pose_model import pose_model_path
from pipeline.picture_size import PictureSize

IDENTITY = ("clothes", "proportions")
ALONG = (0.3, 0.5, 0.7)
"""Where on a bone its colour is looked for: away from the joints, whose place is known least well."""


def pairs_of(data: Path, size: PictureSize, frames: int, count: int) -> Iterator[tuple[str, str, np.ndarray]]:
    """(clip of the picture, clip of the dance, the dance as it is put on the picture's person)."""
    clips = sorted({sample.clip_id for sample in read_samples(data) if sample.ok})
    dances = {clip: checked_dance(clip_landmarks(data, clip, size), clip) for clip in clips}
    made = 0
    for number, clip in enumerate(clips):
        for other in clips[number + 1 :] + clips[:number]:
            if other.split("-")[0] == clip.split("-")[0]:  # of one source
                continue
            try:
                put = put_on(dances[clip][0], dances[other], DancePace(frames), (size.height, size.width))
            except PoseError:
                continue
            yield clip, other, put
            made += 1
            break
        if made == count:
            return


def worn(frames: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """(frames, BONES, 3) colours in CIELAB under the bones, left and right as one; NaN where nobody was found."""
    found = np.full((len(frames), len(BONES), 3), np.nan)
    for number in np.flatnonzero(np.isfinite(landmarks[:, 0, 0])):
        lab = cv2.cvtColor(cv2.blur(frames[number], (3, 3)).astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
        high = np.array([lab.shape[1], lab.shape[0]]) - 1
        for bone, sides in enumerate(BONES):
            ends = landmarks[number, np.array(sides), :2]  # (sides, 2 ends, 2)
            places = np.concatenate([ends[:, 0] + share * (ends[:, 1] - ends[:, 0]) for share in ALONG])
            x, y = np.clip(np.rint(places), 0, high).astype(int).T
            found[number, bone] = lab[y, x].mean(0)
    return found


def unlike(colours: np.ndarray, usual: np.ndarray) -> np.ndarray:
    """(frames,) distance of each frame's `worn` to the usual colours, median over the bones."""
    return np.asarray(np.nanmedian(np.linalg.norm(colours - usual, axis=-1), axis=1))


def of_pair(prepared: Prepared, data: Path, pair: tuple[str, str, np.ndarray], finder: DancerFinder) -> list[float]:
    """[PCK of star, of the warp, of the dancer; found of star; motion over the dance's; IDENTITY over its bounds]."""
    clip, other, dance = pair
    size, codec = prepared.size, prepared.codec
    own, driving = (through(codec, real_clip(data, name, size).frames_FHWC) for name in (clip, other))
    picture = real_clip(data, clip, size).frames_FHWC[0]
    outline = clip_outline(data, clip, size, len(own))
    landmarks = {name: clip_landmarks(data, name, size) for name in (clip, other)}
    made = danced(prepared, picture, dance, outline)
    star, real = measured(made, dance, finder), measured(own, landmarks[clip], finder)
    warp = measured(warped(picture, dance, outline)[0], dance, finder).curves
    dancer = measured(driving, landmarks[other], finder).curves
    wears = worn(own, real.landmarks)
    usual = np.nanmedian(wears, axis=0)
    clothes = unlike(worn(made, star.landmarks), usual), unlike(wears, usual)
    bodies = star.curves["proportions"], real.curves["proportions"]
    pcks = [float(np.nanmean(curves["pck"])) for curves in (star.curves, warp, dancer)]
    motion = float(np.nanmean(star.curves["joint_motion"]) / np.nanmean(dancer["dance_motion"]))
    return [*pcks, float(np.mean(star.curves["found"])), motion, of_band(*clothes), of_band(*bodies)]


def of_band(curve: Sequence[float] | np.ndarray, real: Sequence[float] | np.ndarray) -> float:
    """A curve's mean over the upper end of the real one's 95 % band: at most 1 is within."""
    bounds = band(list(real))
    return float("nan") if bounds is None else float(np.nanmean(curve) / bounds[1])


def main() -> None:
    """Print a line per pair, and what they come to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--frames", type=int, default=181)
    options = parser.parse_args()
    warnings.simplefilter("ignore", RuntimeWarning)  # of curves without a value
    prepared = prepare(Request((options.run,), "star", options.frames, sampling_config([options.run], {}, "star")))
    finder, rows = DancerFinder(pose_model_path()), []
    print(told_of(options.run))
    print("picture   dance     pck: star   warp  dancer   found  motion  over the band: clothes  proportions")
    for pair in pairs_of(options.data, prepared.size, options.frames, options.pairs):
        rows.append(of_pair(prepared, options.data, pair, finder))
        numbers = "  ".join(f"{value:6.3f}" for value in rows[-1])
        print(f"{pair[0][:8]}  {pair[1][:8]}  {numbers}", flush=True)
    finder.close()
    table = np.array(rows)
    print(f"mean                {'  '.join(f'{value:6.3f}' for value in np.nanmean(table, 0))}")
    print(f"PCK at least 0.9 of the dancer's: {(table[:, 0] >= 0.9 * table[:, 2]).sum()} of {len(rows)}")
    print(f"motion 0.8 to 1.25 of the dance's: {((table[:, 4] >= 0.8) & (table[:, 4] <= 1.25)).sum()} of {len(rows)}")
    for column, name in enumerate(IDENTITY, 5):
        print(f"{name} within the real clip's 95 % band: {(table[:, column] <= 1).sum()} of {len(rows)}")


if __name__ == "__main__":
    main()
