"""The card of an export: what is in it, where it comes from, how it was made; for people, and for the hub."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from model.exports.config import ExportConfig
from model.exports.items import ExportItem
from model.exports.targets import SPLITS

READS = {
    "diffusion-pipe": "`dataset = '{folder}/dataset.toml'` in the training's TOML{held}",
    "musubi": "`--dataset_config {folder}/dataset.toml`",
    "finetrainers": "`--dataset_config {folder}/training.json`{held}",
    "hf": '`load_dataset("{folder}")`; its frames are decoded by torchcodec, or by you after `cast_column("video", '
    "Video(decode=False))`",
    "webdataset": '`webdataset.WebDataset(sorted(glob.glob("{folder}/train/*.tar")), shardshuffle=False)`',
}
HELD = {
    "diffusion-pipe": ", `eval_datasets = [{{name = 'held', config = '{folder}/validation.toml'}}]` beside it",
    "finetrainers": " and `--validation_dataset_file {folder}/validation.json`",
}

CREDITS = ("licence", "url", "creator")
"""What goes out with the data; what else `sources.csv` says of a source is its owner's."""
SOUND, MASKS = ("diffusion-pipe", "musubi", "hf", "webdataset"), ("diffusion-pipe", "hf", "webdataset")
"""Targets that take sound, and those that take masks."""


def facts(items: Sequence[ExportItem], config: ExportConfig, version: dict[str, Any]) -> dict[str, Any]:
    """The counts of an export, as JSON values."""
    counts = {}
    for split in SPLITS:
        mine = [item for item in items if item.split == split]
        counts[split] = {
            "items": len(mine),
            "clips": len({item.clip_id for item in mine}),
            "sources": len({item.source_id for item in mine}),
            "frames": sum(item.frames for item in mine),
            "hours": round(sum(item.frames / float(item.fps) for item in mine) / 3600, 4),
            "own_captions": sum(item.own_caption for item in mine),
            "sound": sum(item.flac is not None for item in mine if config.to in SOUND),
            "masks": sum(item.picture is not None for item in mine if config.to in MASKS),
        }
    return {"target": config.to, "version": version, "settings": config.model_dump(mode="json"), "counts": counts}


def attribution(items: Sequence[ExportItem]) -> bytes:
    """ATTRIBUTION.csv: a line for each source, with the credits that `sources.csv` gave it."""
    counts = Counter(item.source_id for item in items)
    rights = {item.source_id: item.rights for item in items}
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(["source_id", *CREDITS, "samples"])
    for source in sorted(rights):
        rows.writerow([source, *(rights[source].get(name, "") for name in CREDITS), counts[source]])
    return out.getvalue().encode()


def card(items: Sequence[ExportItem], said: dict[str, Any], folder: str) -> bytes:
    """README.md of the target's folder, with the head that the Hugging Face hub reads."""
    version, target = said["version"], said["target"]
    held = HELD.get(target, "").format(folder=folder) if said["counts"]["validation"]["items"] else ""
    names = list(said["counts"]["train"])
    rows = [
        f"| {split} | " + " | ".join(str(count) for count in said["counts"][split].values()) + " |" for split in SPLITS
    ]
    sizes = Counter(f"{item.size}, {item.frames} frames at {float(item.fps):g} a second" for item in items)
    licences = Counter(item.rights.get("licence", "unknown") for item in items)
    lines = [
        "---", "tags:", "- video", "- dance", "- longdance", "---", "",
        f"# Dance clips for {target}", "",
        f"Version `{version['name'] or 'all good clips'}`, hash `{version['hash']}`, exported by longdance.", "",
        f"Read it with {READS[target].format(folder=folder, held=held)}.", "",
        "| split | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|", *rows, "",
        *(f"* {count} of {size}" for size, count in sorted(sizes.items())), "",
        "A source is on one side only. `own_captions` counts samples whose clip has a caption of its own; the others",
        f"have the prompt {json.dumps(said['settings']['prompt'])}.", "",
        "## Licences", "",
        *(f"* {count} samples: {name}" for name, count in sorted(licences.items())), "",
        "`ATTRIBUTION.csv` names every source with its creator, address and licence.", "",
        "## Settings", "", "```json", json.dumps(said["settings"], indent=1, sort_keys=True), "```", "",
    ]  # fmt: skip
    return "\n".join(lines).encode()
