"""What each trainer's loader wants to find in a folder, as its documentation and its code say it in November 2026.

diffusion-pipe: examples/dataset.toml and utils/dataset.py of tdrussell/diffusion-pipe.
musubi: docs/dataset_config.md of kohya-ss/musubi-tuner.
finetrainers: docs/dataset/README.md of huggingface/finetrainers, and the loader of finetrainers 0.2.0.
hf: docs/source/video_dataset.mdx of huggingface/datasets (VideoFolder).
webdataset: in `model/exports/tars.py`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from pathlib import PurePosixPath as To
from typing import Any

from model.exports.config import ExportConfig, Target
from model.exports.files import flac_file, mask_file, mp4_file
from model.exports.items import ExportItem, Split
from model.exports.store import Content
from model.exports.tars import webdataset

SPLITS: tuple[Split, ...] = ("train", "validation")


def layout(items: Sequence[ExportItem], config: ExportConfig, folder: Path) -> dict[To, Content]:
    """Every file of the target's folder, which is `folder` and will not be moved."""
    makers: dict[Target, Callable[[Sequence[ExportItem], ExportConfig, Path], dict[To, Content]]] = {
        "diffusion-pipe": diffusion_pipe,
        "musubi": musubi,
        "finetrainers": finetrainers,
        "hf": hugging_face,
        "webdataset": webdataset,
    }
    return makers[config.to](items, config, folder)


def diffusion_pipe(items: Sequence[ExportItem], config: ExportConfig, folder: Path) -> dict[To, Content]:
    """`dataset.toml` and `validation.toml` over folders of mp4 and txt, masks beside them.

    Buckets are (width, height, frames): clips of one size need no others. Its loader counts a video's own frames, then
    resamples it to the model's rate and asks for as many as the bucket has, so the bucket is cut to that rate. Sound
    is a track of the mp4; a mask is one picture for all frames.
    """
    files: dict[To, Content] = {}
    masked = any(item.picture for item in items)
    for split, mine in _splits(items):
        for item in mine:
            files[To(split, f"{item.key}.mp4")] = mp4_file(item)
            files[To(split, f"{item.key}.txt")] = item.caption.encode()
            if masked:
                files[To(f"{split}_masks", f"{item.key}.png")] = mask_file(item)
        sizes = sorted({(item.size.width, item.size.height) for item in mine})
        frames = min(frames_of_bucket(item.frames * min(1.0, config.model_fps / float(item.fps))) for item in mine)
        directory: dict[str, Any] = {"path": str(folder / split), "num_repeats": 1}
        if masked:
            directory["mask_path"] = str(folder / f"{split}_masks")
        general = {"size_buckets": [[*size, frames] for size in sizes], "skip_empty_caption": False}
        name = "dataset" if split == "train" else split
        files[To(f"{name}.toml")] = _toml(general, {"directory": [directory]})
    return files


def musubi(items: Sequence[ExportItem], config: ExportConfig, folder: Path) -> dict[To, Content]:
    """`dataset.toml` and `validation.toml`, a `[[datasets]]` for each rate and shape; sound as flac beside the mp4."""
    files: dict[To, Content] = {}
    for split, mine in _splits(items):
        tables = []
        for (fps, size, frames), group in _grouped(mine):
            name = f"{split}-{size}-{frames}-{fps.replace('/', '_')}fps"
            for item in group:
                files[To(name, f"{item.key}.mp4")] = mp4_file(item, silent=True)
                files[To(name, f"{item.key}.txt")] = item.caption.encode()
                if item.flac:
                    files[To(name, f"{item.key}.flac")] = flac_file(item)
            tables.append(
                {
                    "video_directory": str(folder / name),
                    "cache_directory": str(folder / "cache" / name),
                    "resolution": [group[0].size.width, group[0].size.height],
                    "frame_extraction": "full",  # a clip is one dance, not a repeated act
                    "max_frames": frames,
                    "source_fps": float(group[0].fps),
                }
            )
        general = {"caption_extension": ".txt", "batch_size": 1, "enable_bucket": True, "bucket_no_upscale": True}
        name = "dataset" if split == "train" else split
        files[To(f"{name}.toml")] = _toml({}, {"general": [general], "datasets": tables})
    return files


def finetrainers(items: Sequence[ExportItem], config: ExportConfig, folder: Path) -> dict[To, Content]:
    """The two file format: `videos.txt` and `prompts.txt`, a line a video; `training.json` and `validation.json`."""
    files: dict[To, Content] = {}
    for split, mine in _splits(items):
        for item in mine:
            files[To(split, "videos", f"{item.key}.mp4")] = mp4_file(item, silent=True)
        files[To(split, "videos.txt")] = _lines(f"videos/{item.key}.mp4" for item in mine)
        files[To(split, "prompts.txt")] = _lines(item.caption_line for item in mine)
    train = [item for item in items if item.split == "train"]
    buckets = sorted({(frames_of_bucket(item.frames), item.size.height, item.size.width) for item in train})
    dataset = {
        "data_root": str(folder / "train"), "dataset_type": "video", "video_resolution_buckets": buckets,
        "reshape_mode": "bicubic",
    }  # fmt: skip
    files[To("training.json")] = _json({"datasets": [dataset]})
    held = [item for item in items if item.split == "validation"]
    if held:
        files[To("validation.json")] = _json({"data": [_validation(item, folder) for item in held]})
    return files


def _validation(item: ExportItem, folder: Path) -> dict[str, Any]:
    return {
        "caption": item.caption_line,
        "video_path": str(folder / "validation" / "videos" / f"{item.key}.mp4"),
        "height": item.size.height,
        "width": item.size.width,
        "num_frames": frames_of_bucket(item.frames),
        "frame_rate": round(float(item.fps)),
    }


def hugging_face(items: Sequence[ExportItem], config: ExportConfig, folder: Path) -> dict[To, Content]:
    """A VideoFolder: `train/` and `validation/`, each with a `metadata.jsonl`; sound is a track of the mp4."""
    files: dict[To, Content] = {}
    for split, mine in _splits(items):
        for item in mine:
            files[To(split, f"{item.key}.mp4")] = mp4_file(item)
        files[To(split, "metadata.jsonl")] = _lines(json.dumps(hf_row(item), ensure_ascii=False) for item in mine)
    return files


def hf_row(item: ExportItem) -> dict[str, Any]:
    """A video's line of `metadata.jsonl`."""
    return {
        "file_name": f"{item.key}.mp4",
        "text": item.caption_line,
        "clip_id": item.clip_id,
        "source_id": item.source_id,
        "fps": float(item.fps),
        "frames": item.frames,
        "width": item.size.width,
        "height": item.size.height,
        "weight": item.weight,
        "licence": item.rights.get("licence", ""),
        "creator": item.rights.get("creator", ""),
        # Where the picture lies in the clip; what lies outside was filled.
        "picture": [list(rectangle) for rectangle in item.picture or ((0, 0, item.size.width, item.size.height),)],
    }


def frames_of_bucket(frames: float) -> int:
    """The most frames that a video codec of four frames a latent takes: 4 n + 1."""
    return max(0, int(frames) - 1) // 4 * 4 + 1


def _splits(items: Sequence[ExportItem]) -> list[tuple[Split, list[ExportItem]]]:
    """The splits that hold anything, train first."""
    by_split = [(split, [item for item in items if item.split == split]) for split in SPLITS]
    return [(split, mine) for split, mine in by_split if mine]


def _grouped(items: Sequence[ExportItem]) -> list[tuple[tuple[str, str, int], list[ExportItem]]]:
    """Items that share rate, size and length."""
    groups: dict[tuple[str, str, int], list[ExportItem]] = {}
    for item in items:
        groups.setdefault((str(item.fps), str(item.size), item.frames), []).append(item)
    return sorted(groups.items())


def _toml(general: dict[str, Any], tables: dict[str, list[dict[str, Any]]]) -> bytes:
    """TOML of plain values: a string, number, list or bool is written as JSON writes it. One `general` is a table."""
    lines = [f"{name} = {_plain(value)}" for name, value in general.items()]
    for table, rows in tables.items():
        for row in rows:
            lines += ["", f"[{table}]" if table == "general" else f"[[{table}]]"]
            lines += [f"{name} = {_plain(value)}" for name, value in row.items()]
    return _lines(lines)


def _plain(value: Any) -> str:
    """TOML takes characters as they are, but for control characters; JSON's pairs of halves are none to it."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _lines(lines: Any) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()
