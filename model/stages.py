"""Stages: which windows of a clip a network is trained on, namely a plan's own calls, shifted in time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from model.errors import PlanError, UnknownNameError
from model.plan import Call, make_plan

CLIP_FRAMES = 181
# The origin trained its starter on 4 frames and ran it on 7: both are trained here.
ORIGIN_STARTER_WINDOW = Call("starter", (0,), (1, 2, 3))


@dataclass(frozen=True)
class Stage:
    """What sets one stage's training apart: its name in plans, extra windows, the noise on its hints."""

    name: str
    extra_calls: tuple[Call, ...]
    hint_noise: str  # a name in model.conditioning.HINT_NOISE


STAGES: dict[str, Stage] = {
    # The starter's one hint is frame 0 of the sequence, which is never noised.
    "starter": Stage("starter", (ORIGIN_STARTER_WINDOW,), hint_noise="none"),
    "extrapolation": Stage("extrapolation", (), hint_noise="uniform-0.7"),
    "interpolation": Stage("interpolation", (), hint_noise="uniform-0.7"),
}


@dataclass(frozen=True)
class Window:
    """The frames of one network call, ascending; `first` is frame 0 of the sequence, if it is there."""

    hints: tuple[int, ...]
    targets: tuple[int, ...]
    first: int | None

    @property
    def frames(self) -> tuple[int, ...]:
        """Hints and targets together, ascending: the network's frame axis."""
        return tuple(sorted(self.hints + self.targets))

    @property
    def span(self) -> int:
        """Frames of a clip between the first and the last frame of the window, both counted."""
        return self.frames[-1] - self.frames[0] + 1

    def shifted(self, by: int) -> Window:
        """The same window, `by` frames later."""
        first = None if self.first is None else self.first + by
        return Window(tuple(h + by for h in self.hints), tuple(t + by for t in self.targets), first)


def get_stage(name: str) -> Stage:
    """The stage of that name. Raises UnknownNameError."""
    if name not in STAGES:
        raise UnknownNameError("stage", name, STAGES)
    return STAGES[name]


def call_window(call: Call) -> Window:
    """A plan's call as a window: frame 0 of the plan is frame 0 of the sequence."""
    return Window(call.hints, call.targets, first=0 if 0 in call.hints else None)


@lru_cache(maxsize=64)
def training_windows(
    stage: str, clip_frames: int = CLIP_FRAMES, plan: str = "origin"
) -> tuple[tuple[Window, int], ...]:
    """The distinct windows (first frame moved to 0) of a stage's calls, each with how many calls are like it.

    A call that spans more than a clip is left out: nothing can be learnt about it from a clip (the origin's
    last extrapolation call, which makes frames that are cut off again). Raises UnknownNameError for an
    unknown stage or plan, PlanError if no call fits the clip.
    """
    calls = [call for call in make_plan(plan, clip_frames) if call.stage == get_stage(stage).name]
    windows = [call_window(call) for call in (*calls, *get_stage(stage).extra_calls)]
    counts = Counter(window.shifted(-window.frames[0]) for window in windows if window.span <= clip_frames)
    if not counts:
        raise PlanError(
            f"No {stage} call of plan {plan!r} fits a clip of {clip_frames} frames: use longer clips."
        )
    return tuple(counts.items())


def draw_window(
    stage: str, *, seed: int, position: int, group: int, clip_frames: int = CLIP_FRAMES, plan: str = "origin"
) -> Window:
    """The window of the sample at `position`, a pure function of its arguments (nothing is remembered).

    All positions of one `group` (the samples of one optimiser step, say) get windows of the same number of
    frames, so that they stack; within it the call and the shift are drawn per position. Calls are drawn in
    proportion to how often the plan makes them, shifts evenly over those that fit the clip.
    """
    choices = training_windows(stage, clip_frames, plan)
    lengths = sorted({len(window.frames) for window, _ in choices})
    shares = [sum(n for window, n in choices if len(window.frames) == length) for length in lengths]
    length = lengths[_draw(_generator(seed, 0, group), shares)]
    alike = [(window, n) for window, n in choices if len(window.frames) == length]
    generator = _generator(seed, 1, position)
    window, _ = alike[_draw(generator, [n for _, n in alike])]
    return window.shifted(int(generator.integers(clip_frames - window.span + 1)))


def _generator(*key: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(key)))


def _draw(generator: np.random.Generator, weights: Sequence[int]) -> int:
    """An index, drawn in proportion to its weight."""
    return int(np.searchsorted(np.cumsum(weights), generator.integers(sum(weights)), side="right"))
