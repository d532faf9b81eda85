"""Stages: which windows of a clip a network is trained on, namely a plan's own calls, shifted in time.

The stage `any` serves all calls: it is trained on those of all plans, and on windows of random frames among them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TypeVar

from model.errors import PlanError, UnknownNameError
from model.plans.plan import MAX_WINDOW, Call, make_plan
from model.seeding import numpy_generator, seed_of

T = TypeVar("T")

CLIP_FRAMES = 181
# The origin trained its starter on 4 frames and ran it on 7: both are trained here.
ORIGIN_STARTER_WINDOW = Call("starter", (0,), (1, 2, 3))


@dataclass(frozen=True)
class Stage:
    """What sets one stage's training apart."""

    name: str
    hint_noise: str
    """A name in `model.network.conditioning.HINT_NOISE`."""
    serves: tuple[str, ...]
    """The stages of a plan's calls that it is trained for."""
    default_plans: tuple[str, ...] = ("origin",)
    """The plans whose windows it is trained on."""
    random_windows: bool = False
    """Whether windows of random frames are mixed in."""
    random_reference: bool = False
    """Whether any frame of a clip may stand for frame 0, wherever the frames to be made lie."""

    @property
    def versatile(self) -> bool:
        """Whether it stands in for a stage that was not trained by itself."""
        return len(self.serves) > 1


CALL_STAGES = ("starter", "extrapolation", "interpolation")
WITHOUT_POSE = ("origin", "streaming", "tree")
"""Plans for networks that are told no pose."""
EXTRA_CALLS = {"starter": (ORIGIN_STARTER_WINDOW,)}
"""What is trained for a stage's calls beside them."""
STAGES = {
    stage.name: stage
    for stage in (
        Stage("starter", "none", ("starter",)),  # its one hint is frame 0 of the sequence, which is never noised
        Stage("extrapolation", "uniform-0.7", ("extrapolation",)),
        Stage("interpolation", "uniform-0.7", ("interpolation",)),
        Stage("any", "uniform-0.7", CALL_STAGES, default_plans=WITHOUT_POSE, random_windows=True),
        Stage("star", "none", ("star",), default_plans=("star",), random_reference=True),
    )
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


def stage_plans(stage: str, plans: Sequence[str] | None) -> tuple[str, ...]:
    """The plans whose windows a stage is trained on: those given, else its own."""
    return tuple(plans) if plans else get_stage(stage).default_plans


@lru_cache(maxsize=64)
def training_windows(
    stage: str, clip_frames: int = CLIP_FRAMES, plans: tuple[str, ...] | None = None
) -> tuple[tuple[Window, int], ...]:
    """The distinct windows (first frame moved to 0) of a stage's calls, each with its weight.

    A window weighs as much as there are calls like it; where several stages are served, each of each plan weighs the
    same in all. A call that spans more than a clip is left out: nothing can be learnt about it from a clip (the
    origin's last extrapolation call, which makes frames that are cut off again). Raises UnknownNameError for an
    unknown stage or plan, PlanError if no call fits the clip.
    """
    chosen, groups = get_stage(stage), []
    for plan in stage_plans(stage, plans):
        calls = make_plan(plan, clip_frames)
        for served in chosen.serves:
            wanted = (*(call for call in calls if call.stage == served), *EXTRA_CALLS.get(served, ()))
            windows = [call_window(call) for call in wanted]
            groups.append([w.shifted(-w.frames[0]) for w in windows if w.span <= clip_frames])
    groups = [group for group in groups if group]
    if not groups:
        named = ", ".join(stage_plans(stage, plans))
        raise PlanError(f"No {stage} call of plan {named!r} fits a clip of {clip_frames} frames: use longer clips.")
    whole = math.lcm(*(len(group) for group in groups)) if chosen.versatile else 0
    counts: Counter[Window] = Counter()
    for group in groups:
        for window in group:
            counts[window] += whole // len(group) if whole else 1
    return tuple(counts.items())


def draw_window(
    stage: str,
    *,
    seed: int,
    position: int,
    group: int,
    clip_frames: int = CLIP_FRAMES,
    plans: tuple[str, ...] | None = None,
    random_share: float = 0.0,
) -> Window:
    """The window of the sample at `position`, a pure function of its arguments (nothing is remembered).

    All positions of one `group` (the samples of one optimizer step, say) get windows of the same number of
    frames, so that they stack; within it the call and the shift are drawn per position. Calls are drawn in
    proportion to their weight, shifts evenly over those that fit the clip. `random_share` of the positions get
    a window of random frames instead.
    """
    if get_stage(stage).random_reference:
        return referred_window(seed, position, clip_frames)
    by_length = _windows_by_length(stage, clip_frames, plans)
    length = _draw([(n, sum(share for _, share in alike)) for n, alike in by_length], seed, "window-length", group)
    if random_share and seed_of(seed, "window-kind", position) < random_share * 2**63:
        return random_window(seed, position, length, clip_frames)
    window = _draw(dict(by_length)[length], seed, "window", position)
    return window.shifted(seed_of(seed, "window-shift", position) % (clip_frames - window.span + 1))


def random_window(seed: int, position: int, length: int, clip_frames: int) -> Window:
    """`length` frames of a clip at random, some of them hints: spans from dense to the whole clip alike (evenly
    in their logarithm); an earliest frame that is a hint is frame 0 of the sequence half the time."""
    generator = numpy_generator(seed, "window-random", position)
    low, high = math.log(length), math.log(clip_frames + 1)
    span = min(clip_frames, max(length, int(math.exp(generator.uniform(low, high)))))
    start = int(generator.integers(clip_frames - span + 1))
    frames = sorted(start + int(f) for f in generator.choice(span, length, replace=False))
    hints = sorted(frames[int(i)] for i in generator.choice(length, generator.integers(1, length), replace=False))
    starts = bool(generator.integers(2)) and hints[0] == frames[0]
    return Window(tuple(hints), tuple(f for f in frames if f not in hints), frames[0] if starts else None)


def referred_window(seed: int, position: int, clip_frames: int) -> Window:
    """As many neighbouring frames as a call of plan `star` makes, anywhere in a clip, and any other frame to make them
    from, before or after. Raises PlanError: the clip is no longer than a window."""
    if clip_frames < MAX_WINDOW:
        raise PlanError(f"No star call fits a clip of {clip_frames} frames: use clips of {MAX_WINDOW} or more.")
    generator = numpy_generator(seed, "window-reference", position)
    start = int(generator.integers(clip_frames - MAX_WINDOW + 2))
    targets = tuple(range(start, start + MAX_WINDOW - 1))
    others = [frame for frame in range(clip_frames) if frame not in targets]
    reference = int(generator.choice(others))
    return Window((reference,), targets, first=reference)


@lru_cache(maxsize=64)
def _windows_by_length(
    stage: str, clip_frames: int, plans: tuple[str, ...] | None
) -> tuple[tuple[int, tuple[tuple[Window, int], ...]], ...]:
    """`training_windows` by their number of frames, ascending."""
    choices = training_windows(stage, clip_frames, plans)
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
