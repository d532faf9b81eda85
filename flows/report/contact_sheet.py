"""One picture that shows a data set: the middle frame of clips, side by side, each with what it is."""

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

import av
import cv2
import duckdb
import numpy as np
from PIL import Image, ImageDraw, ImageFont, UnidentifiedImageError

from data_catalog.arrow import Row
from data_catalog.base.files import atomic, canonical_json
from data_catalog.base.paths import DataFolder
from data_catalog.connection import open_catalog
from data_catalog.report_rows import rows_of
from pipeline.analysis.pose import MAIN
from pipeline.shards.tar import read_member

TILE, COLUMNS, MOST = 160, 10, 300  # pixels across a clip, clips in a row, clips
LINE = 14  # pixels of a line of text
OK, BAD, PLAIN = (120, 230, 120), (255, 95, 85), (205, 205, 205)
_SHOWN = """
SELECT shard, mp4_offset, mp4_length, npy_offset, npy_length, path, start_s, verdict, reason, framing
FROM {samples} JOIN clips USING (clip_id) WHERE {which} ORDER BY path, start_s, sample_key
"""


def write_contact_sheet(data: DataFolder) -> int:
    """Draw up to MOST evenly chosen clips of those that are stored; returns how many were drawn.

    Nothing is drawn where the picture shows just this already.
    """
    with open_catalog(data.catalog, read_only=True) as con:
        shown = rows_of(con, _SHOWN.format(samples="samples", which="variant = 0"))
    return _draw(data.contact_sheet, data.shards, shown)


def write_removed(
    out: Path, data: DataFolder, con: duckdb.DuckDBPyConnection, which: str, values: Sequence[str]
) -> int:
    """The same of the samples of a version, one tile each, for which the SQL condition `which` holds."""
    members = "version_samples JOIN samples USING (sample_key)"
    return _draw(out, data.shards, rows_of(con, _SHOWN.format(samples=members, which=which), values))


def _draw(out: Path, shards: Path, shown: list[Row]) -> int:
    if not shown:
        return 0
    chosen = [shown[i] for i in np.linspace(0, len(shown) - 1, min(MOST, len(shown))).astype(int)]
    what = hashlib.sha256(canonical_json(chosen)).hexdigest()
    if _shows(out) == what:
        return 0
    pictures = [_tile(shards, row) for row in chosen]
    height = max(picture.height for picture in pictures)
    rows = -(-len(pictures) // COLUMNS)
    sheet = Image.new("RGB", (TILE * COLUMNS, height * rows))
    for number, picture in enumerate(pictures):
        sheet.paste(picture, (TILE * (number % COLUMNS), height * (number // COLUMNS)))
    with atomic(out) as temp:
        sheet.save(temp, format="JPEG", quality=88, comment=what.encode())
    return len(chosen)


def _shows(out: Path) -> str | None:
    """What a picture of ours says that it shows."""
    try:
        with Image.open(out) as picture:
            return bytes(picture.info.get("comment", b"")).decode("ascii", "replace")
    except (OSError, UnidentifiedImageError):
        return None


def _tile(shards: Path, row: Row) -> Image.Image:
    """A clip's middle frame with landmarks, framed in red where it is bad, over its file, time, framing and verdict."""
    frame = _middle_frame(shards / row["shard"], row)
    tile = Image.new("RGB", (TILE, frame.height + 3 * LINE + 2))
    tile.paste(frame, (0, 0))
    draw, good = ImageDraw.Draw(tile), row["verdict"] == "ok"
    if not good:
        draw.rectangle((0, 0, TILE - 1, frame.height - 1), outline=BAD, width=4)
    name = Path(row["path"] or "?").name
    verdict = "ok" if good else f"bad: {row['reason'].replace('_', ' ')}"
    lines = [
        (name, PLAIN),
        (f"{_clock(row['start_s'])}  {row['framing'] or ''}", PLAIN),
        (verdict, OK if good else BAD),
    ]
    font = ImageFont.load_default(size=11)
    for number, (text, colour) in enumerate(lines):
        draw.text((3, frame.height + 1 + number * LINE), _fitted(text, font), fill=colour, font=font)
    return tile


def _fitted(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """The text, its middle left out where it is wider than a tile."""
    kept = text = "".join(c if c.isprintable() else "?" for c in text)
    for end in range(len(text) // 2, 1, -1):
        if font.getlength(kept) <= TILE - 6:
            break
        kept = f"{text[:end]}…{text[-end:]}"
    return kept


def _clock(seconds: float | None) -> str:
    if seconds is None:
        return "?"
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes)}:{rest:04.1f}"


def _middle_frame(shard: Path, row: Row) -> Image.Image:
    video = io.BytesIO(read_member(shard, row["mp4_offset"], row["mp4_length"]))
    landmarks = np.load(io.BytesIO(read_member(shard, row["npy_offset"], row["npy_length"])), allow_pickle=False)
    number = len(landmarks) // 2
    with av.open(video) as container:
        frame = next(f for i, f in enumerate(container.decode(video=0)) if i == number)
    picture = frame.to_ndarray(format="rgb24")
    dot = max(2, round(picture.shape[1] / 100))
    for x, y in landmarks[number, MAIN, :2]:
        cv2.circle(picture, (round(float(x)), round(float(y))), dot, (80, 255, 80), -1, cv2.LINE_AA)
    height = round(TILE * picture.shape[0] / picture.shape[1])
    return Image.fromarray(cv2.resize(picture, (TILE, height), interpolation=cv2.INTER_AREA))
