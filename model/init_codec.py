"""The codec that a training's first weights bring: those of an export, or of another run, know one codec alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from data_catalog.base.files import read_json
from data_catalog.base.paths import RunFolder
from model.sources import CODEC_FILE, OtherRun, Pretrained, parse_init

OF_CODEC = ("codec", "picture", "patch", "channels", "fit_frames", "text")
"""The settings `encode.*` that say which codec and text encoder there are. The prompt may be another."""


def encode_of_init(init: str) -> dict[str, Any]:
    """The settings `encode.*` that the weights of `init` were trained under; none for weights of somebody else.

    What cannot be read says so where the weights are loaded.
    """
    try:
        match parse_init(init):
            case OtherRun(path):
                encode = read_json(RunFolder(path).record)["identity"]["config"]["encode"]
                return {name: encode[name] for name in OF_CODEC if name in encode}
            case Pretrained(name) if (Path(name) / CODEC_FILE).is_file():
                return {"codec": name, "picture": read_json(Path(name) / CODEC_FILE)["picture"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return {}
