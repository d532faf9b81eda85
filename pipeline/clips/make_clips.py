"""From an analysis to clips: one dancer per shot, one crop and one row of scores per window."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from data_catalog.base.errors import RejectedError
from pipeline.analysis.arrays import Analysis, detections_of_shot
from pipeline.analysis.cuts import shots
from pipeline.analysis.sound_pass import Heard
from pipeline.analysis.tracking import Track, choose, link, switches, trajectory
from pipeline.clips.align import plan_crop
from pipeline.clips.beats import beat_scores
from pipeline.clips.crop import Crop
from pipeline.clips.frame_grid import FrameGrid, frame_grids, native_rate
from pipeline.clips.overlay_scores import overlay_scores
from pipeline.clips.scores import clip_hash, detections_in, out_of_frame, scores, shows_upper
from pipeline.clips.steady_crop import steady_crop
from pipeline.clips.steadying.steady import Steady, moved
from pipeline.config import BuildConfig, ClipConfig, CropConfig

VERSION = 1  # raise it when the same analysis and config would give other clips
MIN_FOUND = 0.25  # share of detections with anybody in them; drawn films and landscapes stay far below
LONG_GAP_S = 0.5  # a gap in time that is worth a word
FOLLOW_GAP_S = 2.0  # a dancer who is lost for longer is somebody else


@dataclass(frozen=True)
class Dancer:
    """The person who is followed through one shot."""

    times: np.ndarray  # (detections,) seconds
    first: int  # number of the shot's first detection
    track: Track | None
    doubtful: np.ndarray  # detections at which somebody else stood very close


@dataclass(frozen=True)
class Clip:
    """A window with its crop (None where alignment rejected it), scores and landmarks.

    Crop and landmarks are in pixels of the source's picture, or of the steadied one where there is one.
    """

    clip_id: str
    window: FrameGrid
    crop: Crop | None
    landmarks: np.ndarray
    known: np.ndarray
    row: dict[str, Any]
    steady: Steady | None = None


def clip_set(analysis_key: str, clips: ClipConfig, crop: CropConfig, sound_key: str | None) -> str:
    """The name of everything that decides which clips a source gives, how they look and what is known of them.

    Without sound it is what it was before there was any, so that older data sets continue.
    """
    heard = [] if sound_key is None else [sound_key]
    return clips.key(crop.identity(), analysis_key, VERSION, *heard)


def dancer_of_shot(analysis: Analysis, start: int, end: int, shape: tuple[int, int]) -> Dancer:
    """Link the people of a shot and choose the one to follow."""
    detections = list(detections_of_shot(analysis, start, end))
    times = analysis.pts[analysis.pose_frames[detections]]
    people = [analysis.people(d) for d in detections]
    step = float(np.median(np.diff(times))) if len(times) > 1 else FOLLOW_GAP_S
    track = choose(link(people, max(1, round(FOLLOW_GAP_S / step))), shape)
    doubtful = np.array(switches(track, people) if track else [], np.int64)
    first = detections[0] if detections else 0
    return Dancer(times, first, track, doubtful + first)


def landmarks_at(dancer: Dancer, at: np.ndarray, max_gap_s: float) -> tuple[np.ndarray, np.ndarray]:
    """((frames, 33, 4), (frames,) known) of the dancer at given times; all unknown where nobody is followed."""
    if dancer.track is None:
        return np.zeros((len(at), 33, 4)), np.zeros(len(at), bool)
    return trajectory(dancer.times, dancer.track, at, max_gap_s)


def steadied_dancer(dancer: Dancer, analysis: Analysis, steady: Steady) -> Dancer:
    """The same person in pixels of a steadied picture: between detections a dancer moves there, not the camera."""
    if dancer.track is None:
        return dancer
    frames = analysis.pose_frames[dancer.first + np.array(dancer.track.samples)]
    landmarks = moved(np.stack(dancer.track.landmarks), steady.at(frames))
    return replace(dancer, track=replace(dancer.track, landmarks=list(landmarks)))


def make_clips(
    source_id: str,
    analysis: Analysis,
    shape: tuple[int, int],
    config: BuildConfig,
    name: str,
    only: set[str] | None,
    heard: Heard | None = None,
) -> Iterator[Clip]:
    """Every window of a source as a clip.

    Args:
        shape: (height, width) of the first picture as displayed.
        name: the clip set's.
        only: ids of the clips that are wanted, or None for all.
        heard: what the source sounds like; None where nobody listened.

    Raises:
        RejectedError: low_rate, too_short, no_dancer.
    """
    ranges = shots([int(cut) for cut in analysis.cuts], len(analysis.pts))
    windows = usable_grids(analysis, ranges, config.clips)
    shapes = [analysis.shape_at(start, shape) for start, _ in ranges]
    dancers = {shot: dancer_of_shot(analysis, *ranges[shot], shapes[shot]) for shot in {w.shot for w in windows}}
    for window in windows:
        clip_id = f"{source_id[:16]}-{window.frames[0]:06d}-{name[:8]}"
        if only is None or clip_id in only:
            clip = _planned(
                clip_id, analysis, window, ranges[window.shot], dancers[window.shot], shapes[window.shot], config
            )
            row = clip.row | _heard_scores(heard, analysis, clip) | {"source_id": source_id, "clip_set": name}
            yield replace(clip, row=row)


def _planned(
    clip_id: str,
    analysis: Analysis,
    window: FrameGrid,
    shot: tuple[int, int],
    dancer: Dancer,
    shape: tuple[int, int],
    config: BuildConfig,
) -> Clip:
    """A window's crop, steadied where that helps, and its scores."""
    times, rejected, steadied = analysis.pts[window.frames], None, None

    def seen(steady: Steady | None) -> tuple[np.ndarray, np.ndarray]:
        """The dancer in the window's frames."""
        person = dancer if steady is None else steadied_dancer(dancer, analysis, steady)
        return landmarks_at(person, times, config.clips.max_gap_s)

    landmarks, known = in_source, known_in_source = seen(None)
    crop: Crop | None = None
    try:
        crop = plan_crop(landmarks, known, shape, config.crop)
    except RejectedError as error:
        rejected = error.code
    if crop is not None and config.crop.steady:
        steadied = steady_crop(analysis, window, shot, crop, (landmarks, known), seen, shape, config.crop)
    shown, source_shape = analysis, shape
    if steadied is not None:
        crop, landmarks, known = steadied.crop, steadied.landmarks, steadied.known
        shown, shape = steadied.steady.analysis(analysis), steadied.steady.shape
    measured = scores(shown, window, landmarks, known, shape, crop, config.crop.size, config.clips.duplicate_change)
    measured |= out_of_frame(in_source, known_in_source, source_shape, shows_upper(crop))
    measured |= overlay_scores(shown, window, landmarks, shape, crop)
    measured["identity_switches"] = int(np.isin(dancer.doubtful, detections_in(analysis, window)).sum())
    middle = np.abs(analysis.pose_frames - window.frames[len(window.frames) // 2]).argmin()
    measured["phash"] = clip_hash(analysis.thumbs[middle], landmarks)
    measured["steadied"] = None if steadied is None else steadied.before - steadied.after
    steady = steadied.steady if steadied is not None else None
    row = _row(clip_id, analysis, window, crop, rejected, steady) | measured
    return Clip(clip_id, window, crop, landmarks, known, row, steady)


def _heard_scores(heard: Heard | None, analysis: Analysis, clip: Clip) -> dict[str, Any]:
    if heard is None:
        return {}
    start_s = float(analysis.pts[clip.window.frames[0]])
    return beat_scores(heard, start_s, clip.window.fps, clip.landmarks, clip.known)


def usable_grids(analysis: Analysis, ranges: list[tuple[int, int]], config: ClipConfig) -> list[FrameGrid]:
    """The windows of a source that is long enough and shows people at all.

    Raises:
        RejectedError: low_rate, too_short, no_dancer.
    """
    mixed = set(analysis.transitions[:, 0].tolist())
    ranges = [(start, start if start in mixed else end) for start, end in ranges]  # a transition gives no clip
    windows = frame_grids(analysis.pts, ranges, config)
    whole = frame_grids(analysis.pts, [(0, len(analysis.pts))], config)
    found = float((np.diff(analysis.people_end, prepend=0) > 0).mean())
    if whole and found < MIN_FOUND:
        raise RejectedError(
            "no_dancer", f"A person was found in {found:.0%} of the pictures; {MIN_FOUND:.0%} were expected."
        )
    if not windows:
        native, _ = native_rate(analysis.pts)
        start, end = max(ranges, key=lambda shot: shot[1] - shot[0])
        gap = float(np.diff(analysis.pts[start:end]).max(initial=0.0))
        count = len(ranges) - len(mixed)
        raise RejectedError(
            "too_short",
            f"The longest shot{f' of {count}' if count > 1 else ''} has {end - start} frames at {float(native):.4g} "
            "per second"
            f"{f', with a gap of {gap:.1f} s between two of them' if gap > LONG_GAP_S else ''}; a clip takes "
            f"{config.frames} evenly spaced ones, none twice, at {config.min_fps:g} to {config.max_fps:g} per second.",
        )
    return windows


def _row(
    clip_id: str,
    analysis: Analysis,
    window: FrameGrid,
    crop: Crop | None,
    rejected: str | None,
    steady: Steady | None,
) -> dict[str, Any]:
    start = float(analysis.pts[window.frames[0]])
    corner = _corner_in_source(crop, window, steady) + analysis.bars_at(int(window.frames[0]))[:2] if crop else None
    return {
        "clip_id": clip_id,
        "shot": window.shot,
        "start_s": start,
        "end_s": float(analysis.pts[window.frames[-1]]) + 1 / float(window.fps),
        "first_frame": int(window.frames[0]),
        "step": int(np.median(np.diff(window.frames))),
        "fps": float(window.fps),
        "frames": len(window.frames),
        "crop_x": None if corner is None else float(corner[0]),
        "crop_y": None if corner is None else float(corner[1]),
        "crop_side": None if crop is None else float(crop.height),
        "crop_width": None if crop is None else float(crop.width),
        "crop_height": None if crop is None else float(crop.height),
        "crop_mode": None if crop is None else ("static" if len(crop.corners) == 1 else "follow"),
        "framing": None if crop is None else crop.framing,
        "align_reason": rejected,
    }


def _corner_in_source(crop: Crop, window: FrameGrid, steady: Steady | None) -> np.ndarray:
    """(2,) the mean over frames."""
    if steady is None:
        return np.asarray(crop.corners.mean(0))
    corners = crop.at(len(window.frames))[:, None]
    return np.asarray(steady.in_source(corners, window.frames).mean((0, 1)))
