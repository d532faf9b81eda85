"""Taking a source back: nothing made of it stays in the data set, and all that had it is named.

The order is that of a power cut. The record comes first: from then on builds refuse the source and the same command
knows what to do. What stays is written before anything goes; the catalog, which is made of the files, goes before they
do and comes back after them; that it is done is written last.
"""

from typing import Any

from data_catalog.base.at_work import building, scoring
from data_catalog.base.errors import LongdanceError
from data_catalog.base.files import write_sealed
from data_catalog.base.locks import in_turn
from data_catalog.base.paths import DataFolder
from flows.catalog.manifests import rebuild_from_record
from flows.report.contact_sheet import write_contact_sheet
from flows.rights.erase import remove_catalog, remove_half_written, remove_media, remove_rows, write_remaining
from flows.rights.plan import planned
from model.data.successors import take_out, write_successor
from model.scoring.forget_losses import forget_losses, forget_scores
from pipeline.batches.forgotten import record_path


def forget(data: DataFolder, named: str, why: str) -> dict[str, Any]:
    """Take the source of that path or id out of the data set; its record, which stays.

    Run it again after whatever stopped it. Raises LongdanceError: no such source, no reason, or a build, scoring or
    encoding at work.
    """
    if not why.strip():
        raise LongdanceError("Taking a source back needs a reason: give one with --why.")
    with building(data).alone(), scoring(data.root).alone(), in_turn(data.encoding_lock):
        remove_half_written(data)
        record, begun = planned(data, named, why)
        if not begun:
            write_sealed(record_path(data, record["source_id"]), record)
        return _carry_out(data, record)


def _carry_out(data: DataFolder, record: dict[str, Any]) -> dict[str, Any]:
    """Every step that the record does not call done yet."""
    drop = frozenset(record["samples"])
    if record["stage"] == "planned":
        made = {name: write_successor(data.root, name, record["source_id"], drop) for name in record["successors"]}
        record = _told(data, record, successors=made, latents=write_remaining(data, record), stage="written")
    if record["stage"] == "written":
        renamed = {old: (shard, latents) for old, (shard, latents) in record["latents"].items()}
        forget_losses(data.root, drop, renamed)
        forget_scores(data.root, drop)
        remove_catalog(data)
        for name in record["seen_by"]["versions"]:
            take_out(data.root, name, record["source_id"], drop)
        remove_rows(data, record)
        remove_media(data, record)
        record = _told(data, record, stage="removed")
    if record["stage"] == "removed":
        rebuild_from_record(data)
        write_contact_sheet(data)
        record = _told(data, record, stage="done")
    return record


def _told(data: DataFolder, record: dict[str, Any], **new: Any) -> dict[str, Any]:
    told = {name: value for name, value in record.items() if name != "seal"} | new
    return write_sealed(record_path(data, record["source_id"]), told)
