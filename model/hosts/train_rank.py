"""One process of a training on a host that need not see the head's folders."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from data_catalog.base.files import write_json
from data_catalog.base.locks import in_turn
from data_catalog.base.mirror import SNAPSHOT, Mirror, mirror_of
from data_catalog.base.paths import DataFolder
from data_catalog.base.store import Store


def training_words(scratch: Path, root: Path | str, config: Mapping[str, Any], until: int | None) -> list[str]:
    """Arguments of `model.training.train`. root: a folder that all hosts see, or a store's address.

    The run's folder is one that is not there: the first process has it, and tells what it holds.
    """
    path = scratch / "config.json"
    write_json(path, config)
    data = root if isinstance(root, Path) else readable(root)
    words = ["--config", str(path), "--data", str(data), "--run", str(scratch / "run")]
    return words + (["--until", str(until)] if until is not None else [])


def readable(url: str) -> Path:
    """This host's folder of the records of a data set in object storage, and of the catalog as the head last put it
    there. Raises StoreError."""
    store = Store.at(url)
    folder = mirror_of(url).with_name(f"{mirror_of(url).name}-read")  # the head may be on this host
    folder.mkdir(parents=True, exist_ok=True)
    with in_turn(DataFolder(folder).lock):
        Mirror(store, folder).pull()
        store.fetch(SNAPSHOT, DataFolder(folder).catalog)
    return folder
