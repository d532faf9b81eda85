"""Stages: which windows of a clip a network is trained on, namely a plan's own calls, shifted in time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TypeVar

from model.errors import PlanError, UnknownNameError
from model.plan import Call, make_plan
from model.seeding import seed_of

T = TypeVar("T")

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

    @cached_property
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
        raise PlanError(f"No {stage} call of plan {plan!r} fits a clip of {clip_frames} frames: use longer clips.")
    return tuple(counts.items())


def draw_window(
    stage: str, *, seed: int, position: int, group: int, clip_frames: int = CLIP_FRAMES, plan: str = "origin"
) -> Window:
    """The window of the sample at `position`, a pure function of its arguments (nothing is remembered).

    All positions of one `group` (the samples of one optimiser step, say) get windows of the same number of
    frames, so that they stack; within it the call and the shift are drawn per position. Calls are drawn in
    proportion to how often the plan makes them, shifts evenly over those that fit the clip.
    """
    by_length = _windows_by_length(stage, clip_frames, plan)
    length = _draw([(n, sum(share for _, share in alike)) for n, alike in by_length], seed, "window-length", group)
    window = _draw(dict(by_length)[length], seed, "window", position)
    return window.shifted(seed_of(seed, "window-shift", position) % (clip_frames - window.span + 1))


@lru_cache(maxsize=64)
def _windows_by_length(
    stage: str, clip_frames: int, plan: str
) -> tuple[tuple[int, tuple[tuple[Window, int], ...]], ...]:
    """`training_windows` by their number of frames, ascending."""
    choices = training_windows(stage, clip_frames, plan)
    lengths = sorted({len(window.frames) for window, _ in choices})
    return tuple((n, tuple(c for c in choices if len(c[0].frames) == n)) for n in lengths)


def _draw(choices: Sequence[tuple[T, int]], seed: int, purpose: str, position: int) -> T:
    """One of (item, weight), drawn in proportion to the weights (63 bits over small sums: even to 1 in 10^15)."""
    place = seed_of(seed, purpose, position) % sum(weight for _, weight in choices)
    for item, weight in choices:
        if place < weight:
            return item
        place -= weight
    raise AssertionError("the weights sum to more than they do")
