"""The webdataset target: a tar for each shard that the version draws from, with caption and mask as members.

A tar is named by what is in it, so a version that grew by new shards adds tars and rewrites none.
"""

from __future__ import annotations

import io
import json
from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from pathlib import PurePosixPath as To
from typing import Any

from data_catalog.base.files import sha256_json
from model.exports.config import ExportConfig
from model.exports.items import ExportItem, mask_png
from model.exports.store import Content, Stored
from pipeline.shards.tar import MASKS


def webdataset(items: Sequence[ExportItem], config: ExportConfig, folder: Path) -> dict[To, Content]:
    """`train/*.tar` and `validation/*.tar`: mp4, txt, json, npy (landmarks); flac and mask.png (the dancer's, of every
    frame) where a sample has them.

    Where any sample has a loss mask, all have a loss_mask.png: loaders take the members of the first sample for those
    of all.
    """
    masked = any(item.picture for item in items)
    groups: dict[tuple[str, Path], list[ExportItem]] = defaultdict(list)
    for item in items:
        groups[item.split, item.shard].append(item)
    files: dict[To, Content] = {}
    for (split, shard), group in sorted(groups.items()):
        name = sha256_json([_named_by(item, masked) for item in group])
        files[To(split, f"{shard.stem}-{name[:16]}.tar")] = Stored(f"{name}.tar", partial(_tar, group, masked))
    return files


def _meta(item: ExportItem) -> dict[str, Any]:
    more = {"clip_id": item.clip_id, "source_id": item.source_id, "fps": str(item.fps), "frames": item.frames}
    return {**item.meta, **more, "caption": item.caption, "weight": item.weight, "rights": item.rights}


def _named_by(item: ExportItem, masked: bool) -> list[Any]:
    """All that an item's members are made from."""
    return [item.key, item.sha256, item.flac is not None, item.dancer is not None, masked, _meta(item)]


def _members(item: ExportItem, masked: bool) -> dict[str, bytes]:
    sound = {"flac": item.member(item.flac)} if item.flac else {}
    mask = {"loss_mask.png": mask_png(item)} if masked else {}
    dancer = {MASKS: item.member(item.dancer)} if item.dancer else {}
    text = {"txt": item.caption.encode(), "json": json.dumps(_meta(item), sort_keys=True).encode()}
    return {"mp4": item.member(item.mp4), **text, "npy": item.member(item.npy), **sound, **mask, **dancer}


def _tar(group: Sequence[ExportItem], masked: bool) -> bytes:
    from webdataset.writer import TarWriter

    buffer = io.BytesIO()
    with TarWriter(buffer, user="", group="", mode=0o644, mtime=0, encoder=False) as tar:
        for item in group:
            for kind, content in _members(item, masked).items():
                tar.write({"__key__": item.key, kind: content})
    return buffer.getvalue()
