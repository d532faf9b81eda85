"""The dance in a video, for somebody else to dance: the dancer of its longest stretch, in every frame."""

import os
from fractions import Fraction
from pathlib import Path

import numpy as np

from data_catalog.base.errors import LongdanceError, RejectedError
from pipeline.analysis.arrays import Analysis
from pipeline.analysis.cuts import shots
from pipeline.analysis.pose import pose_finder
from pipeline.analysis.source_pass import analyse
from pipeline.clips.frame_grid import native_rate
from pipeline.clips.make_clips import dancer_of_shot, landmarks_at
from pipeline.config import AnalysisConfig, ClipConfig, LimitsConfig
from pipeline.video.ffmpeg import open_source
from pipeline.video.probe import probe

POSE_HZ = 30.0
"""Detections a second: here every frame counts, and the video is one."""


def dance_in_video(path: Path, model: Path) -> tuple[np.ndarray, Fraction]:
    """Landmarks (frames, 33, 4) in the video's pixels, and frames a second.

    Raises LongdanceError: the file cannot be read, or nobody dances in it.
    """
    config = AnalysisConfig(pose_hz=POSE_HZ)
    try:
        descriptor = open_source(os.fsencode(path))
        try:
            found = probe(descriptor, LimitsConfig())
            with pose_finder(model, config.max_people, config.min_pose_confidence) as finder:
                analysis = analyse(descriptor, found, finder, config, LimitsConfig())
        finally:
            os.close(descriptor)
        return _longest_dance(analysis, (found.height, found.width))
    except RejectedError as error:
        raise LongdanceError(
            f"No dance can be taken from {path} ({error.code}: {error.detail.rstrip('.')}): give a video that shows "
            "one whole dancer."
        ) from error


def _longest_dance(analysis: Analysis, shape: tuple[int, int]) -> tuple[np.ndarray, Fraction]:
    """The longest run of frames without a cut in which one dancer is known."""
    rate, _ = native_rate(analysis.pts)
    best = np.empty((0, 33, 4))
    for start, end in shots([int(cut) for cut in analysis.cuts], len(analysis.pts)):
        times = analysis.pts[start:end]
        at = np.arange(times[0], times[-1] + 0.5 / float(rate), 1 / float(rate))
        dancer = dancer_of_shot(analysis, start, end, analysis.shape_at(start, shape))
        landmarks, known = landmarks_at(dancer, at, ClipConfig().max_gap_s)
        for first, stop in _runs(known):
            if stop - first > len(best):
                best = landmarks[first:stop]
    if len(best) < 2:
        raise RejectedError("no_dancer", "Nobody was found in it for longer than a moment")
    return best, rate


def _runs(known: np.ndarray) -> list[tuple[int, int]]:
    """Where a mask is True: (first, stop) of every run."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], known, [False]]).astype(int)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
