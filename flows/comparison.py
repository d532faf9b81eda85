"""What a rollout is measured beside: what really followed, the clip of its dance, or clips of the data set."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from flows.dancing.driving_dance import is_clip
from flows.generate_request import OpenedRequest
from model.data.landmarks import clip_landmarks
from model.drift.report import GivenDance, RealClip, real_clip, reference_clips
from model.errors import DataError

logger = logging.getLogger(__name__)
REFERENCES = 3
"""Real clips that a rollout is compared with, where a data set is named and no one clip is the measure."""


@dataclass(frozen=True)
class Comparison:
    """The measures of `model.drift.report.measure_drift`."""

    truth: RealClip | None
    references: Sequence[RealClip] = ()
    dance: GivenDance | None = None


def comparison(opened: OpenedRequest) -> Comparison:
    """What this rollout is measured beside. Of a dance that is another's, what followed the picture is no measure."""
    request, beginning, data = opened.request, opened.beginning, opened.data
    size, landmarks = opened.prepared.size, beginning.start.dance
    if landmarks is None and beginning.truth is not None:
        return Comparison(beginning.truth)
    if landmarks is not None and request.own_dance:
        return Comparison(beginning.truth, dance=GivenDance(landmarks, request.clip, landmarks))
    dance = None if landmarks is None else GivenDance(landmarks)
    if data is None:
        return Comparison(None, dance=dance)
    if landmarks is not None and request.pose is not None and is_clip(request.pose) and request.speed == 1:
        try:
            danced = clip_landmarks(data.root, request.pose, size)
            source = real_clip(data.root, request.pose, size)
            return Comparison(None, [source], GivenDance(landmarks, source.clip_id, danced))
        except DataError as error:  # of that clip no part shows its picture throughout
            logger.warning("The clip of the dance is no measure, others of the data set are: %s", error)
    holdout = next(iter(opened.prepared.serving.values())).config.holdout
    return Comparison(None, list(reference_clips(data.root, REFERENCES, size, holdout)), dance)
