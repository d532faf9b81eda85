"""One picture that shows a data set: the middle frame of clips, side by side, with landmarks drawn in."""

import io
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from data_catalog.base.files import atomic
from pipeline.analysis.pose import MAIN
from pipeline.shards.tar import manifest_path, read_member

TILE, COLUMNS, MOST = 160, 10, 300  # pixels across a clip, clips in a row, clips


def write_contact_sheet(out: Path, folder: Path, manifests: list[dict[str, Any]], plan_key: str) -> int:
    """Draw up to MOST evenly chosen clips of a sample set; returns how many were drawn.

    Nothing is drawn where the picture is newer than every shard.
    """
    shards = [m for m in manifests if m["plan_key"] == plan_key]
    samples = [(m["shard"], s) for m in shards for s in m["samples"] if s["variant"] == 0]
    if not samples:
        return 0
    newest = max(manifest_path(folder / m["shard"]).stat().st_mtime for m in shards)
    if out.is_file() and out.stat().st_mtime >= newest:
        return 0
    return write_sheet(out, [(folder / shard, sample) for shard, sample in samples])


def write_sheet(out: Path, samples: list[tuple[Path, dict[str, Any]]]) -> int:
    """Draw up to MOST evenly chosen samples, each given by its shard and its members' places; returns how many."""
    chosen = [samples[i] for i in np.linspace(0, len(samples) - 1, min(MOST, len(samples))).astype(int)]
    tiles = [_tile(shard, sample) for shard, sample in chosen]
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % COLUMNS)
    rows = [np.hstack(tiles[i : i + COLUMNS]) for i in range(0, len(tiles), COLUMNS)]
    with atomic(out) as temp:
        cv2.imwrite(str(temp), np.vstack(rows), [cv2.IMWRITE_JPEG_QUALITY, 88])
    return len(chosen)


def _tile(shard: Path, sample: dict[str, Any]) -> np.ndarray:
    video = io.BytesIO(read_member(shard, sample["mp4_offset"], sample["mp4_length"]))
    landmarks = np.load(io.BytesIO(read_member(shard, sample["npy_offset"], sample["npy_length"])), allow_pickle=False)
    number = len(landmarks) // 2
    with av.open(video) as container:
        frame = next(f for i, f in enumerate(container.decode(video=0)) if i == number)
    picture = frame.to_ndarray(format="bgr24")
    for x, y in landmarks[number, MAIN, :2]:
        cv2.circle(picture, (round(float(x)), round(float(y))), 5, (80, 255, 80), -1, cv2.LINE_AA)
    height = round(TILE * picture.shape[0] / picture.shape[1])
    return np.asarray(cv2.resize(picture, (TILE, height), interpolation=cv2.INTER_AREA))
