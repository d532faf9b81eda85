"""A data set checked shard by shard: in its folder, or each fetched from the store as it is there now."""

import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from data_catalog.base.files import make_folder
from data_catalog.base.paths import DataFolder
from data_catalog.base.store import Store
from flows.storage.places import no_set
from model.data.latents import latents_manifests, verify_latents
from pipeline.shards.verify import verify_shards
from pipeline.video.raw_source import scratch


def count_checks(data: Path | Store) -> tuple[int, int]:
    """(shards, latents of one) that there are to check. Raises LongdanceError where nothing was built in a store."""
    if isinstance(data, Path):
        folder = DataFolder.at(data)
        return len(list(folder.shards.glob("*.tar"))), len(latents_manifests(folder.root))
    parts = [part for keys in _parts(data) for part in map(PurePosixPath, keys)]
    return sum(part.suffix == ".tar" for part in parts), sum(
        part.parts[0] == DataFolder(Path()).latents.name and part.suffix == ".json" for part in parts
    )


def verified(data: Path | Store, decode: bool) -> Iterator[tuple[str, list[str]]]:
    """(shard or file of latents, one sentence per problem). Nothing of a store comes from this host's cache.

    Raises:
        LongdanceError: nothing was built there, or the store cannot be asked.
    """
    if isinstance(data, Path):
        yield from _verified(DataFolder.at(data), str(DataFolder.at(data).root), decode)
        return
    for keys in _parts(data):
        with tempfile.TemporaryDirectory(dir=scratch()) as name:
            folder = DataFolder(Path(name))
            make_folder(folder.shards)
            for key in keys:
                data.fetch(key, folder.root / key)
            yield from _verified(folder, data.url, decode)


def _verified(folder: DataFolder, place: str, decode: bool) -> Iterator[tuple[str, list[str]]]:
    yield from verify_shards(folder.shards, decode)
    for manifest in latents_manifests(folder.root):
        wrong = [] if verify_latents(manifest) else ["has other bytes than were written"]
        yield f"{place}/{manifest.with_suffix('.f16').relative_to(folder.root)}", wrong


def _parts(store: Store) -> list[list[str]]:
    """The objects of each shard, then of each shard's latents."""
    parts: dict[str, list[str]] = defaultdict(list)
    shards, latents = DataFolder(Path()).shards.name, DataFolder(Path()).latents.name
    for folder, suffixes in ((shards, (".tar", ".json")), (latents, (".f16", ".json"))):
        for info in sorted(store.listed(folder), key=lambda info: info.key):
            if info.key.endswith(suffixes):
                parts[info.key.rpartition(".")[0]].append(info.key)
        if not parts:
            raise no_set(store)
    return list(parts.values())
