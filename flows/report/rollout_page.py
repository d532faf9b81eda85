"""One page for one rollout: the video, its plan, its numbers and curves. It opens from disk and asks no network."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from data_catalog.base.files import write_bytes
from flows.report.curves import drift_curves
from flows.report.overlay import LEFT, MIDDLE, RIGHT
from flows.report.render import render_page
from model.drift.table import report_table, why_empty
from model.plans.plan import Call
from model.plans.view import plan_cost, plan_picture
from pipeline.picture_size import PictureSize

EMBEDDED_BYTES = 24 << 20
"""A larger video is linked, not put into the page."""
MOST_POSES = 2000
"""Of a longer dance every n-th is drawn."""
SCRIPTS = ("elements", "curves", "rollout")
STYLES = ("base", "charts", "tables", "rollout")


def write_page(
    path: Path,
    video: Path,
    plan_name: str,
    plan: Sequence[Call],
    report: Mapping[str, Any],
    identity: Mapping[str, Any],
    dances: Sequence[DrawnDance] = (),
) -> None:
    """Write the page, atomically; `dances` are drawn beside the video, in step with it."""
    frames = report["frames"]
    columns, rows = report_table(report)
    depths = report.get("by_depth")
    data = {"curves": drift_curves(report), "dances": [dance.row() for dance in dances]}
    html = render_page(
        "rollout", SCRIPTS, STYLES, data, "file",
        title=video.name, video=_source(video), cost=plan_cost(plan, frames).sentence(),
        columns=columns, rows=rows, why=why_empty(report),
        distance=report.get("joint_motion_distance"), reference=_beside(report), plan_name=plan_name,
        region=report.get("region"), dances=[dance.name for dance in dances],
        depths=["depth", *depths] if depths else None, depth_rows=_depth_rows(depths),
        plan=_png(plan_picture(plan, frames)), facts=_facts(identity),
    )  # fmt: skip
    write_bytes(path, html.encode())


@dataclass(frozen=True)
class DrawnDance:
    """(frames, 33, 4) landmarks in pixels of a picture of that size, as a skeleton."""

    name: str
    landmarks: np.ndarray
    size: PictureSize
    fps: Fraction

    @classmethod
    def framed(cls, name: str, landmarks: np.ndarray, fps: Fraction) -> DrawnDance:
        """A dance of which no picture is at hand: in one that is a tenth larger than what it reaches."""
        known = landmarks[np.isfinite(landmarks[..., :2]).all(-1)][:, :2]
        low, high = known.min(0), known.max(0)
        margin = 0.05 * float((high - low).max()) + 1
        width, height = np.ceil(high - low + 2 * margin).astype(int).tolist()
        moved = landmarks.copy()
        moved[..., :2] -= low - margin
        return cls(name, moved, PictureSize(width, height), fps)

    def row(self) -> dict[str, Any]:
        """As the page draws it: at most MOST_POSES frames, a tenth of a pixel apart, and which joints are joined."""
        every = -(-len(self.landmarks) // MOST_POSES)
        bones = {"left": LEFT, "right": RIGHT, "middle": MIDDLE}
        poses = [[_point(joint) for joint in pose] for pose in self.landmarks[::every, :, :2]]
        return {"poses": poses, "bones": bones, "size": list(self.size), "fps": float(self.fps) / every}


def _point(joint: np.ndarray) -> list[float] | None:
    return [round(float(v), 1) for v in joint] if np.isfinite(joint).all() else None


def _beside(report: Mapping[str, Any]) -> str:
    """What the video's drift stands beside."""
    if "reference" not in report:
        return "No real clips were given to compare with."
    return f"Beside real clips ({', '.join(report['reference']['clips'])}); their 95 % band is shaded."


def _source(video: Path) -> str:
    if video.stat().st_size > EMBEDDED_BYTES:
        return quote(video.name)
    return "data:video/mp4;base64," + base64.b64encode(video.read_bytes()).decode()


def _png(picture: Any) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def _depth_rows(depths: Mapping[str, Mapping[str, float | None]] | None) -> list[list[str]]:
    if not depths:
        return []
    keys = sorted({int(depth) for table in depths.values() for depth in table})
    cells = ((depths[name].get(str(depth)) for name in depths) for depth in keys)
    return [[str(d), *("" if v is None else f"{v:.3g}" for v in row)] for d, row in zip(keys, cells, strict=True)]


def _facts(identity: Mapping[str, Any]) -> list[tuple[str, str]]:
    facts = []
    for name, value in identity.items():
        if isinstance(value, Mapping):
            facts += [(f"{name}.{inner}", str(given)) for inner, given in value.items()]
        else:
            facts.append((name, str(value)))
    return facts
