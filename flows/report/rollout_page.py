"""One page for one rollout: the video, its plan, its numbers and curves. It opens from disk and asks no network."""

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment

from data_catalog.base.files import write_bytes
from model.drift.metrics import METRICS, TRUTH_METRICS
from model.drift.report import report_table
from model.plans.plan import Call
from model.plans.view import plan_cost, plan_picture

EMBEDDED_BYTES = 24 << 20
"""A larger video is linked, not put into the page."""
WIDTH, HEIGHT = 420, 120

TEMPLATE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<style>
body{font:15px/1.45 system-ui,sans-serif;margin:1.5rem auto;max-width:70rem;padding:0 1rem;color:#222;background:#fff}
video{width:min(100%,512px);image-rendering:auto;background:#000}
img{max-width:100%;image-rendering:pixelated}
table{border-collapse:collapse;margin:.6rem 0;display:block;overflow-x:auto}
td,th{padding:.15rem .7rem;border-bottom:1px solid #ddd;text-align:right}
td:first-child,th:first-child{text-align:left}
.curves{display:grid;grid-template-columns:repeat(auto-fill,minmax(300px,1fr));gap:1rem}
figure{margin:0}figcaption{font-size:13px;color:#555}svg{width:100%;height:auto;background:#fafafa}
.made{stroke:#d9651f}.real{stroke:#4a6fbe;stroke-dasharray:4 3}.band{fill:#4a6fbe22;stroke:none}
code{background:#f3f3f3;padding:0 .2rem}
</style></head><body>
<h1>{{ title }}</h1>
<p><video src="{{ video }}" controls loop autoplay muted playsinline></video></p>
<p>{{ cost }}</p>
<h2>Drift</h2>
<p>Orange: this video. Blue: {{ reference or "no real clips were given to compare with" }}. A video that froze
does not drift: look at motion and pose_motion, too.</p>
{% if region %}<p>Measured are pixels {{ region[0] }} to {{ region[2] }} across and {{ region[1] }} to {{ region[3] }}
down: the rest lies outside of the picture that it begins with.</p>
{% endif %}<table><tr>{% for name in columns %}<th>{{ name }}</th>{% endfor %}</tr>
{% for row in rows %}<tr>{% for cell in row %}<td>{{ "" if cell is none else cell }}</td>{% endfor %}</tr>{% endfor %}
</table>
{% if distance %}<p>Frechet distance of pose motion to the real clips: {{ "%.3g"|format(distance.value) }}
({{ distance.windows_generated }} against {{ distance.windows_real }} windows).</p>{% endif %}
<div class="curves">{% for curve in curves %}<figure>
<svg viewBox="0 0 {{ width }} {{ height }}" role="img" aria-label="{{ curve.name }}">
{% if curve.band %}<rect class="band" x="0" width="{{ width }}" y="{{ curve.band[0] }}" height="{{ curve.band[1] }}"/>
{% endif %}{% for points in curve.real %}<polyline class="real" fill="none" points="{{ points }}"/>{% endfor %}
{% for points in curve.made %}<polyline class="made" fill="none" stroke-width="1.5" points="{{ points }}"/>{% endfor %}
<text x="3" y="11" font-size="10">{{ curve.top }}</text>
<text x="3" y="{{ height - 3 }}" font-size="10">{{ curve.bottom }}</text></svg>
<figcaption><b>{{ curve.name }}</b>: {{ curve.meaning }}</figcaption></figure>{% endfor %}</div>
{% if depths %}<h2>Error by depth</h2>
<p>Depth: how many network calls in series lie behind a frame.</p>
<table><tr><th>depth</th>{% for name in depths %}<th>{{ name }}</th>{% endfor %}</tr>
{% for row in depth_rows %}<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>{% endfor %}</table>{% endif %}
<h2>Plan {{ plan_name }}</h2>
<p><img src="{{ plan }}" alt="frames across, network calls down"></p>
<h2>Made of</h2>
<table>{% for name, value in facts %}<tr><td>{{ name }}</td><td><code>{{ value }}</code></td></tr>{% endfor %}</table>
</body></html>
"""


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
    reference = report.get("reference")
    depths = report.get("by_depth")
    html = _environment().from_string(TEMPLATE).render(
        title=video.name, video=_source(video), cost=plan_cost(plan, frames).sentence(),
        columns=columns, rows=rows, distance=report.get("pose_motion_distance"),
        reference=f"real clips ({', '.join(reference['clips'])}), their 95 % band shaded" if reference else None,
        curves=[_curve(name, report) for name in report["curves"]], width=WIDTH, height=HEIGHT,
        depths=list(depths) if depths else None, depth_rows=_depth_rows(depths), plan_name=plan_name,
        plan=_png(plan_picture(plan, frames)), region=report.get("region"), facts=_facts(identity),
    )  # fmt: skip
    write_bytes(path, html.encode())


def _environment() -> Environment:
    return Environment(autoescape=True, trim_blocks=True)


def _source(video: Path) -> str:
    if video.stat().st_size > EMBEDDED_BYTES:
        return video.name
    return "data:video/mp4;base64," + base64.b64encode(video.read_bytes()).decode()


def _png(picture: Any) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def _curve(name: str, report: Mapping[str, Any]) -> dict[str, Any]:
    made = report["curves"][name]
    real = report.get("reference", {}).get("curves", {}).get(name, [])
    band = (report.get("reference", {}).get("metrics", {}).get(name) or {}).get("band")
    values = [value for value in (*made, *real, *(band or ())) if value is not None]
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    span = high - low or 1.0

    def height_of(value: float) -> float:
        return round(HEIGHT - 8 - (value - low) / span * (HEIGHT - 24), 1)

    length = max(len(made), len(real), 2) - 1
    return {
        "name": name,
        "meaning": {**METRICS, **TRUTH_METRICS}.get(name, ""),
        "made": _lines(made, length, height_of),
        "real": _lines(real, length, height_of),
        "band": (height_of(band[1]), round(height_of(band[0]) - height_of(band[1]) + 1, 1)) if band else None,
        "top": f"{high:.3g}",
        "bottom": f"{low:.3g}",
    }


def _lines(curve: Sequence[float | None], length: int, height_of: Any) -> list[str]:
    """Stretches of known values as SVG points; a single one is drawn as a short dash."""
    lines: list[list[str]] = [[]]
    for place, value in enumerate(curve):
        if value is None:
            lines.append([])
            continue
        x, y = round(place / length * WIDTH, 1), height_of(value)
        lines[-1].append(f"{x},{y}")
    return [" ".join([*points, points[-1]]) for points in lines if points]


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
