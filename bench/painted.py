"""Whether a choreographer's dances can be painted: how a network of stage `star` follows dances that nobody danced.

    python bench/painted.py --run RUN --star STAR --data DATA [--dances 20] [--frames 181] [--steps N]

DATA holds clips that neither run has seen: each gives a first frame, whose person dances a dance of her own, to a drawn
song of unseen tempo. Prints the share of frames in which mediapipe finds the dancer, PCK at 0.1 of her height against
the dance that was asked for, the mean distance of her joints to it (pixels at 512), and the same of the dances that
were painted worst.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.star import danced
from model.choreography.choreographer import Choreographer
from model.choreography.compose import DanceOrder, compose
from model.choreography.config import dance_config
from model.data.landmarks import clip_landmarks
from model.data.outlines import clip_outline
from model.data.samples import FPS, frame_rate, read_samples
from model.drift.metrics import Measurer
from model.drift.report import real_clip
from model.pose.retarget import checked_dance
from model.rollout.config import sampling_config
from model.rollout.generate import Request, prepare
from pipeline.analysis.pose_metrics import DancerFinder
from pipeline.analysis.pose_model import pose_model_path
from pipeline.synthetic.music import random_music

COLUMNS = ("found", "pck", "joint_error")


def of_clip(options: argparse.Namespace, clip: str, number: int, finder: DancerFinder) -> list[float]:
    """COLUMNS of one dance that begins as the clip does."""
    sampling = sampling_config([options.star], {"steps": options.steps} if options.steps else {}, "star")
    prepared = prepare(Request((options.star,), "star", options.frames, sampling))
    picture = real_clip(options.data, clip, prepared.size).frames_FHWC[0]
    own = checked_dance(clip_landmarks(options.data, clip, prepared.size), clip)
    fps = frame_rate(options.data, clip) or FPS
    beats = random_music(100_000 + number).beats(options.frames / float(fps) + 1)
    order = DanceOrder(own[0], prepared.size, options.frames, fps, beats)
    dance = compose(Choreographer.open(options.run).network, order, dance_config(seed=number)).landmarks
    frames = danced(prepared, picture, dance, clip_outline(options.data, clip, prepared.size, len(own)))
    measurer = Measurer(finder, fps=float(fps))
    for frame, pose in zip(frames, dance):
        measurer.add(frame, pose=pose)
    curves = measurer.result().curves
    return [float(np.nanmean(curves[name])) for name in COLUMNS]


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="a choreographer")
    parser.add_argument("--star", type=Path, required=True, help="a run of stage star")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--dances", type=int, default=20)
    parser.add_argument("--frames", type=int, default=181)
    parser.add_argument("--steps", type=int, help="of the sampler (default: the star run's own)")
    options = parser.parse_args()
    clips = sorted({sample.clip_id for sample in read_samples(options.data) if sample.ok})[: options.dances]
    finder, rows, started = DancerFinder(pose_model_path()), [], time.monotonic()
    for number, clip in enumerate(clips):
        rows.append(of_clip(options, clip, number, finder))
        print(f"dance {number + 1} of {len(clips)}: {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    finder.close()
    table = np.array(rows)
    print(
        f"{len(rows)} dances of {options.frames} frames: "
        + ", ".join(f"{name} {value:.3f}" for name, value in zip(COLUMNS, table.mean(0)))
    )
    print(f"worst: found {table[:, 0].min():.3f}, pck {table[:, 1].min():.3f}, joint_error {table[:, 2].max():.3f}")
    print(f"found at least 0.9: {(table[:, 0] >= 0.9).sum()} of {len(rows)}; pck: {(table[:, 1] >= 0.9).sum()}")


if __name__ == "__main__":
    main()
