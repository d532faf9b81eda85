"""A caption that a person writes on the page: a line of `captions.csv`, beside what stands there already."""

import csv
import io
import threading

from data_catalog.base.errors import LongdanceError
from data_catalog.base.files import write_bytes
from data_catalog.base.paths import DataFolder
from data_catalog.connection import open_catalog
from flows.catalog.decisions import check_text
from model.data.caption_sets import set_names, stored_captions
from model.data.captions import read_captions

_writing = threading.Lock()


def write_own_caption(data: DataFolder, clip_id: str, text: str) -> dict[str, str]:
    """Make `text` the clip's own caption, or, where it is empty, take that back; {"clip", "caption"} as it is now.

    Every other line and column of the file stays. Raises LongdanceError: no such clip, a text that cannot be kept, or
    a file that is not as it should be.
    """
    check_text("caption", text)
    plain = " ".join(text.replace("\0", " ").split())
    with open_catalog(data.catalog, read_only=True) as con:
        clips = dict(con.execute("SELECT clip_id, source_id FROM clips").fetchall())
    if clip_id not in clips:
        raise LongdanceError(f"There is no clip {clip_id!r} in the data set {data.root}: name one of `clips`.")
    with _writing:
        read_captions(data.captions, clips)  # before it is written: what is wrong with the file stays the user's
        write_bytes(data.captions, _with_line(data, clip_id, plain).encode())
        now = read_captions(data.captions, clips).get(clip_id, "")
    return {"clip": clip_id, "caption": now}


def _with_line(data: DataFolder, clip_id: str, text: str) -> str:
    """The whole file, the clip's line replaced."""
    header, rows = ["clip_id", "caption"], []
    if data.captions.is_file():
        reader = csv.DictReader(io.StringIO(data.captions.read_text("utf-8-sig"), newline=""))
        rows, header = list(reader), list(reader.fieldnames or header)
    if "clip_id" not in header:
        header.insert(0, "clip_id")
    old = next((row for row in rows if (row.get("clip_id") or "").strip() == clip_id), None)
    if old is not None and text:
        old["caption"] = text
    elif old is not None:
        rows.remove(old)
    elif text:
        rows.append({"clip_id": clip_id, "caption": text})
    out = io.StringIO()
    writer = csv.DictWriter(out, header, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def captions_for_page(data: DataFolder) -> dict[str, dict[str, str]]:
    """Clip id to caption by set; the person's own under an empty name. None where its file is not as it should be."""
    with open_catalog(data.catalog, read_only=True) as con:
        clips = dict(con.execute("SELECT clip_id, source_id FROM clips").fetchall())
    found: dict[str, dict[str, str]] = {}
    try:
        own = read_captions(data.captions, clips)
    except LongdanceError:
        own = {}
    for clip, text in own.items():
        found.setdefault(clip, {})[""] = text
    for name in set_names(data.root):
        for clip, record in stored_captions(data.root, name).items():
            if clip in clips:
                found.setdefault(clip, {})[name] = record["caption"]
    return found
