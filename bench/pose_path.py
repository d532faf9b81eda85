"""How a pose enters the network: added to what the input convolution puts out, or concatenated to what goes in.

    python bench/pose_path.py --data DATA --test TEST --out OUT [--seeds 2] [--steps 120] [--clips 8] [--frames 65]

Both begin with the weights of showcase/ without what they know of poses, are taught the same windows of DATA, and let
clips of TEST dance their own dance, measured as bench/teaching.py does. Channels that are concatenated to the input of
a convolution and begin at zero are a convolution of their own whose output is added: that is what `concatenated` is.
The same command again makes what is missing.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.teaching import COLUMNS, Clip, Piece, folder_of, judged, taught
from data_catalog.base.files import read_json, write_json
from model.data.codec import load_codec
from model.data.samples import read_samples
from model.network import unet
from model.network.pose_path import PosePath
from model.sources import SHOWCASE

PATH = "pose_path."


class Concatenated(nn.Module):
    """The columns of an input convolution for the map of limbs, zero at first."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.hidden = nn.Conv2d(channels, out_channels, 3, padding=1)
        for parameter in self.parameters():
            nn.init.zeros_(parameter)

    def forward(self, limbs_NMHW: Tensor) -> Tensor:
        """(B*F, M, H, W) to (B*F, C, H, W)."""
        return self.hidden(limbs_NMHW)


WAYS: dict[str, type[nn.Module]] = {"added": PosePath, "concatenated": Concatenated}


@contextmanager
def way(name: str) -> Iterator[None]:
    """Networks that are made within take a pose so."""
    with patch.object(unet, "PosePath", WAYS[name]):
        yield


def poseless(folder: Path) -> Path:
    """The showcase's weights without their pose path."""
    if not folder.is_dir():
        shutil.copytree(SHOWCASE, folder, ignore=shutil.ignore_patterns("choreographer", "origin.json"))
        weights = folder / "diffusion_pytorch_model.safetensors"
        save_file({name: value for name, value in load_file(weights).items() if not name.startswith(PATH)}, weights)
        write_json(folder / "config.json", read_json(folder / "config.json") | {"pose_channels": 0})
    return folder


def main() -> None:
    """Teach, judge, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--data", "--test", "--out"):
        parser.add_argument(name, type=Path, required=True)
    for name, default in (("--seeds", 2), ("--steps", 120), ("--clips", 8), ("--frames", 65)):
        parser.add_argument(name, type=int, default=default)
    options = parser.parse_args()
    torch.set_num_threads(1)
    names = sorted({sample.clip_id for sample in read_samples(options.test) if sample.ok})[: options.clips]
    clips = {name: Clip.of(options.test, name, options.frames, load_codec(SHOWCASE).picture) for name in names}
    piece = Piece({"init": str(poseless(options.out / "poseless"))})
    found: dict[str, list[np.ndarray]] = {name: [] for name in WAYS}
    for seed in range(options.seeds):
        for name, rows in found.items():
            run = folder_of(options.out, name, seed)
            with way(name):
                taught(piece, seed, options, run)
                if not run.with_suffix(".json").is_file():
                    write_json(run.with_suffix(".json"), judged(piece, run, clips, options.frames))
            rows.append(np.array([read_json(run.with_suffix(".json"))[clip] for clip in names]))
    print(f"{options.steps} steps of 4 windows, {len(names)} clips, {options.frames} frames, {options.seeds} seeds")
    print(f"{'':>14}" + "".join(f"{column:>14}" for column in COLUMNS))
    for name, rows in found.items():
        print(f"{name:>14}" + "".join(f"{value:14.3f}" for value in np.nanmean(rows, (0, 1))))
    apart = np.nanmean(np.array(found["added"]) - np.array(found["concatenated"]), 0)
    half = 1.96 * np.nanstd(apart, 0, ddof=1) / np.sqrt(len(names))
    print(f"{'added gains':>14}" + "".join(f"{f'{m:+.3f} +- {h:.3f}':>14}" for m, h in zip(np.nanmean(apart, 0), half)))


if __name__ == "__main__":
    main()
