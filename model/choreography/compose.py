"""Composes a dance: window after window of key poses on the beats, the frames between, and the best of several."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d

from model.choreography.beat_grid import BeatGrid, at_frames, beat_grid
from model.choreography.config import DanceConfig
from model.choreography.contacts import planted
from model.choreography.dances import StoredDance
from model.choreography.measures import FROZEN, steadiness
from model.choreography.network import STYLES, ChoreographerNetwork, Conditions
from model.choreography.objective import sample_window
from model.choreography.rig import DancerBody, body_of_pose, to_landmarks, to_numbers
from model.pose.retarget import EASE_FRAMES, MAX_OUTSIDE
from model.seeding import numpy_generator, torch_generator
from pipeline.analysis.pose import MAIN
from pipeline.picture_size import PictureSize


@dataclass(frozen=True)
class DanceOrder:
    """What a dance is to be."""

    start: np.ndarray
    """(33, 4) landmarks that it begins with, in pixels."""
    size: PictureSize
    """Of the picture."""
    frames: int
    fps: Fraction
    beats: np.ndarray | None = None
    """Seconds of the music's beats; None: it dances to a pulse of its own."""
    style: np.ndarray | None = None
    """(keys, SIZE) numbers of a dance to dance like."""


@torch.no_grad()
def compose(network: ChoreographerNetwork, order: DanceOrder, config: DanceConfig) -> StoredDance:
    """A dance of `order.frames` frames whose frame 0 is the start; the same seed gives the same bytes.

    Memory is that of a window, but for the landmarks. Raises PoseError: nobody is in the start.
    """
    network.eval()
    body = body_of_pose(order.start, order.size.width, network.usual_bones.double().numpy())
    fps, seconds = float(order.fps), order.frames / float(order.fps)
    grid = beat_grid(order.beats, seconds, network.config.keys_per_beat, _tempo(network, config))
    first = to_numbers(np.where(np.isfinite(order.start), order.start, 0.0)[None], body)
    chosen: tuple[float, StoredDance] | None = None
    for keys in _key_poses(network, first, grid, order.style, config):
        dance = _danced(keys, grid, order, body, first[0], fps)
        worth = _worth(dance, body)
        if chosen is None or worth > chosen[0]:
            chosen = worth, dance
    assert chosen is not None
    return chosen[1]


def _tempo(network: ChoreographerNetwork, config: DanceConfig) -> float:
    """Of a dance without music: one that was learnt."""
    if config.tempo is not None:
        return config.tempo
    place = numpy_generator(config.seed, "dance-tempo", 0).integers(10, 91)
    return float(network.tempi[int(place)])


def _key_poses(
    network: ChoreographerNetwork, first: np.ndarray, grid: BeatGrid, style: np.ndarray | None, config: DanceConfig
) -> np.ndarray:
    """(candidates, keys, SIZE): made window by window, each going on from the last beats of the one before."""
    window, count, prior = network.config.window, config.candidates, network.prior()
    known = min(config.history_beats * network.config.keys_per_beat, window - 1)
    made = network.to_components(first)[None].expand(count, -1, -1)
    number, keys = 0, len(grid.seconds)
    parts = [network.to_numbers(made[0])[None].repeat(count, 0)]
    done = 1
    while done < keys:
        history = made[:, -known:]
        styles = _styles(network, style, config, done // network.config.keys_per_beat)
        given = _conditions(network, grid, done - history.shape[1], history.shape[1], styles)
        generator = torch_generator(config.seed, "dance-window", number)
        noise = torch.randn(config.steps + 1, count, window, made.shape[-1], generator=generator) * config.temperature
        padded = torch.zeros(count, window, made.shape[-1])
        padded[:, : history.shape[1]] = history
        poses = sample_window(network, prior, padded, given, config.steps, noise)
        new = poses[:, history.shape[1] :]
        made = torch.cat([history, new], 1)
        parts.append(np.stack([network.to_numbers(row) for row in new]))
        done, number = done + new.shape[1], number + 1
    return np.concatenate(parts, 1)[:, :keys]


def _styles(network: ChoreographerNetwork, style: np.ndarray | None, config: DanceConfig, beat: int) -> torch.Tensor:
    """(candidates, ...) what all are to dance like: what is asked for, else what was learnt, by seed.

    A row of zeros tells nothing.
    """
    if style is not None:
        return network.style_of(network.to_components(style)).expand(config.candidates, -1)
    if not config.learnt_style:
        return torch.zeros(config.candidates, network.styles.shape[1])
    order = numpy_generator(config.seed, "dance-style", 0).permutation(STYLES)
    return network.styles[order[beat // config.style_beats % STYLES]].expand(config.candidates, -1)


def _conditions(
    network: ChoreographerNetwork, grid: BeatGrid, start: int, known: int, styles: torch.Tensor
) -> Conditions:
    """Of a window that begins at a key of the grid; beyond its end the pulse goes on."""
    size, count = network.config, len(styles)
    phases = (grid.phases[0] + start + np.arange(size.window)) % size.keys_per_beat
    stop = min(start + size.window, len(grid.seconds) - 1)
    begin = max(0, min(start, stop - size.keys_per_beat))
    step = float(np.mean(np.diff(grid.seconds[begin : stop + 1])))
    return Conditions(
        torch.from_numpy(phases).expand(count, -1),
        torch.full((count,), 60 / (step * size.keys_per_beat)),
        torch.full((count,), grid.heard),
        styles,
        styles.any(1),
        (torch.arange(size.window) < known).expand(count, -1),
    )


def _danced(
    keys: np.ndarray, grid: BeatGrid, order: DanceOrder, body: DancerBody, first: np.ndarray, fps: float
) -> StoredDance:
    """The frames of key poses: on her body, in the picture, feet planted, beginning as she stands."""
    numbers = at_frames(keys, grid, order.frames, fps)
    numbers[:, :2] = _within(numbers, body, order.size)
    share = np.clip(np.arange(order.frames) / EASE_FRAMES, 0, 1)[:, None]
    numbers += (first - numbers[0]) * (1 - share * share * (3 - 2 * share))
    landmarks = planted(to_landmarks(numbers, body), fps, body)
    landmarks = to_landmarks(to_numbers(landmarks, body), body)  # a planted foot may have stretched its leg
    landmarks[0] = np.where(np.isfinite(order.start), order.start, landmarks[0])
    return StoredDance(landmarks, order.fps, order.beats, (order.size.width, order.size.height))


def _within(numbers: np.ndarray, body: DancerBody, size: PictureSize) -> np.ndarray:
    """The pelvis's path (frames, 2) moved as far as every main joint needs to stay in the picture, smoothly."""
    points = to_landmarks(numbers, body)[:, MAIN, :2]
    slack = np.array([MAX_OUTSIDE, MAX_OUTSIDE]) * size.height / 2
    low, high = slack - points.min(1), np.array([size.width, size.height]) - slack - points.max(1)
    push = np.maximum(low, 0) + np.minimum(high, 0)
    if not push.any():
        return numbers[:, :2]
    return np.asarray(numbers[:, :2] + gaussian_filter1d(push, 8, axis=0) / body.height)


def _worth(dance: StoredDance, body: DancerBody) -> float:
    """What the best of several is chosen by: in the picture, never frozen, pushed by feet that stand.

    Not by speed: the calm and the wild of the dances that were learnt would both go.
    """
    found = steadiness(dance, body)
    return -10 * found.outside - 5 * max(0.0, 3 * FROZEN - found.least) - 0.1 * found.pfc
