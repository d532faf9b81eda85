"""Pages from their data: one HTML file with its style, its script and its data inside."""

import base64
import hashlib
import json
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup

SCRIPTS = ("elements", "clips", "curves", "charts", "filters", "gallery", "detail", "views", "runs", "start")
STYLES = ("base", "overview", "charts", "tables", "gallery", "detail", "narrow")


def render(value: dict[str, Any]) -> str:
    """The page of a data set."""
    return render_page("report", SCRIPTS, STYLES, value, value["mode"], title=value["title"])


def render_page(
    template: str, scripts: Sequence[str], styles: Sequence[str], data: Any, mode: str, **values: Any
) -> str:
    """A page from names of files in `page/`. Its policy lets it run its own script alone and fetch nothing from
    elsewhere; `mode` is `file` or `serve`, `values` are the template's own.

    The data stand in the page as JSON whose <, > and & are escaped: no text in it can end the script element.
    """
    folder = files("flows.report") / "page"
    script = "(() => {\n'use strict';\n" + "".join((folder / f"{name}.js").read_text() for name in scripts) + "})();"
    style = "".join((folder / f"{name}.css").read_text() for name in styles)
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, undefined=jinja2.StrictUndefined)
    return environment.from_string((folder / f"{template}.html.jinja").read_text()).render(
        policy=policy(script, style, mode),
        style=Markup(style),
        script=Markup(script),
        data=Markup(embedded(data)),
        **values,
    )


def policy(script: str, style: str, mode: str) -> str:
    """The Content-Security-Policy of a page."""
    own = "'self'" if mode == "serve" else "'self' file:"
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src '{_digest(script)}'",
            f"style-src '{_digest(style)}'",
            f"img-src {own} data:",
            f"media-src {own} data:",
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
