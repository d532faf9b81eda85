"""A stored clip's members out of its shard, and the two of them that a player wants in one file."""

import io
import tempfile
from pathlib import Path

from data_catalog.base.large_files import is_there
from data_catalog.base.paths import DataFolder
from data_catalog.connection import open_catalog
from pipeline.shards.cut_sound import read_flac
from pipeline.shards.tar import SOUND, read_member
from pipeline.video.add_sound import add_sound


def stored_member(data: DataFolder, clip_id: str, kind: str) -> bytes | None:
    """A member (`mp4`, `json`, `npy`, `flac`) of a clip's sample v0; None where there is none."""
    with open_catalog(data.catalog, read_only=True) as con:
        rows = con.execute(
            f"SELECT shard, {kind}_offset, {kind}_length FROM samples WHERE clip_id = ? AND variant = 0", [clip_id]
        ).fetchall()
    for shard, offset, length in rows:
        path = data.shards / shard
        if offset is not None and path.resolve().parent == data.shards.resolve() and is_there(path):
            return read_member(path, offset, length)
    return None


def stored_video(data: DataFolder, clip_id: str) -> bytes | None:
    """A clip as it is stored, its sound with it where it has any: an mp4. None where it is not stored."""
    video, sound = stored_member(data, clip_id, "mp4"), stored_member(data, clip_id, SOUND)
    if video is None or sound is None:
        return video
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        add_sound(io.BytesIO(video), *read_flac(sound), path)
        return path.read_bytes()
