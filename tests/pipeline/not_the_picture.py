"""Drawn videos clean, between bars and under overlays: each judged against what was drawn."""

import json
import os
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from data_catalog.base.errors import RejectedError
from pipeline.analysis import source_pass
from pipeline.analysis.arrays import Analysis
from pipeline.analysis.pose import PoseFinder
from pipeline.clips.crop import placed
from pipeline.clips.make_clips import Clip, make_clips
from pipeline.clips.overlay_scores import share_covered
from pipeline.config import BuildConfig, ClipConfig
from pipeline.synthetic.synth import SynthVideo, is_complete, write_video
from pipeline.video.ffmpeg import open_source
from tests.pipeline.composites import OVERLAYS, Composite, framed, overlaid, read_frames, write_frames
from tests.pipeline.truth import judge, precision_recall
from tests.pipeline.videos import probed

PLACES = ("sides", "above", "both")
FILLS = ("black", "white", "blurred")
UNSEEN_SEED = 60420  # nothing was tuned on it
CASES = [(kind, number) for kind, count in (("clean", 100), ("bars", 40), ("over", 66)) for number in range(count)]
CONFIG = BuildConfig(clips=ClipConfig(frames=181))
SHORT, SHORT_FRAMES = BuildConfig(clips=ClipConfig(frames=91)), 96  # what tells bars takes four seconds
LOGO, LOGO_FRAMES = BuildConfig(clips=ClipConfig(frames=121)), 126  # what tells a logo takes a little longer
WORTH = 0.002  # share of a clip: a smaller piece of an overlay at its border is none


@dataclass(frozen=True)
class Seen:
    """A video's analysis and its clips."""

    analysis: Analysis
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


def beyond(clip: Clip, analysis: Analysis, drawn: Composite, config: BuildConfig) -> float:
    """Most source pixels by which what a clip shows reaches out of the picture proper; below 0 it keeps clear of it."""
    left, above, right, below = analysis.bars_at(int(clip.window.frames[0]))
    height, width = drawn.frames.shape[1:3]
    assert clip.crop
    source = placed(clip.crop, (height - above - below, width - left - right), config.crop.size).source
    shown = source + np.tile([left, above], 2)
    return float(((np.array(drawn.picture) - shown) * [1, 1, -1, -1]).max())


def base(number: int, folder: Path) -> Path:
    """One of 100 clean videos; cameras stand, drift, pan, zoom and shake."""
    kinds = (None, "pan", None, "shake", None, "zoom", None, "pan", None, None)
    sizes = ((360, 640), (480, 854), (640, 360), (480, 480))
    folder.mkdir(parents=True, exist_ok=True)
    width, height = sizes[number % len(sizes)]
    spec = SynthVideo(
        name=f"base_{number:03}", seed=UNSEEN_SEED + number, width=width, height=height, frames=186,
        fps=("30", "25", "24")[number % 3], fault=kinds[number % len(kinds)], standing=0.3 if height > width else 0.4,
    )  # fmt: skip
    return folder / f"{spec.name}.mp4" if is_complete(spec, folder) else write_video(spec, folder)


def judged(kind: str, number: int, path: Path, finder: PoseFinder, folder: Path) -> dict[str, Any]:
    """One case's row: what `figures` counts."""
    row = {"kind": kind, "number": number}
    try:
        return row | {"clean": _clean, "bars": _bars, "over": _overlays}[kind](number, path, finder, folder)
    except RejectedError as error:
        return row | {"rejected": error.code}


def _clean(number: int, path: Path, finder: PoseFinder, folder: Path) -> dict[str, Any]:
    result = seen(path, finder, CONFIG)
    return {
        "bars": bool(result.analysis.bars.any()),
        "overlay": [clip.row["overlay"] for clip in result.clips],
    }


def _bars(number: int, path: Path, finder: PoseFinder, folder: Path) -> dict[str, Any]:
    """In source pixels, the most of any side: `left` of a bar in what is kept, `lost` of the picture."""
    place, fill = PLACES[number % 3], FILLS[number // 3 % 3]
    drawn = framed(read_frames(path)[:SHORT_FRAMES], place, fill, np.random.default_rng([UNSEEN_SEED, 1, number]))
    result = seen(write_frames(folder / "barred.mp4", drawn.frames, _rate(path)), finder, SHORT)
    left, above, right, below = result.analysis.bars_at(0)
    height, width = drawn.frames.shape[1:3]
    inwards = (np.array([left, above, width - right, height - below]) - drawn.picture) * [1, 1, -1, -1]
    shown = [beyond(clip, result.analysis, drawn, SHORT) for clip in result.clips if clip.crop]
    return {
        "place": place, "fill": fill, "left": int(-inwards.min()), "lost": int(inwards.max()),
        "beyond": max(shown, default=None),
    }  # fmt: skip


def _overlays(number: int, path: Path, finder: PoseFinder, folder: Path) -> dict[str, Any]:
    """Whether it was found in the picture, and in each clip that shows it; measured over true camera translation."""
    kind, fps = tuple(OVERLAYS)[number % 3], float(Fraction(_rate(path)))
    drawn = overlaid(read_frames(path)[:LOGO_FRAMES], kind, np.random.default_rng([UNSEEN_SEED, 2, number]), fps)
    result = seen(write_frames(folder / "overlaid.mp4", drawn.frames, _rate(path)), finder, LOGO)
    truth = json.loads(path.with_suffix(".json").read_text())
    truth |= {"pts_s": truth["pts_s"][:LOGO_FRAMES]}
    hits, ratios = [], []
    for clip in (clip for clip in result.clips if clip.crop):
        case = judge(path.stem, clip, truth, result.analysis.pts, result.shape, LOGO)
        if case.translation_true > 1 and clip.row["cam_translation"] is not None:
            ratios.append(clip.row["cam_translation"] / case.translation_true)
        if shown_share(np.array([overlay.box for overlay in drawn.overlays], float), clip) > WORTH:
            hits.append(bool(clip.row["overlay"]))
    boxes = np.array([overlay.box for overlay in drawn.overlays], float)
    found = any(share_covered(boxes, box.astype(float)) > 0.5 for box in result.analysis.overlays)
    kinds = sorted({overlay.kind for overlay in drawn.overlays})
    return {"overlays": kinds, "found": found, "hits": hits, "ratios": ratios}


def shown_share(boxes: np.ndarray, clip: Clip) -> float:
    """Share of a clip that boxes of source pixels cover."""
    assert clip.crop
    corner = clip.crop.corners[0]
    return share_covered(boxes, np.concatenate([corner, corner + clip.crop.size]).astype(float))


def figures(rows: list[dict[str, Any]]) -> dict[str, float]:
    """What the issue asks for, of all cases."""
    clean, bars, over = ([row for row in rows if row["kind"] == kind] for kind in ("clean", "bars", "over"))
    false = [any(row.get("overlay", [])) for row in clean]
    hits = [row.get("found", False) for row in over]
    shown = [hit for row in over for hit in row.get("hits", [])]
    ratios = [ratio for row in over for ratio in row.get("ratios", [])]
    precision, recall = precision_recall(np.array(hits + false), np.arange(len(hits) + len(false)) < len(hits))
    kept = ["left" in row and row["left"] <= 2 and (row["beyond"] or 0) <= 2 for row in bars]
    return {
        "clean_videos": len(clean),
        "bars_invented": sum(row.get("bars", False) for row in clean),
        "bar_cases": len(bars),
        "inside_within_2px": float(np.mean(kept)),
        "picture_lost_within_4px": float(np.mean([row.get("lost", np.inf) <= 4 for row in bars])),
        "picture_lost_most_px": float(max(row.get("lost", 0) for row in bars)),
        "overlay_videos": len(hits),
        "clean_with_overlays": sum(false),
        "overlay_precision": precision,
        "overlay_recall": recall,
        "clips_showing_overlays": len(shown),
        "recall_in_these_clips": float(np.mean(shown)),
        "moving_cases": len(ratios),
        "translation_within_10pc": float(np.mean(np.abs(np.array(ratios) - 1) <= 0.1)),
        "translation_ratio_min": min(ratios, default=np.nan),
        "translation_ratio_max": max(ratios, default=np.nan),
        "rejected": sum("rejected" in row for row in rows),
    }


def _rate(path: Path) -> str:
    return str(json.loads(path.with_suffix(".json").read_text())["spec"]["fps"])
