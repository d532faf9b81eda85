"""The page from its data: one HTML file with its style, its script and its data inside."""

import base64
import hashlib
import json
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup

SCRIPTS = tuple(
    f"{name}.js"
    for name in ("elements", "clips", "curves", "charts", "filters", "gallery", "detail", "views", "runs", "start")
)
STYLES = tuple(f"{name}.css" for name in ("base", "overview", "charts", "tables", "gallery", "detail", "narrow"))


def render(value: dict[str, Any]) -> str:
    """The page. Its policy lets it run its own script alone and fetch nothing from elsewhere.

    The data stand in the page as JSON whose <, > and & are escaped: no text in it can end the script element.
    """
    folder = files("flows.report") / "page"
    script = "(() => {\n'use strict';\n" + "".join((folder / name).read_text() for name in SCRIPTS) + "})();"
    style = "".join((folder / name).read_text() for name in STYLES)
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string((folder / "report.html.jinja").read_text())
    return template.render(
        title=value["title"],
        policy=policy(script, style, value["mode"]),
        style=Markup(style),
        script=Markup(script),
        data=Markup(embedded(value)),
    )


def policy(script: str, style: str, mode: str) -> str:
    """The Content-Security-Policy of the page."""
    own = "'self'" if mode == "serve" else "'self' file:"
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src '{_digest(script)}'",
            f"style-src '{_digest(style)}'",
            f"img-src {own} data:",
            f"media-src {own}",
            "connect-src 'self'" if mode == "serve" else "connect-src 'none'",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


_UNSAFE = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def embedded(value: Any) -> str:
    """JSON that may stand inside a script element, whatever texts it holds."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=_plain)
    for sign, escape in _UNSAFE.items():
        text = text.replace(sign, escape)
    return text.encode("utf-8", "backslashreplace").decode()


def _plain(value: Any) -> str:
    return str(value.isoformat()) if hasattr(value, "isoformat") else str(value)
