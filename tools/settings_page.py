"""Writes docs/settings.md from the code's own defaults: run it when a setting changes; a test compares the two."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from flows.cli.shared import SETTLED  # noqa: E402
from flows.options import settings_of  # noqa: E402

INTRO = """# Settings

`--set NAME=VALUE` changes any of these, and so does a line of a JSON file that `build --config` names. `longdance
settings COMMAND` prints the same tables. A mistyped name is refused with the nearest one. A setting that was renamed is
still taken under its old name, with a notice.
"""


def page() -> str:
    """The whole page, a table for each command."""
    parts = [INTRO]
    for command in SETTLED:
        parts += [f"## `longdance {command}`\n", "| setting | default | meaning |\n|---|---|---|"]
        parts[-1] += "".join(
            f"\n| `{name}` | {default} | {meaning.replace('|', chr(92) + '|')} |"
            for name, default, meaning in settings_of(command)
        )
        parts[-1] += "\n"
    return "\n".join(parts)


if __name__ == "__main__":
    (ROOT / "docs" / "settings.md").write_text(page())
