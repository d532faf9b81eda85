"""The ledger on disk: immutable parquet fragments, one per run, bank, shard of latents, range of k and set of samples.

`DATA/ledger/RUN-CHECKPOINT/BANK/SHARD-IDENTITY.parquet`. The catalog's `losses` is made from them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from data_catalog.base.files import atomic, sha256_file, sha256_json
from data_catalog.base.paths import DataFolder
from model.data.latents import latents_manifests, read_manifest
from model.errors import LedgerError

SCORE_VERSION = 2
"""Part of a fragment's identity: raised when the same run, bank and bytes would give other losses."""

LOSSES = pa.schema(
    [
        ("sample_key", pa.string()),
        ("window", pa.int32()),
        ("bin", pa.int32()),
        ("k", pa.int32()),
        ("log_snr", pa.float64()),
        ("loss", pa.float64()),
        ("change", pa.float64()),
    ]
)
"""`change` is the sample's own, whatever the network: the variance over time of its latents in the bank's windows."""


@dataclass(frozen=True)
class Fragment:
    """What one fragment holds: losses `first` to `last` - 1 of some samples of one shard's latents."""

    run: str
    checkpoint: str
    stage: str
    bank: str
    bank_config: dict[str, Any]
    shard: str
    latents: str
    """sha256 of the latents' bytes."""
    first: int
    last: int
    samples: tuple[str, ...]

    @property
    def identity(self) -> str:
        """Hex sha256 of all that the losses follow from."""
        return sha256_json([SCORE_VERSION, asdict(self)])

    @property
    def name(self) -> str:
        """Of its file."""
        return f"{Path(self.shard).stem}-{self.first:04d}-{self.last:04d}-{self.identity[:12]}.parquet"

    def path(self, data: Path) -> Path:
        """Where it lies."""
        folder = DataFolder(data).ledger / f"{self.run[:12]}-{self.checkpoint[:12]}" / self.bank
        return folder / self.name


def write_fragment(data: Path, fragment: Fragment, losses: pa.Table) -> Path:
    """Write a fragment, whole or not at all; the same losses give the same bytes."""
    path = fragment.path(data)
    metadata = json.dumps({"version": SCORE_VERSION, **asdict(fragment)}, sort_keys=True)
    with atomic(path) as temp:
        table = losses.cast(LOSSES).replace_schema_metadata({"longdance": metadata})
        pq.write_table(table, temp, write_page_checksum=True)
    return path


def measured_until(data: Path, run: str, checkpoint: str, bank: str, shard: str, latents: str) -> dict[str, int]:
    """How many losses each sample of a shard has, from k = 0 on without a gap. A damaged fragment is removed, so that
    what it held is measured again."""
    found: dict[str, int] = {}
    for path in fragments(data, run, checkpoint, bank):
        if path.name.rsplit("-", 3)[0] != Path(shard).stem:
            continue
        try:
            metadata, _ = read_fragment(path)
        except LedgerError:
            path.unlink()
            continue
        if metadata["version"] == SCORE_VERSION and metadata["latents"] == latents:
            for key in metadata["samples"]:
                if metadata["first"] <= found.get(key, 0):
                    found[key] = max(found.get(key, 0), metadata["last"])
    return found


def fragments(
    data: Path, run: str | None = None, checkpoint: str | None = None, bank: str | None = None
) -> Iterator[Path]:
    """All finished fragments of a data set, or those of one run, checkpoint and bank, by name."""
    folder = f"{run[:12] if run else '*'}-{checkpoint[:12] if checkpoint else '*'}/{bank or '*'}"
    for path in sorted(DataFolder(data).ledger.glob(f"{folder}/*.parquet")):
        if not path.name.startswith("."):
            yield path


def read_fragment(path: Path) -> tuple[dict[str, Any], pa.Table]:
    """(what `Fragment` says, its losses). Raises LedgerError for a file that is damaged or no fragment."""
    try:
        table = pq.read_table(path, page_checksum_verification=True)
        metadata = json.loads((table.schema.metadata or {})[b"longdance"])
        wrong = _wrong(path, metadata, table)
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        wrong = str(error)
    if wrong:
        raise LedgerError(f"{path} is not a whole fragment of the ledger ({wrong}): delete it and score again.")
    return metadata, table


def _wrong(path: Path, metadata: dict[str, Any], table: pa.Table) -> str:
    """What a flipped bit in the footer, which has no checksum, has changed; empty if nothing."""
    if metadata["version"] != SCORE_VERSION:
        return ""  # of another longdance, which named and shaped it in its own way
    if not table.schema.equals(LOSSES):
        return "its columns are others"
    if Fragment(**{field.name: metadata[field.name] for field in fields(Fragment)}).name != path.name:
        return "what it says does not fit its name"
    return ""


def in_order(data: Path, paths: Iterable[Path]) -> list[list[Path]]:
    """Fragments in rounds, for a catalog in which the last one merged holds: those of latents that are gone first,
    and no two of one run, bank and shard in a round, which might hold the same losses."""
    manifests = [read_manifest(path) for path in latents_manifests(data)]
    current = {manifest["sha256"] for manifest in manifests if manifest}
    stale = {path: _latents(path) not in current for path in paths}
    rounds: dict[tuple[bool, int], list[Path]] = {}
    met: Counter[tuple[bool, Path, str]] = Counter()
    for path in sorted(stale):
        place = (stale[path], path.parent, path.name.rsplit("-", 3)[0])
        rounds.setdefault((not stale[path], met[place]), []).append(path)
        met[place] += 1
    return [rounds[number] for number in sorted(rounds)]


def _latents(path: Path) -> str:
    """The latents that a fragment is of; empty for a damaged one, which nobody merges."""
    try:
        return str(json.loads((pq.read_schema(path).metadata or {})[b"longdance"])["latents"])
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError):
        return ""


def catalog_rows(
    data: Path, paths: Sequence[Path], warn: Callable[[str], None] | None = None
) -> tuple[list[dict[str, Any]], pa.Table]:
    """Rows of the catalog's `ledgers` and of its `losses` for these fragments.

    Raises LedgerError for a damaged one; with `warn` it is left out and metadata.
    """
    ledgers, tables = [], []
    for path in paths:
        try:
            metadata, losses = read_fragment(path)
        except LedgerError as error:
            if warn is None:
                raise
            warn(str(error))
            continue
        ledgers.append(
            {
                **{name: metadata[name] for name in ("run", "checkpoint", "stage", "bank", "shard", "latents")},
                "fragment": str(path.relative_to(data)),
                "bank_config": json.dumps(metadata["bank_config"], sort_keys=True),
                "first_k": metadata["first"],
                "last_k": metadata["last"],
                "samples": len(metadata["samples"]),
                "sha256": sha256_file(path),
            }
        )
        for name in ("run", "checkpoint", "stage", "bank"):
            losses = losses.append_column(name, pa.repeat(metadata[name], len(losses)))
        tables.append(losses.drop_columns(["change"]).replace_schema_metadata(None))
    if not tables:
        return [], LOSSES.empty_table().drop_columns(["change"])
    return ledgers, pa.concat_tables(tables)
