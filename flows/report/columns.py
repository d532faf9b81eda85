"""Catalog columns for the page: compact, exact, and with a name that people read."""

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

# column -> (name, unit); a column that is missing here is shown under its own name.
NAMES: dict[str, tuple[str, str]] = {
    "cam_translation": ("camera translation", "px a frame at 512"),
    "cam_zoom": ("camera zoom", "% a frame"),
    "cam_rotation": ("camera rotation", "° a frame"),
    "cam_shake": ("camera shake", "px a frame RMS"),
    "out_of_frame": ("dancer out of frame", "share of frames"),
    "out_of_frame_joints": ("joints out of frame", "share of joints"),
    "out_of_crop_joints": ("joint out of crop", "share of frames"),
    "no_pose": ("dancer not found", "share of detections"),
    "visibility": ("visibility", "0 to 1"),
    "people": ("people", "mean number"),
    "identity_switches": ("identity switches", "times"),
    "overlay": ("text and logos", "share of the clip"),
    "overlay_dancer": ("text and logos on the dancer", "share of the dancer"),
    "blur": ("blur", "0 sharp, 1 blurred"),
    "brightness": ("brightness", "0 to 1"),
    "motion_energy": ("motion", "px a frame at 512"),
    "tempo": ("tempo of the music", "beats a minute"),
    "beats": ("beats of the music", "number"),
    "beat_alignment": ("dance meets the beat", "0 to 1"),
    "duplicated": ("repeated frames", "share of frames"),
    "upscale": ("enlargement", "times"),
    "pelvis_x": ("pelvis from the left", "share of the crop"),
    "pelvis_y": ("pelvis from the top", "share of the crop"),
    "body_size": ("body size", "share of the crop"),
    "start_s": ("start", "s"),
    "end_s": ("end", "s"),
    "fps": ("rate", "frames a second"),
    "first_frame": ("first frame", ""),
    "crop_side": ("crop side", "source px"),
    "crop_width": ("crop width", "source px"),
    "crop_height": ("crop height", "source px"),
    "filled": ("filled", "share of the clip"),
    "steadied": ("camera motion taken out", "px a frame at 512"),
    "crop_x": ("crop left", "source px"),
    "crop_y": ("crop top", "source px"),
    "borderline": ("distance from the other verdict", "spreads"),
}
CROP = {"crop_x", "crop_y", "crop_side", "crop_width", "crop_height"}
PLACES = {"shot", "start_s", "end_s", "first_frame", "step", "fps", "frames", *CROP}


def packed(values: np.ndarray) -> str:
    """An array's little-endian bytes in base64."""
    return base64.b64encode(np.ascontiguousarray(values).astype(values.dtype.newbyteorder("<")).tobytes()).decode()


def number_column(name: str, column: pa.ChunkedArray, kind: str, label: str = "", unit: str = "") -> dict[str, Any]:
    """A numeric column as the page takes it: doubles, bit for bit the catalog's; NULL is NaN."""
    known, known_unit = NAMES.get(name, (name.replace("_", " "), ""))
    values = column.cast(pa.float64()).to_numpy()
    return {"name": name, "label": label or known, "unit": unit or known_unit, "kind": kind, "values": packed(values)}


def kind_of(name: str) -> str:
    """What a numeric column of `clips` is: a `score`, or the `place` of the clip in its source."""
    return "place" if name in PLACES else "score"


def coded(values: Sequence[str | None]) -> tuple[list[str], str]:
    """(the distinct texts, each value's number as packed uint16): few texts, many rows. None is 65535."""
    names = sorted({value for value in values if value is not None})
    number = {name: i for i, name in enumerate(names)}
    return names, packed(np.array([65535 if v is None else number[v] for v in values], np.uint16))
