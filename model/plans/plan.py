"""Plans: which frames each network call is given and which it makes, as pure data. Frames count from 0.

A plan may run past the number of frames that was asked for; the frames beyond are made and then cut off,
as the origin made 187 frames and kept 181.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, count, pairwise

from model.errors import PlanError, UnknownNameError

MIN_FRAMES, MAX_FRAMES = 2, 10_000
MAX_WINDOW = 9
STARTER_TARGETS = 6
KEY_STEP = 4
KEYS_PER_CALL = 3
STREAM_KEY_STEP, STREAM_FILL_STEP = 12, 4


@dataclass(frozen=True)
class Call:
    """One network call: `hints` are given, `targets` are made; both ascending and without a common frame."""

    stage: str
    hints: tuple[int, ...]
    targets: tuple[int, ...]

    @property
    def frames(self) -> tuple[int, ...]:
        """All frames that the network sees, ascending."""
        return tuple(sorted(self.hints + self.targets))


def origin_plan(frames: int) -> list[Call]:
    """The origin's schedule for at least `frames` frames: starter, then keys 4 apart, then the gaps.

    Extrapolation sees frame 0 and the newest three keys (at first frames 1 and 2 stand in for keys) and makes
    three keys. Interpolation fills two gaps at a time; a last gap without a partner is filled alone, from its
    two ends. At 181 frames: 1 + 15 + 23 calls that make 187 frames.
    """
    _check_frames(frames)
    calls = [Call("starter", (0,), tuple(range(1, STARTER_TARGETS + 1)))]
    keys = [1, 2, STARTER_TARGETS]
    while keys[-1] < frames - 1:
        new = tuple(keys[-1] + KEY_STEP * n for n in range(1, KEYS_PER_CALL + 1))
        calls.append(Call("extrapolation", (0, *keys[-3:]), new))
        keys.extend(new)
    ends = keys[2:]
    for first in range(0, len(ends) - 1, 2):
        hints = tuple(ends[first : first + 3])
        inside = range(hints[0] + 1, hints[-1])
        calls.append(Call("interpolation", hints, tuple(f for f in inside if f not in hints)))
    return calls


def streaming_plan(frames: int) -> list[Call]:
    """Stretches of 36 frames, each made whole before the next: three keys 12 apart, then every 4th, then all.

    The starter shows the first motion; each later call for keys sees frame 0 and the newest three. Depth grows
    with the keys alone: 2 + 1 + 5 = 8 at 181 frames, against the origin's 17.
    """
    _check_frames(frames)
    calls = [Call("starter", (0,), tuple(range(1, STARTER_TARGETS + 1)))]
    keys = [1, 2, STARTER_TARGETS]
    while keys[-1] < frames - 1:
        opening = keys[-1] == STARTER_TARGETS
        start = 0 if opening else keys[-1]
        new = tuple(start + STREAM_KEY_STEP * n for n in range(1, KEYS_PER_CALL + 1))
        calls.append(Call("extrapolation", (0, *keys[-3:]), new))
        if opening:
            rest = tuple(range(STARTER_TARGETS + 1, new[0]))
            calls.append(Call("interpolation", (0, STARTER_TARGETS, new[0]), rest))
        calls += _fill(new if opening else (start, *new), frames)
        keys.extend(new)
    return calls


def tree_plan(frames: int) -> list[Call]:
    """Least depth: from frame 0 to keys over the whole length, then each gap split as finely again, and again.

    With windows of 9 frames every level can make a gap 8 times finer, so 8^d frames take depth d; the split is
    the smallest that reaches that depth (6 at 181 frames: every 36th, every 6th, all).
    """
    _check_frames(frames)
    split, depth = _tree_shape(frames - 1)
    step = split ** (depth - 1)
    keys = [*_between(0, frames - 1, step), frames - 1]
    calls = [Call("starter", (0,), tuple(keys))]
    ends = [0, *keys]
    while step > 1:
        step //= split
        inside = [_between(low, high, step) for low, high in pairwise(ends)]
        calls += [Call("interpolation", gap, tuple(new)) for gap, new in zip(pairwise(ends), inside) if new]
        ends = sorted([*ends, *chain.from_iterable(inside)])
    return calls


def star_plan(frames: int) -> list[Call]:
    """Every frame straight from frame 0, as many neighbours to a call as it holds: depth 1, calls that need no other.

    Frame 0 says nothing about when it is followed by what: such a plan is for networks that are told every pose.
    """
    _check_frames(frames)
    size = MAX_WINDOW - 1
    return [Call("star", (0,), tuple(range(f, min(f + size, frames)))) for f in range(1, frames, size)]


PLANS: dict[str, Callable[[int], list[Call]]] = {
    "origin": origin_plan,
    "streaming": streaming_plan,
    "tree": tree_plan,
    "star": star_plan,
}


def make_plan(name: str, frames: int) -> list[Call]:
    """The plan of that name for `frames` frames. Raises UnknownNameError, PlanError."""
    if name not in PLANS:
        raise UnknownNameError("plan", name, PLANS)
    return PLANS[name](frames)


def depth_per_frame(plan: Sequence[Call]) -> dict[int, int]:
    """How many calls in series lie behind each frame; 0 for frame 0, the given picture."""
    depth = {0: 0}
    for call in plan:
        below = 1 + max(depth[hint] for hint in call.hints)
        depth.update(dict.fromkeys(call.targets, below))
    return depth


def validate(plan: Sequence[Call], frames: int) -> None:
    """Raise PlanError unless the calls make each frame 1..frames-1 once, each from frames made before."""
    there = {0}
    for number, call in enumerate(plan):
        missing = set(call.hints) - there
        again = set(call.targets) & there
        if missing:
            raise PlanError(f"Call {number} is given frames {sorted(missing)} that no call before it made.")
        if again or len(set(call.targets)) != len(call.targets):
            raise PlanError(f"Call {number} makes frames {sorted(again or call.targets)} a second time.")
        if not call.targets or not call.hints:
            raise PlanError(
                f"Call {number} has {len(call.hints)} hints and {len(call.targets)} targets: it needs both."
            )
        if len(call.frames) > MAX_WINDOW:
            raise PlanError(f"Call {number} sees {len(call.frames)} frames: a window holds at most {MAX_WINDOW}.")
        there.update(call.targets)
    lacking = set(range(frames)) - there
    if lacking:
        raise PlanError(f"The plan never makes frames {sorted(lacking)[:5]} of {frames}.")


def plan_length(plan: Sequence[Call]) -> int:
    """One more than the last frame that any call makes (187 for the origin's 181)."""
    return 1 + max(chain.from_iterable(call.targets for call in plan))


def _fill(keys: Sequence[int], frames: int) -> list[Call]:
    """Calls that fill the gaps between keys, first every 4th frame, then all, two gaps to a call.

    Gaps that begin at the last frame asked for, or later, stay empty.
    """
    calls, ends = [], list(keys)
    for step in (STREAM_FILL_STEP, 1):
        gaps = [(low, high) for low, high in pairwise(ends) if low < frames - 1]
        inside = [_between(low, high, step) for low, high in gaps]
        for first in range(0, len(gaps), 2):
            pair = gaps[first : first + 2]
            hints = (pair[0][0], *(high for _, high in pair))
            calls.append(Call("interpolation", hints, tuple(chain(*inside[first : first + 2]))))
        ends = sorted([*ends, *chain(*inside)])
    return calls


def _between(low: int, high: int, step: int) -> list[int]:
    """Every `step`-th frame after `low`, before `high`."""
    return list(range(low + step, high, step))


def _tree_shape(last: int) -> tuple[int, int]:
    """The least depth, and for it the least split, with split^depth >= last and split at most MAX_WINDOW - 1."""
    depth = next(d for d in count(1) if (MAX_WINDOW - 1) ** d >= last)
    split = next(n for n in range(1, MAX_WINDOW) if n**depth >= last)
    return split, depth


def _check_frames(frames: int) -> None:
    if not MIN_FRAMES <= frames <= MAX_FRAMES:
        raise PlanError(f"{frames} frames were asked for: a plan makes {MIN_FRAMES} to {MAX_FRAMES}.")
