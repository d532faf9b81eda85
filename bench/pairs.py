"""A picture of one clip with the dance of another: how well a network of stage `star` follows, beside the warp alone.

    python bench/pairs.py --run RUN --data DATA [--pairs 20] [--frames 181]

DATA holds clips that the run has not seen. Clip after clip gives the picture; the first of the clips after it whose
dance stays within that picture gives the dance. `dancer` is the driving clip itself through the codec, against its own
landmarks: the ceiling. Identity: the share of frames whose colours (distance of histograms to the first frame's) and
proportions lie within the 95 % band of the picture's own clip through the codec.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from star import curves_of, danced, through, told_of, warped

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
from pipeline.analysis.pose_metrics import DancerFinder
from pipeline.analysis.pose_model import pose_model_path
from pipeline.picture_size import PictureSize

IDENTITY = ("colour", "proportions")


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


def of_pair(prepared: Prepared, data: Path, pair: tuple[str, str, np.ndarray], finder: DancerFinder) -> list[float]:
    """[PCK of star, of the warp, of the dancer; found of star; motion over the dancer's; identity, 2 shares]."""
    clip, other, dance = pair
    size, codec = prepared.size, prepared.codec
    own, driving = (real_clip(data, name, size).frames_FHWC for name in (clip, other))
    outline = clip_outline(data, clip, size, len(own))
    landmarks = {name: clip_landmarks(data, name, size) for name in (clip, other)}
    star = curves_of(danced(prepared, own[0], dance, outline), dance, finder)
    warp = curves_of(warped(own[0], dance, outline)[0], dance, finder)
    dancer = curves_of(through(codec, driving), landmarks[other], finder)
    real = curves_of(through(codec, own), landmarks[clip], finder)
    same = [within(star[name], real[name]) for name in IDENTITY]
    means = [float(np.nanmean(curves["pck"])) for curves in (star, warp, dancer)]
    motion = float(np.nanmean(star["joint_motion"]) / np.nanmean(dancer["joint_motion"]))
    return [*means, float(np.mean(star["found"])), motion, *same]


def within(curve: Sequence[float], real: Sequence[float]) -> float:
    """Share of a curve's values that are no higher than the real one's 95 % band."""
    known, bounds = np.asarray(curve)[np.isfinite(curve)], band(real)
    return float("nan") if bounds is None or not len(known) else float((known <= bounds[1]).mean())


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
    print("picture   dance     pck: star   warp  dancer   found  motion   identity: colour  proportions")
    for pair in pairs_of(options.data, prepared.size, options.frames, options.pairs):
        rows.append(of_pair(prepared, options.data, pair, finder))
        numbers = "  ".join(f"{value:6.3f}" for value in rows[-1])
        print(f"{pair[0][:8]}  {pair[1][:8]}  {numbers}", flush=True)
    finder.close()
    table = np.array(rows)
    print(f"mean                {'  '.join(f'{value:6.3f}' for value in np.nanmean(table, 0))}")
    print(f"PCK at least 0.9 of the dancer's: {(table[:, 0] >= 0.9 * table[:, 2]).sum()} of {len(rows)}")
    print(f"motion 0.8 to 1.25 of the dancer's: {((table[:, 4] >= 0.8) & (table[:, 4] <= 1.25)).sum()} of {len(rows)}")
    for column, name in enumerate(IDENTITY, 5):
        count = (table[:, column] >= 0.95).sum()
        print(f"{name} within the real clip's band in at least 95 % of the frames: {count} of {len(rows)}")


if __name__ == "__main__":
    main()
