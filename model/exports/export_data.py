"""A version of a data set, written out for another trainer. Run it again: it adds what is missing and no more."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

from data_catalog.base.disk import disk_errors
from data_catalog.base.files import sha256_json
from model.data.dataset import ChosenSamples
from model.errors import DataError
from model.exports.card import attribution, card, facts
from model.exports.config import ExportConfig
from model.exports.items import ExportItem, export_items
from model.exports.record import keep_record
from model.exports.store import ExportFolder
from model.exports.targets import layout


def export_data(
    data: Path,
    out: Path,
    config: ExportConfig,
    progress: Callable[[int, int], None] = lambda done, total: None,
    kept: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Write the version's samples into `out/TARGET`; what was written, as JSON values, with `new` files.

    kept: called once the record of it is in `data`.

    Raises LongdanceError: no data set, no such version, no sample left, or a folder of somebody else's.
    """
    items, chosen = export_items(data, config)
    folder = ExportFolder(out, config.to)
    with disk_errors(out, DataError):
        folder.check()
    said = facts(items, config, version_named(items, chosen))
    target = out / config.to
    files = layout(items, config, target)
    files[PurePosixPath("README.md")] = card(items, said, str(target))
    files[PurePosixPath("ATTRIBUTION.csv")] = attribution(items)
    keep_record(data, out, said, items)  # before a file is out: what has seen a source is known, whatever happens
    kept()
    with disk_errors(out, DataError, "it continues where it was"):
        new = folder.write(files, said, progress)
    return {**said, "files": len(files), "new": new}


def version_named(items: list[ExportItem], chosen: ChosenSamples) -> dict[str, Any]:
    """A version's name and hash; of all good clips, the hash of their keys and bytes."""
    if chosen.version is not None:
        return {"name": chosen.version.name, "hash": chosen.version.hash}
    return {"name": None, "hash": sha256_json(sorted([item.key, item.sha256] for item in items))}
