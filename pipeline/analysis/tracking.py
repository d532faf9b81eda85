"""Who is the dancer: people linked from detection to detection, one of them followed through a shot."""

from dataclasses import dataclass, field

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.optimize import linear_sum_assignment
from scipy.signal import butter, sosfiltfilt

from pipeline.analysis.pose import CORE, JOINTS, MAIN, body_length, box, pelvis

GATE = 1.0  # cost above which two detections cannot be one person
ESTABLISHED = 3  # detections after which a track is somebody and no flicker of the detector
WALKS_ON = 3  # samples
MERGED_WITHIN = 3  # samples
SMOOTH_HZ = 4.0  # dance moves are slower; detection noise is not


@dataclass
class Track:
    """One person: `samples` are indices into the shot's detections. An ended track is never taken up again."""

    ended: bool = False
    samples: list[int] = field(default_factory=list)
    landmarks: list[np.ndarray] = field(default_factory=list)


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two (x0, y0, x1, y1) boxes."""
    inner = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    if (inner <= 0).any():
        return 0.0
    shared = float(inner.prod())
    return shared / float((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - shared)


def cost(a: np.ndarray, b: np.ndarray, gap: int) -> float:
    """How unlike one person two (33, 4) detections are, `gap` samples apart: 0 the same, above GATE somebody else.

    Mean distance of the core joints in body lengths (allowed to grow with the gap) plus what the boxes do not share.
    """
    size = max(float(body_length(a)), float(body_length(b)), 1.0)
    joints = float(np.linalg.norm(a[CORE, :2] - b[CORE, :2], axis=1).mean()) / size
    ratio = abs(float(np.log(max(float(body_length(a)), 1.0) / max(float(body_length(b)), 1.0))))
    return joints / (0.45 * min(gap, 4) ** 0.5) + 0.3 * (1 - overlap(box(a), box(b))) + 0.5 * max(0.0, ratio - 0.35)


def link(people: list[np.ndarray], max_gap: int) -> list[Track]:
    """Tracks through the detections of one shot: Hungarian assignment, whoever was seen last first.

    The matching cascade of Wojke et al. 2017 ("Simple online and realtime tracking with a deep association
    metric", listing 1): somebody who was hidden does not take over the one who stands there now.

    Args:
        people: per sample, (n, 33, 4) landmarks in pixels.
        max_gap: samples that a track may miss and continue.
    """
    tracks: list[Track] = []
    for sample, found in enumerate(people):
        free = list(range(len(found)))
        for gap in range(1, max_gap + 1):
            seen = [track for track in tracks if sample - track.samples[-1] == gap and not track.ended]
            free = _assign(seen, found, free, sample) if seen and free else free
        tracks += [Track(samples=[sample], landmarks=[found[i]]) for i in free]
        tracks += _end_merged(tracks, sample)
    return tracks


def _end_merged(tracks: list[Track], sample: int) -> list[Track]:
    """Two people who became one detection: nobody can say whose it is, so both tracks end and a new one begins.

    Returns the new tracks.
    """
    known = [track for track in tracks if len(track.samples) > ESTABLISHED and not track.ended]
    lost = [track for track in known if 1 <= sample - track.samples[-1] <= MERGED_WITHIN]
    begun = []
    for track in [track for track in known if track.samples[-1] == sample]:
        rivals = [o for o in lost if cost(predicted(o, sample), track.landmarks[-1], sample - o.samples[-1]) <= GATE]
        if rivals:
            begun.append(Track(samples=[track.samples.pop()], landmarks=[track.landmarks.pop()]))
            for ended in (track, *rivals):
                ended.ended = True
    return begun


def _assign(tracks: list[Track], found: np.ndarray, free: list[int], sample: int) -> list[int]:
    """Give tracks their detections out of those that are free; returns what stays free."""
    costs = np.array([[cost(predicted(t, sample), found[i], sample - t.samples[-1]) for i in free] for t in tracks])
    taken = set()
    for row, column in zip(*linear_sum_assignment(np.minimum(costs, 10 * GATE)), strict=True):
        if costs[row, column] <= GATE:
            tracks[row].samples.append(sample)
            tracks[row].landmarks.append(found[free[column]])
            taken.add(free[column])
    return [i for i in free if i not in taken]


def predicted(track: Track, sample: int) -> np.ndarray:
    """(33, 4) where a track's person would be now who walks on as between the last two samples, for a few samples."""
    last = track.landmarks[-1]
    if len(track.samples) < 2:
        return last
    step = (pelvis(last) - pelvis(track.landmarks[-2])) / (track.samples[-1] - track.samples[-2])
    moved = last.copy()
    moved[:, :2] += step * min(sample - track.samples[-1], WALKS_ON)
    return moved


def choose(tracks: list[Track], shape: tuple[int, int]) -> Track | None:
    """The dancer: the longest, largest, most central track; None where there is nobody.

    Args:
        shape: (height, width) of the picture in pixels.
    """

    def weight(track: Track) -> float:
        """Samples x size x centrality (1 in the middle, 1/2 at the left or right edge)."""
        landmarks = np.stack(track.landmarks)
        size = float(np.median(body_length(landmarks))) / max(shape)
        off = abs(float(np.median(pelvis(landmarks)[:, 0])) / shape[1] - 0.5)
        return len(track.samples) * size * (1 - min(off, 0.5))

    return max(tracks, key=weight, default=None)


def switches(track: Track, people: list[np.ndarray]) -> list[int]:
    """Samples at which somebody else stood so close that the two could have been taken for each other.

    While the dancer is lost, anybody where the dancer was last seen is such a one.
    """
    doubtful = []
    for index in range(1, len(track.samples)):
        sample, before, last = track.samples[index], track.landmarks[index - 1], track.samples[index - 1]
        doubtful += [s for s in range(last + 1, sample) if any(cost(before, p, s - last) < GATE for p in people[s])]
        gap = sample - last
        own = cost(before, track.landmarks[index], gap)
        others = [cost(before, p, gap) for p in people[sample] if not np.array_equal(p, track.landmarks[index])]
        if others and min(others) < min(GATE, own + 0.25):
            doubtful.append(sample)
    return doubtful


def trajectory(times: np.ndarray, track: Track, at: np.ndarray, max_gap_s: float) -> tuple[np.ndarray, np.ndarray]:
    """Landmarks at any times: monotone cubic interpolation, then a zero-phase low pass.

    Args:
        times: (samples,) seconds of the shot's detections.
        at: (frames,) seconds, ascending and evenly spaced.
        max_gap_s: longer gaps are not trusted.

    Returns:
        landmarks (frames, 33, 4) float64, held at their first and last value outside the track, and
        known (frames,) bool: False inside a longer gap and outside the track.
    """
    seen_at = times[track.samples]
    seen = np.stack(track.landmarks).astype(np.float64)
    if len(seen_at) == 1:
        return np.repeat(seen, len(at), 0), np.abs(at - seen_at[0]) <= max_gap_s / 2
    inside = np.clip(at, seen_at[0], seen_at[-1])
    landmarks = PchipInterpolator(seen_at, seen.reshape(len(seen), -1))(inside).reshape(-1, JOINTS, 4)
    right = np.clip(np.searchsorted(seen_at, at), 1, len(seen_at) - 1)
    step = float(np.median(np.diff(times))) if len(times) > 1 else max_gap_s
    known = (
        (seen_at[right] - seen_at[right - 1] <= max(max_gap_s, 1.5 * step))
        & (at >= seen_at[0] - step)
        & (at <= seen_at[-1] + step)
    )
    return smooth(landmarks, at), known


def smooth(landmarks: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Butterworth low pass, forwards and backwards, so that nothing is delayed."""
    if len(at) < 16:
        return landmarks
    rate = (len(at) - 1) / (at[-1] - at[0])
    if rate <= SMOOTH_HZ / 0.45:
        return landmarks
    sections = butter(2, SMOOTH_HZ, fs=rate, output="sos")
    smoothed = landmarks.copy()
    smoothed[..., :3] = sosfiltfilt(sections, landmarks[..., :3], axis=0)
    return smoothed


def main_joints_inside(
    landmarks: np.ndarray, low: np.ndarray, high: np.ndarray, joints: list[int] = MAIN
) -> np.ndarray:
    """(frames, joints) bool: which joints lie within the box from `low` to `high` (each (..., 2))."""
    points = landmarks[:, joints, :2]
    return np.asarray(((points >= low) & (points <= high)).all(-1))
