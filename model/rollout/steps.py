"""What a rollout has to do, in order: a plan's calls, and what was asked to be made again. Pure data.

Frames of a call that are made again while others of the same call are kept are a step of their own, in which the
kept ones are known. Every step has a key: the hash of all that its frames depend on. So a step whose key is on
the disk need not run again, and after a redo exactly what depends on it has new keys.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from data_catalog.base.files import sha256_json
from model.errors import PlanError
from model.plans.plan import Call

Stretch = tuple[int, int]
"""Frames [start, stop) that are to be made again, as Python slices count."""


@dataclass(frozen=True)
class Step:
    """One network call: `targets` are made, `kept` are frames of the same call that stay as they are."""

    number: int
    """Of the call in its plan."""
    call: Call
    redo: int
    """0 for the first time, n for the n-th redo."""
    targets: tuple[int, ...]
    kept: tuple[int, ...]
    key: str


def parse_stretch(text: str, frames: int) -> Stretch:
    """`40:60` as frames 40 to 59. Raises PlanError."""
    start, separator, stop = text.partition(":")
    if not (separator and start.isdecimal() and stop.isdecimal()):
        raise PlanError(f"The stretch {text!r} cannot be read: write START:STOP, for example 40:60 for 40 to 59.")
    if not 1 <= int(start) < int(stop) <= frames:
        raise PlanError(f"The stretch {text} does not lie within frames 1 to {frames - 1}: frame 0 is the picture.")
    return int(start), int(stop)


def steps_of(
    plan: Sequence[Call],
    redos: Sequence[Stretch],
    identity: Callable[[str], object],
    first_key: str,
) -> list[Step]:
    """The steps of a plan, in order.

    identity: what the frames of a stage's calls depend on beside their hints (weights, sampling), as JSON.
    first_key: names the latents of frame 0.
    """
    keys, touched = {0: first_key}, {0: frozenset[int]()}
    steps: list[Step] = []
    for number, call in enumerate(plan):
        inherited = frozenset().union(*(touched[hint] for hint in call.hints))
        parts = {n: tuple(f for f in call.targets if start <= f < stop) for n, (start, stop) in enumerate(redos, 1)}
        whole = max([0, *inherited, *(n for n, part in parts.items() if part == call.targets)])
        versions = [(whole, call.targets)]
        versions += [(n, part) for n, part in parts.items() if part and n > whole]
        for redo, targets in versions:
            kept = tuple(frame for frame in call.targets if frame not in targets)
            key = sha256_json(
                [
                    identity(call.stage),
                    number,
                    redo,
                    [[hint, keys[hint]] for hint in call.hints],
                    list(call.targets),
                    [[frame, keys[frame]] for frame in kept],
                ]
            )
            steps.append(Step(number, call, redo, targets, kept, key))
            keys.update(dict.fromkeys(targets, key))
        for frame in call.targets:
            touched[frame] = inherited | {n for n, part in parts.items() if frame in part}
    return steps


def final_steps(steps: Sequence[Step]) -> Mapping[int, Step]:
    """Of each frame the step that made what is kept."""
    return {frame: step for step in steps for frame in step.targets}


def affected_frames(plan: Sequence[Call], stretch: Stretch) -> set[int]:
    """The frames of a stretch and all that depend on them."""
    touched: set[int] = set()
    for call in plan:
        if touched.intersection(call.hints):
            touched.update(call.targets)
        else:
            touched.update(frame for frame in call.targets if stretch[0] <= frame < stretch[1])
    return touched
