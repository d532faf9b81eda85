"""Bars and overlays through the whole pass: what is found, what the crop shows, and the camera behind it."""

import json
import os
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from pipeline.analysis import arrays, source_pass
from pipeline.analysis.pose import PoseFinder, pose_finder
from pipeline.clips.crop import placed
from pipeline.clips.make_clips import Clip, make_clips
from pipeline.clips.overlay_scores import share_covered
from pipeline.config import AnalysisConfig, BuildConfig, ClipConfig
from pipeline.synthetic.synth import SynthVideo, is_complete, write_video
from pipeline.video.ffmpeg import open_source
from tests.conftest import SMALL
from tests.pipeline.composites import OVERLAYS, Composite, framed, overlaid, read_frames, write_frames
from tests.pipeline.truth import judge, precision_recall
from tests.pipeline.videos import probed

PLACES = ("sides", "above", "both")
FILLS = ("black", "white", "blurred")
UNSEEN_SEED = 60420  # nothing was tuned on it
FINE = SMALL.model_copy(update={"analysis": AnalysisConfig()})  # letters of a small video are too small at 256 pixels
WORTH = 0.002  # share of a clip: a smaller piece of an overlay at its border is none


@dataclass(frozen=True)
class Seen:
    """A video's analysis and its clips."""

    analysis: arrays.Analysis
    shape: tuple[int, int]
    clips: list[Clip]


def seen(path: Path, finder: PoseFinder, config: BuildConfig) -> Seen:
    """Analyse and tile one video."""
    found, descriptor = probed(path), open_source(bytes(path))
    try:
        analysis = source_pass.analyse(descriptor, found, finder, config.analysis, config.limits)
    finally:
        os.close(descriptor)
    shape = found.height, found.width
    return Seen(analysis, shape, list(make_clips("s" * 64, analysis, shape, config, "n" * 16, None)))


def beyond(clip: Clip, analysis: arrays.Analysis, drawn: Composite, config: BuildConfig) -> float:
    """Most source pixels by which what a clip shows reaches out of the picture proper; below 0 it keeps clear of it."""
    left, above, right, below = analysis.bars_at(int(clip.window.frames[0]))
    height, width = drawn.frames.shape[1:3]
    assert clip.crop
    source = placed(clip.crop, (height - above - below, width - left - right), config.crop.size).source
    shown = source + np.tile([left, above], 2)
    return float(((np.array(drawn.picture) - shown) * [1, 1, -1, -1]).max())


@pytest.mark.parametrize("fill", FILLS)
def test_a_crop_lies_within_the_picture_between_bars(dancer, finder, tmp_path, fill):
    drawn = framed(read_frames(dancer), "sides", fill, np.random.default_rng([7, len(fill)]))
    result = seen(write_frames(tmp_path / "barred.mp4", drawn.frames, "25"), finder, SMALL)
    assert result.clips
    for clip in result.clips:
        assert beyond(clip, result.analysis, drawn, SMALL) <= 2
        assert clip.row["crop_x"] + clip.row["crop_width"] / 2 == pytest.approx(np.mean(drawn.picture[::2]), rel=0.2)


def test_a_video_without_bars_or_overlays_has_none(dancer, finder):
    result = seen(dancer, finder, FINE)
    assert not result.analysis.bars.any()
    assert {clip.row["overlay"] for clip in result.clips} == {0.0}


def test_captions_are_found_and_scored(dancer, finder, tmp_path):
    drawn = overlaid(read_frames(dancer), "captions", np.random.default_rng(3), 25.0)
    result = seen(write_frames(tmp_path / "captions.mp4", drawn.frames, "25"), finder, FINE)
    whole = np.array([0, 0, result.shape[1], result.shape[0]], float)
    boxes = np.array([overlay.box for overlay in drawn.overlays if overlay.start == 0], float)
    assert share_covered(result.analysis.overlays_of(0), whole) == pytest.approx(share_covered(boxes, whole), rel=0.5)


# ---- the full counts


def bases(folder: Path) -> list[Path]:
    """100 clean videos of a seed that nothing was tuned on; cameras stand, drift, pan, zoom and shake."""
    kinds = (None, "pan", None, "shake", None, "zoom", None, "pan", None, None)
    sizes = ((360, 640), (480, 854), (640, 360), (480, 480))
    folder.mkdir(parents=True, exist_ok=True)
    specs = []
    for number in range(100):
        width, height = sizes[number % len(sizes)]
        specs.append(
            SynthVideo(
                name=f"base_{number:03}", seed=UNSEEN_SEED + number, width=width, height=height, frames=186,
                fps=("30", "25", "24")[number % 3], fault=kinds[number % len(kinds)],
                standing=0.3 if height > width else 0.4,
            )
        )  # fmt: skip
    return [folder / f"{spec.name}.mp4" if is_complete(spec, folder) else write_video(spec, folder) for spec in specs]


def shown_share(boxes: np.ndarray, clip: Clip) -> float:
    """Share of a clip that boxes of source pixels cover."""
    corner = clip.crop.corners[0]
    return share_covered(boxes, np.concatenate([corner, corner + clip.crop.size]).astype(float))


@pytest.mark.soak
def test_bars_and_overlays_are_found_and_none_invented(pose_model, tmp_path):
    raw = bases(Path(os.environ.get("LONGDANCE_SOAK_RAW", tmp_path)) / "bases")
    config = BuildConfig(clips=ClipConfig(frames=181))
    figures: dict[str, float] = {}
    with pose_finder(pose_model, config.analysis.max_people, config.analysis.min_pose_confidence) as finder:
        clean = [seen(path, finder, config) for path in raw]
        invented = [path.stem for path, result in zip(raw, clean, strict=True) if result.analysis.bars.any()]
        false = [
            path.stem for path, result in zip(raw, clean, strict=True) if any(c.row["overlay"] for c in result.clips)
        ]
        print(f"bars invented {invented}, overlays invented {false}", flush=True)
        inside = bars_kept(raw, finder, config, tmp_path)
        hits, ratios, missed = overlays_found(raw, finder, config, tmp_path)
    found = np.concatenate([hits, np.isin([path.stem for path in raw], false)])
    precision, recall = precision_recall(found, np.arange(len(found)) < len(hits))
    figures |= {
        "clean_videos": len(raw), "bars_invented": len(invented), "bar_cases": len(inside),
        "crop_inside_within_2px": float(np.mean(inside)), "overlay_cases": len(hits), "clean_with_overlays": len(false),
        "overlay_precision": precision, "overlay_recall": recall, "moving_cases": len(ratios),
        "translation_within_10pc": float(np.mean(np.abs(np.array(ratios) - 1) <= 0.1)),
        "translation_ratio_min": min(ratios), "translation_ratio_max": max(ratios),
    }  # fmt: skip
    print(
        "\n" + "\n".join(f"{name}: {value:.4g}" for name, value in figures.items()), f"\nmissed {missed} false {false}"
    )
    assert not invented
    assert len(inside) >= 45
    assert figures["crop_inside_within_2px"] >= 0.95
    assert len(hits) >= 60
    assert min(precision, recall) >= 0.9
    assert len(ratios) >= 15
    assert figures["translation_within_10pc"] == 1.0


def bars_kept(raw: list[Path], finder: PoseFinder, config: BuildConfig, folder: Path) -> list[bool]:
    """Of 45 barred videos, in which every clip keeps to the picture proper."""
    kept = []
    for number in range(45):
        rng = np.random.default_rng([UNSEEN_SEED, 1, number])
        drawn = framed(read_frames(raw[number]), PLACES[number % 3], FILLS[number // 3 % 3], rng)
        result = seen(write_frames(folder / "barred.mp4", drawn.frames, _rate(raw[number])), finder, config)
        reach = [beyond(clip, result.analysis, drawn, config) for clip in result.clips if clip.crop]
        kept.append(bool(reach) and max(reach) <= 2 and bool(result.analysis.bars.any()))
        print(
            "bars",
            PLACES[number % 3],
            FILLS[number // 3 % 3],
            kept[-1],
            drawn.picture,
            result.analysis.bars.tolist(),
            reach,
            flush=True,
        )
    return kept


def overlays_found(
    raw: list[Path], finder: PoseFinder, config: BuildConfig, folder: Path
) -> tuple[np.ndarray, list[float], list[str]]:
    """Whether each overlay that a clip shows was found; measured over true camera translation; what was missed."""
    hits, ratios, missed = [], [], []
    for number, path in enumerate(raw):
        kind = tuple(OVERLAYS)[number % 3]
        rng = np.random.default_rng([UNSEEN_SEED, 2, number])
        drawn = overlaid(read_frames(path), kind, rng, float(Fraction(_rate(path))))
        result = seen(write_frames(folder / "overlaid.mp4", drawn.frames, _rate(path)), finder, config)
        truth = json.loads(path.with_suffix(".json").read_text())
        for clip in (clip for clip in result.clips if clip.crop):
            judged = judge(path.stem, clip, truth, result.analysis.pts, result.shape, config)
            if judged.translation_true > 1 and clip.row["cam_translation"] is not None:
                ratios.append(clip.row["cam_translation"] / judged.translation_true)
            if shown_share(np.array([overlay.box for overlay in drawn.overlays], float), clip) > WORTH:
                hits.append(bool(clip.row["overlay"]))
                missed += [] if hits[-1] else [f"{path.stem}-{'-'.join(sorted({o.kind for o in drawn.overlays}))}"]
        print("overlays", path.stem, kind, hits[-1:], ratios[-1:], flush=True)
    return np.array(hits, bool), ratios, missed


def _rate(path: Path) -> str:
    return str(json.loads(path.with_suffix(".json").read_text())["spec"]["fps"])
