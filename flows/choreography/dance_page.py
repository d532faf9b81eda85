"""One page for one dance: skeleton, beats and song, in step. It opens from disk and asks no network."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from data_catalog.base.files import write_bytes
from flows.dancing.new_dance import Danced
from flows.report.render import render_page
from flows.report.rollout_page import DrawnDance
from pipeline.clips.song import RATE
from pipeline.picture_size import PictureSize
from pipeline.shards.cut_sound import write_flac

SCRIPTS = ("elements", "skeleton", "choreography")
STYLES = ("base", "tables", "rollout")
EVERY = 2
"""Of a song's samples the page has one in so many, of one channel: for the ear beside a stick figure."""
MEANINGS = {
    "frames": "frames",
    "fps": "frames a second",
    "speed": "mean speed of the main joints, standing heights a second",
    "least": "its slowest second, as a share of that",
    "outside": "share of frames with a main joint outside of the picture",
    "limbs": "by how much the longest bone of any frame is too long, as a share",
    "skate": "sideways speed of standing feet, standing heights a second",
    "pfc": "physical foot contact (EDGE, in the picture's plane)",
    "beat_alignment": "beat alignment score: 1 where it comes to rest on beats alone",
}


def write_dance_page(path: Path, danced: Danced, beats: np.ndarray, numbers: Mapping[str, Any]) -> None:
    """Write the page, atomically."""
    dance = danced.dance
    drawn = DrawnDance("that was made", dance.landmarks, PictureSize(*dance.size), dance.fps)
    data = {"dances": [drawn.row()], "beats": [round(float(beat), 3) for beat in beats]}
    facts = [(MEANINGS[name], "" if value is None else value) for name, value in numbers.items()]
    html = render_page(
        "choreography", SCRIPTS, STYLES, data, "file",
        title=path.stem, sound=_sound(danced), facts=[*facts, *danced.record.items()], music=danced.song is not None,
    )  # fmt: skip
    write_bytes(path, html.encode())


def _sound(danced: Danced) -> str:
    """The song as it is heard on the page; silence without one, which lets the page keep time all the same."""
    if danced.song is None:
        seconds = len(danced.dance.landmarks) / float(danced.dance.fps)
        data = write_flac(np.zeros((round(seconds * RATE / EVERY), 1), np.float32), RATE // EVERY)
    else:
        mono = danced.song.sound.astype(np.float32).mean(1, keepdims=True) / 32768
        whole = len(mono) // EVERY * EVERY
        data = write_flac(mono[:whole].reshape(-1, EVERY, 1).mean(1), RATE // EVERY)
    return "data:audio/flac;base64," + base64.b64encode(data).decode()
