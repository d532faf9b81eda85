"""Do two commits make the same bytes? Builds, trains, prunes and generates with both, and compares what they leave.

usage: python tools/same_bytes.py BEFORE AFTER [--work FOLDER]

Compared are shards, latents, checkpoints, versions, ledgers and generated videos, of the same seeds. Records that name
code (run.json, rollout.json) differ by design and are left out; so do the ids of runs, which are drawn at random, and
which versions and ledgers name: of these the samples, losses and scores are compared. Exit status 1 where anything
differs.
"""

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SMALL = ["--set=encode.picture=48", "--set=encode.fit_frames=16"]
TRAIN = [*SMALL, "--set=steps=4", "--set=batch=2", "--set=holdout=0.4", "--set=checkpoint_every=2"]
COMMANDS = [
    ["synth", "raw", "--videos", "4", "--seed", "3"],
    ["build", "raw", "--data", "data", "--variants", "1", "--workers", "1"],
    ["encode", "--data", "data", *SMALL],
    ["train", "any", "--data", "data", "--run", "run", *TRAIN],
    ["prune", "--run", "run", "--data", "data", "--name", "lean", "--set=policy.motion_strata=2"],
    ["train", "starter", "--data", "data", "--run", "lean", "--version", "lean", "--set=init=run:run", *TRAIN],
    ["generate", "--runs", "run", "--image", "picture.png", "--no-align", "--frames", "20", "--steps", "1",
     "--gif-mb", "0", "--out", "out.mp4"],
]  # fmt: skip
KEPT = ("data/shards/*.tar", "data/latents/**/*.f16", "data/latents/**/*.safetensors", "data/versions/*.json",
        "data/ledger/**/*.parquet", "data/worth/*.parquet", "*/checkpoints/*/*.safetensors", "out.mp4",
        "out.rollout/latents/*")  # fmt: skip


def make(commit: str, work: Path) -> dict[str, str]:
    """Check a commit out, run every command with its code, and return the sha256 of each file that counts."""
    code, out = work / "code", work / "out"
    subprocess.run(["git", "worktree", "add", "--detach", "--force", str(code), commit], cwd=ROOT, check=True)
    out.mkdir(parents=True)
    environment = {**os.environ, "PYTHONPATH": str(code), "OMP_NUM_THREADS": "1"}
    try:
        for command in COMMANDS:
            if command[0] == "generate":
                _draw_picture(out / "picture.png")
            program = [sys.executable, "-P", "-m", "flows.cli", *command]
            print(f"{commit}: longdance {' '.join(command)}", flush=True)
            subprocess.run(program, cwd=out, env=environment, check=True, stdout=subprocess.DEVNULL)
    finally:
        subprocess.run(["git", "worktree", "remove", "--force", str(code)], cwd=ROOT, check=True)
    files = sorted({path for pattern in KEPT for path in out.glob(pattern) if path.is_file()})
    return {_without_run(str(path.relative_to(out))): hashlib.sha256(_content(path)).hexdigest() for path in files}


def _without_run(name: str) -> str:
    """A file's name without what follows from the id of a run: `data/ledger/RUN-CHECKPOINT/BANK/PART-HASH.parquet`."""
    return re.sub(r"-[0-9a-f]{12}(?=\.parquet$)", "", re.sub(r"^(data/ledger/)[0-9a-f]+-", r"\1", name))


def _content(path: Path) -> bytes:
    """A file's bytes; of a version its samples, and of a table all columns but those that name runs."""
    if path.suffix == ".json":
        return json.dumps(json.loads(path.read_bytes())["samples"]).encode()
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        table = pq.read_table(path)
        kept = [name for name in table.column_names if name not in ("run", "irreducible_runs", "evidence")]
        return repr(table.select(kept).to_pylist()).encode()
    return path.read_bytes()


def _draw_picture(path: Path) -> None:
    import numpy as np
    from PIL import Image

    Image.fromarray(np.random.default_rng(0).integers(0, 255, (96, 96, 3)).astype(np.uint8)).save(path)


def main() -> int:
    """Compare; 1 if anything differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before")
    parser.add_argument("after")
    parser.add_argument("--work", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.work) as folder:
        before, after = (make(commit, Path(folder) / name) for commit, name in
                         ((options.before, "before"), (options.after, "after")))  # fmt: skip
    different = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    for name in different:
        print(
            f"differs: {name}: {before.get(name, 'not there')[:12]} before, {after.get(name, 'not there')[:12]} after"
        )
    kinds = sorted({name.rpartition(".")[2] for name in before})
    print(f"{len(before)} files ({', '.join(kinds)}): {len(before.keys() | after.keys()) - len(different)} the same, "
          f"{len(different)} different")  # fmt: skip
    return 1 if different or not before else 0


if __name__ == "__main__":
    sys.exit(main())
