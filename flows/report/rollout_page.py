"""One page for one rollout: the video, its plan, its numbers and curves. It opens from disk and asks no network."""

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from data_catalog.base.files import write_bytes
from flows.report.curves import drift_curves
from flows.report.render import render_page
from model.drift.table import report_table
from model.plans.plan import Call
from model.plans.view import plan_cost, plan_picture

EMBEDDED_BYTES = 24 << 20
"""A larger video is linked, not put into the page."""
SCRIPTS = ("elements", "curves", "rollout")
STYLES = ("base", "charts", "tables", "rollout")


def write_page(
    path: Path,
    video: Path,
    plan_name: str,
    plan: Sequence[Call],
    report: Mapping[str, Any],
    identity: Mapping[str, Any],
) -> None:
    """Write the page, atomically."""
    frames = report["frames"]
    columns, rows = report_table(report)
    depths = report.get("by_depth")
    html = render_page(
        "rollout", SCRIPTS, STYLES, {"curves": drift_curves(report)}, "file",
        title=video.name, video=_source(video), cost=plan_cost(plan, frames).sentence(), columns=columns, rows=rows,
        distance=report.get("pose_motion_distance"), reference=_beside(report), plan_name=plan_name,
        region=report.get("region"),
        depths=["depth", *depths] if depths else None, depth_rows=_depth_rows(depths),
        plan=_png(plan_picture(plan, frames)), facts=_facts(identity),
    )  # fmt: skip
    write_bytes(path, html.encode())


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
