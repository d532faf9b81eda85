"""Plans for the eye: a table with one row per call, and a picture (frames across, calls down)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from data_catalog.base.files import atomic
from model.plans.plan import Call, depth_per_frame, plan_length

HINT, GIVEN, TARGET, CUT = (70, 110, 190), (30, 30, 30), (230, 130, 40), (245, 215, 190)
"""Colours of a hint that was made, of frame 0, of a target, and of a target beyond the frames asked for."""
PAPER, LINE = (255, 255, 255), (225, 225, 225)
MAX_SIDE = 8000
"""Larger pictures are drawn a pixel a cell, and then scaled down."""


@dataclass(frozen=True)
class PlanCost:
    """What a plan takes. `network_frames` counts every frame that a call sees, so it is proportional to time."""

    calls: dict[str, int]
    frames: int
    frames_made: int
    depth: int
    mean_depth: float
    network_frames: int

    def sentence(self) -> str:
        """One line for the terminal."""
        by_stage = ", ".join(f"{count} {stage}" for stage, count in self.calls.items())
        return (
            f"{sum(self.calls.values())} calls ({by_stage}) make {self.frames_made} frames, {self.frames} are kept; "
            f"depth at most {self.depth}, {self.mean_depth:.1f} on average; the network sees "
            f"{self.network_frames} frames, {self.network_frames / self.frames:.2f} for each that is kept."
        )


def plan_cost(plan: Sequence[Call], frames: int) -> PlanCost:
    """Calls by stage, depth over the frames that are kept, and work."""
    depths = depth_per_frame(plan)
    kept = [depths[frame] for frame in range(frames)]
    return PlanCost(
        calls=dict(Counter(call.stage for call in plan)),
        frames=frames,
        frames_made=1 + sum(len(call.targets) for call in plan),
        depth=max(kept),
        mean_depth=sum(kept) / frames,
        network_frames=sum(len(call.frames) for call in plan),
    )


def plan_json(plan: Sequence[Call]) -> list[dict[str, Any]]:
    """The calls as plain values: stage, hints, targets; frames count from 0."""
    return [{"stage": call.stage, "hints": list(call.hints), "targets": list(call.targets)} for call in plan]


def plan_table(plan: Sequence[Call]) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Column names and a row per call; depth is that of the call's targets."""
    depths = depth_per_frame(plan)
    rows = [
        (number, call.stage, _joined(call.hints), _joined(call.targets), depths[call.targets[0]])
        for number, call in enumerate(plan)
    ]
    return ["call", "stage", "hints", "targets", "depth"], rows


def _joined(frames: Sequence[int]) -> str:
    return " ".join(str(frame) for frame in frames)


def plan_cells(plan: Sequence[Call], frames: int) -> np.ndarray:
    """uint8 RGB (calls, frames made, 3): a cell is white where the call does not see the frame."""
    cells = np.full((len(plan), plan_length(plan), 3), PAPER, np.uint8)
    for row, call in enumerate(plan):
        for hint in call.hints:
            cells[row, hint] = HINT if hint else GIVEN
        for target in call.targets:
            cells[row, target] = TARGET if target < frames else CUT
    return cells


def plan_picture(plan: Sequence[Call], frames: int) -> Image.Image:
    """The plan drawn: frames across with a tick every tenth of them, calls down, with a legend."""
    cells = plan_cells(plan, frames)
    rows, columns = cells.shape[:2]
    cell = max(1, min(12, 1600 // columns, 1600 // rows))
    picture = Image.fromarray(cells).resize((columns * cell, rows * cell), Image.Resampling.NEAREST)
    if max(picture.size) > MAX_SIDE:
        scale = MAX_SIDE / max(picture.size)
        size = (max(1, int(picture.width * scale)), max(1, int(picture.height * scale)))
        picture = picture.resize(size, Image.Resampling.BOX)
    left, top = 44, 40
    sheet = Image.new("RGB", (max(picture.width + left + 12, 620), picture.height + top + 24), PAPER)
    draw = ImageDraw.Draw(sheet)
    _ticks(draw, columns, rows, picture.size, (left, top))
    sheet.paste(picture, (left, top))
    draw.rectangle((left - 1, top - 1, left + picture.width, top + picture.height), outline=LINE)
    _legend(draw, left)
    return sheet


def _ticks(draw: ImageDraw.ImageDraw, columns: int, rows: int, size: tuple[int, int], corner: tuple[int, int]) -> None:
    left, top = corner
    for frame in range(0, columns, _step(columns)):
        x = left + frame * size[0] // columns
        draw.line((x, top - 4, x, top + size[1]), fill=LINE)
        draw.text((x, top - 16), str(frame), fill=GIVEN)
    for row in range(0, rows, _step(rows)):
        draw.text((4, top + row * size[1] // rows), str(row), fill=GIVEN)
    draw.text((left, top + size[1] + 6), "frames across, calls down", fill=GIVEN)


def _step(count: int) -> int:
    """A round number that cuts `count` into about ten parts."""
    return next(n * scale for scale in (1, 10, 100, 1000) for n in (1, 2, 5) if count <= 12 * n * scale)


def _legend(draw: ImageDraw.ImageDraw, left: int) -> None:
    x = left
    for colour, text in ((GIVEN, "given frame"), (HINT, "hint"), (TARGET, "target"), (CUT, "made, then cut off")):
        draw.rectangle((x, 6, x + 10, 16), fill=colour, outline=LINE)
        draw.text((x + 15, 5), text, fill=GIVEN)
        x += 40 + 7 * len(text)


def write_plan_picture(path: Path, plan: Sequence[Call], frames: int) -> None:
    """The plan as a PNG, written atomically."""
    picture = plan_picture(plan, frames)
    with atomic(path) as temp:
        picture.save(temp, format="PNG")
