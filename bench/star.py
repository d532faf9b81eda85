"""How well a network of stage `star` lets clips dance their own dance, beside the warp alone, a still and the codec.

    python bench/star.py --run RUN --data DATA [--clips 20] [--frames 181] [--steps N]

DATA holds clips that the run has not seen. Per clip, so many frames (to and fro beyond the clip's own), and for each
of `codec` (the real clip, encoded and decoded), `still` (its first frame), `warp` (longdance warp's, without a
network), `smooth` (the same with smooth outlines, which is what the network is shown) and `star`: the share of frames
in which mediapipe finds the dancer, the mean distance of her main joints to the dance's (pixels at 512), PCK at 0.1
of her height, motion as a ratio to the dance's, PSNR on pixels that differ from the first frame by more than 20
levels, PSNR on background that the first frame does not show, sharpness, and flicker. Then the joints of the last
tenth over those of the first, and what becomes of a flipped input: the PSNR of its video, flipped back, against the
video, and the same of the codec alone.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from model.data.codec import Codec
from model.data.landmarks import clip_landmarks
from model.data.outlines import clip_outline
from model.data.samples import read_samples
from model.drift.metrics import Measured, Measurer, picture_numbers
from model.drift.report import real_clip
from model.pose.paint import behind, warp_picture
from model.pose.retarget import MIRROR, checked_dance
from model.pose.smooth_warp import smoothly_warped
from model.pose.warp import BACKGROUND, reference_of, warp_field
from model.rollout.config import sampling_config
from model.rollout.generate import Prepared, Request, Start, generate_video, prepare
from model.runs.init_weights import network_of_run
from model.runs.record import read_record
from model.runs.run import Run
from pipeline.analysis.pose_metrics import DancerFinder
from pipeline.analysis.pose_model import pose_model_path

MOVED = 20
"""8-bit levels by which a moving pixel differs from the first frame."""
FLIPPED = 5
"""Clips whose input is flipped as well."""
COLUMNS = ("found", "joints px", "pck", "motion", "moving dB", "uncovered dB", "sharpness", "flicker")


def psnr(made: np.ndarray, real: np.ndarray, where: np.ndarray) -> float:
    """Of some pixels of uint8 frames, in dB; NaN where there are none."""
    if not where.any():
        return float("nan")
    return float(10 * np.log10(255**2 / max(np.square(made[where].astype(float) - real[where]).mean(), 1e-9)))


def through(codec: Codec, frames: np.ndarray) -> np.ndarray:
    """Frames as the codec shows them."""
    parts = [codec.decode(codec.encode(frames[at : at + 16]).half().float()) for at in range(0, len(frames), 16)]
    return np.concatenate(parts)


def danced(prepared: Prepared, picture: np.ndarray, dance: np.ndarray, outline: np.ndarray | None) -> np.ndarray:
    """The network's frames of a picture and a dance."""
    with tempfile.TemporaryDirectory() as folder:
        start = Start(picture, None, dance, outline)
        return np.stack(list(generate_video(prepared, start, Path(folder) / "v.mp4").rollout.decoded()))


def warped(picture: np.ndarray, dance: np.ndarray, outline: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """The warp's frames, and where each shows background that the picture does not."""
    reference = reference_of(dance[0], (picture.shape[0], picture.shape[1]), outline)
    fields, background = [warp_field(reference, pose) for pose in dance], behind(picture, reference)
    frames = [warp_picture(picture, background, field) for field in fields]
    uncovered = [field.unknown_HW & (field.part_HW == BACKGROUND) for field in fields]
    return np.stack(frames), np.stack(uncovered)


def flipped(dance: np.ndarray, width: int) -> np.ndarray:
    """A dance in the mirror: left and right exchanged."""
    mirrored = dance[:, MIRROR].copy()
    mirrored[..., 0] = width - 1 - mirrored[..., 0]
    return mirrored


def flip_error(
    prepared: Prepared, real: np.ndarray, dance: np.ndarray, outline: np.ndarray | None, star: np.ndarray
) -> tuple[float, float]:
    """PSNR of a flipped input's video, flipped back, against the video; the same of the codec alone."""
    other = None if outline is None else np.ascontiguousarray(outline[:, ::-1])
    mirror = np.ascontiguousarray(real[:, :, ::-1])
    made = danced(prepared, mirror[0], flipped(dance, real.shape[2]), other)[:, :, ::-1]
    everywhere = np.ones(real.shape[:3], bool)
    codec = through(prepared.codec, mirror)[:, :, ::-1], through(prepared.codec, real)
    return psnr(made, star, everywhere), psnr(*codec, everywhere)


def frames_of(
    prepared: Prepared, real: np.ndarray, dance: np.ndarray, outline: np.ndarray | None
) -> dict[str, np.ndarray]:
    """The five videos, and `uncovered`: where the background is that the first frame does not show."""
    frames, uncovered = warped(real[0], dance, outline)
    return {
        "codec": through(prepared.codec, real),
        "still": np.repeat(real[:1], len(real), 0),
        "warp": frames,
        "smooth": smoothly_warped(real[0], dance[0], dance, outline)[0],
        "star": danced(prepared, real[0], dance, outline),
        "uncovered": uncovered,
    }


def measured(frames: np.ndarray, dance: np.ndarray, finder: DancerFinder) -> Measured:
    """What the drift table measures, per frame."""
    measurer = Measurer(finder)
    for frame, pose in zip(frames, dance):
        measurer.add(frame, pose=pose)
    return measurer.result()


def judged(
    frames: np.ndarray, real: np.ndarray, uncovered: np.ndarray, dance: np.ndarray, finder: DancerFinder
) -> list[float]:
    """COLUMNS of one video, and the joints' distance in the last tenth over the first's."""
    curves = measured(frames, dance, finder).curves
    names = ("found", "joint_error", "pck", "joint_motion", "sharpness", "flicker", "dance_motion")
    found, error, pck, motion, sharpness, flicker, dances = (float(np.nanmean(curves[name])) for name in names)
    moving = np.abs(real.astype(int) - real[0].astype(int)).max(-1) > MOVED
    first, *_, last = (np.nanmean(part) for part in np.array_split(curves["joint_error"][1:], 10))
    pictures = psnr(frames, real, moving), psnr(frames, real, uncovered)
    return [found, error, pck, motion / dances, *pictures, sharpness, flicker, float(last / first)]


def to_and_fro(count: int, frames: int) -> np.ndarray:
    """(frames,) numbers of a clip's `count` frames, as `model.pose.retarget.paced` goes through them."""
    return np.asarray(count - 1 - np.abs(np.arange(frames) % (2 * (count - 1)) - (count - 1)))


def of_clip(options: argparse.Namespace, clip: str, finder: DancerFinder, flip: bool) -> dict[str, list[float]]:
    """COLUMNS of a clip's five videos."""
    sampling = sampling_config([options.run], {"steps": options.steps} if options.steps else {}, "star")
    prepared = prepare(Request((options.run,), "star", options.frames, sampling))
    real = real_clip(options.data, clip, prepared.size).frames_FHWC
    dance = checked_dance(clip_landmarks(options.data, clip, prepared.size), clip)
    outline = clip_outline(options.data, clip, prepared.size, len(dance))
    order = to_and_fro(len(real), options.frames)
    real, dance = real[order], dance[order]
    videos = frames_of(prepared, real, dance, outline)
    uncovered = videos.pop("uncovered")
    rows = {name: judged(frames, real, uncovered, dance, finder) for name, frames in videos.items()}
    rows["real"] = [1.0, *[float("nan")] * 5, float(sharpness_of(real)), *[float("nan")] * 2]
    if flip:
        rows["flip"] = list(flip_error(prepared, real, dance, outline, videos["star"]))
    return rows


def sharpness_of(frames: np.ndarray) -> float:
    """Mean absolute Laplacian of the brightness, as the drift table has it."""
    return float(np.mean([picture_numbers(frame, frame)["sharpness"] for frame in frames]))


def verdicts(rows: Sequence[dict[str, list[float]]]) -> list[str]:
    """What the clips come to, in sentences."""
    table = {name: np.array([row[name] for row in rows]) for name in ("codec", "warp", "smooth", "star", "real")}
    star, codec, warp, real = table["star"], table["codec"], table["warp"], table["real"]
    nearer = np.abs(star[:, 6] - real[:, 6]) < np.abs(warp[:, 6] - real[:, 6])
    count = len(rows)
    return [
        f"PCK at least 0.95 of the codec's: {(star[:, 2] >= 0.95 * codec[:, 2]).sum()} of {count}",
        f"mean joint error against the codec's: {star[:, 1].mean() / codec[:, 1].mean():.2f} times",
        f"found at least 0.95 of the codec's: {(star[:, 0] >= 0.95 * codec[:, 0]).sum()} of {count}",
        f"motion 0.8 to 1.25 of the dance's: {((star[:, 3] >= 0.8) & (star[:, 3] <= 1.25)).sum()} of {count}",
        *(_gain(name, star[:, 4:6] - table[name][:, 4:6]) for name in ("warp", "smooth")),
        f"sharpness nearer to the real clip's than the warp's: {nearer.sum()} of {count}",
        "joint error of the last tenth over the first's: {:.2f} (the codec's {:.2f})".format(
            *(float(np.nanmedian(of[:, 8])) for of in (star, codec))
        ),
        "a flipped input's video, flipped back, against the video: {:.1f} dB (the codec alone {:.1f} dB)".format(
            *np.mean([row["flip"] for row in rows if "flip" in row], 0)
        ),
    ]


def _gain(name: str, gains_N2: np.ndarray) -> str:
    """By how much each clip is better than one of the warps."""
    half = 1.96 * np.nanstd(gains_N2, 0, ddof=1) / np.sqrt(len(gains_N2)) if len(gains_N2) > 1 else np.full(2, np.nan)
    mean = np.nanmean(gains_N2, 0)
    return (
        f"better than {name} on moving pixels by {mean[0]:+.2f} dB (95 % interval {half[0]:.2f}), "
        f"on uncovered background by {mean[1]:+.2f} dB ({half[1]:.2f})"
    )


def told_of(path: Path) -> str:
    """What the network is that is measured."""
    run = Run.open(path)
    record, parameters = read_record(path), sum(p.numel() for p in network_of_run(path).parameters())
    begun = f", from weights of step {record['parent']['step']}" if record["parent"] else ""
    taught = record["identity"]["data"]["train_samples"]
    return f"run: step {run.checkpoint.step}{begun}, {parameters:,} parameters, taught on {taught} clips"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--clips", type=int, default=20)
    parser.add_argument("--frames", type=int, default=181)
    parser.add_argument("--steps", type=int, help="of the sampler (default: the run's own)")
    options = parser.parse_args()
    clips = sorted({sample.clip_id for sample in read_samples(options.data) if sample.ok})[: options.clips]
    finder, rows, started = DancerFinder(pose_model_path()), [], time.monotonic()
    for number, clip in enumerate(clips, 1):
        rows.append(of_clip(options, clip, finder, number <= FLIPPED))
        print(f"clip {number} of {len(clips)}: {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    finder.close()
    print(told_of(options.run))
    print("        " + "  ".join(f"{name:>12}" for name in COLUMNS))
    warnings.simplefilter("ignore", RuntimeWarning)  # of columns that a video has no number for
    for name in ("codec", "still", "warp", "smooth", "star", "real"):
        means = np.nanmean([row[name][: len(COLUMNS)] for row in rows], 0)
        print(f"{name:>7} " + "  ".join(f"{value:12.3f}" for value in means))
    print("\n".join(verdicts(rows)))


if __name__ == "__main__":
    main()
