"""Losses and scores of worth without some samples: those of the others stay, and are still found by what they name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from data_catalog.base.files import atomic
from data_catalog.base.paths import DataFolder
from model.errors import LedgerError
from model.scoring.ledger import Fragment, fragments, read_fragment, write_fragment

Renamed = Mapping[str, tuple[str, str]]
"""sha256 of a shard's latents to the (shard, sha256 of latents) that stand in for them now."""


def forget_losses(data: Path, drop: frozenset[str], renamed: Renamed) -> None:
    """Write every fragment of the ledger that holds one of the samples, or is of a repacked shard, again without them.

    A damaged fragment is removed: what it held is measured again.
    """
    for path in list(fragments(data)):
        try:
            metadata, losses = read_fragment(path)
        except LedgerError:
            path.unlink()
            continue
        if not drop & set(metadata["samples"]) and metadata["latents"] not in renamed:
            continue
        fragment = Fragment(**{field.name: metadata[field.name] for field in fields(Fragment)})
        fragment = replace(fragment, samples=tuple(key for key in metadata["samples"] if key not in drop))
        shard, latents = renamed.get(fragment.latents, (fragment.shard, fragment.latents))
        if fragment.samples:
            write_fragment(data, replace(fragment, shard=shard, latents=latents), _without(losses, drop))
        path.unlink()


def forget_scores(data: Path, drop: frozenset[str]) -> None:
    """Take the samples' rows out of every table of scores. A damaged one is removed: a prune makes it again."""
    for path in sorted(DataFolder(data).scores.glob("[!.]*.parquet")):
        try:
            table = pq.read_table(path, page_checksum_verification=True)
        except (pa.ArrowException, OSError):
            path.unlink()
            continue
        rest = _without(table, drop)
        said = json.loads((table.schema.metadata or {}).get(b"longdance", b"{}"))
        if len(rest) == len(table) and not drop & {*said.get("keys", ()), *said.get("probes", ())}:
            continue
        for name in ("keys", "probes"):
            said[name] = [key for key in said.get(name, ()) if key not in drop]
        with atomic(path) as temp:
            written = rest.replace_schema_metadata({"longdance": json.dumps(said, sort_keys=True)})
            pq.write_table(written, temp, write_page_checksum=True)


def _without(table: pa.Table, drop: frozenset[str]) -> pa.Table:
    return table.filter(pc.invert(pc.is_in(table["sample_key"], pa.array(sorted(drop), pa.string()))))
