"""The files of a sample, as objects of an export: named by the bytes that they are made from."""

from __future__ import annotations

import hashlib
import io
import tempfile
from pathlib import Path

import soundfile

from data_catalog.base.files import sha256_json
from model.errors import DataError
from model.exports.items import ExportItem, mask_png
from model.exports.store import Stored
from pipeline.video.add_sound import add_sound

SOUND_TRACK = 1
"""Version of how a sound becomes a track."""


def mp4_file(item: ExportItem, silent: bool = False) -> Stored:
    """The stored mp4; where it has sound and is not to be silent, with that as an AAC track, the pictures copied."""
    if silent or item.flac is None:
        return Stored(f"{item.sha256}.mp4", lambda: _mp4(item))
    sound = hashlib.sha256(item.member(item.flac)).hexdigest()
    return Stored(f"{sha256_json([item.sha256, sound, SOUND_TRACK])}.mp4", lambda: _with_sound(item))


def flac_file(item: ExportItem) -> Stored:
    """The stored sound."""
    assert item.flac is not None
    content = item.member(item.flac)
    return Stored(f"{hashlib.sha256(content).hexdigest()}.flac", lambda: content)


def mask_file(item: ExportItem) -> Stored:
    """A picture that is white where the loss should count."""
    content = mask_png(item)
    return Stored(f"{hashlib.sha256(content).hexdigest()}.png", lambda: content)


def _mp4(item: ExportItem) -> bytes:
    """Raises DataError where the shard holds other bytes than the catalog says."""
    content = item.member(item.mp4)
    if hashlib.sha256(content).hexdigest() != item.sha256:
        raise DataError(f"The bytes of sample {item.key} have changed on the disk: run `longdance verify`.")
    return content


def _with_sound(item: ExportItem) -> bytes:
    assert item.flac is not None
    sound, rate = soundfile.read(io.BytesIO(item.member(item.flac)), dtype="int16", always_2d=True)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "video.mp4"
        add_sound(io.BytesIO(_mp4(item)), sound, rate, path)
        return path.read_bytes()
