"""Whether a local user pays for what came since a commit: `--help`, a build and a training of both trees in turn.

    python bench/since.py COMMIT [--this COMMIT] [--repeats 5] [--videos 3] [--steps 200] [--set NAME=VALUE]

Both trees run in this environment, on the same drawn files, each on data sets of its own. A repeat runs this tree, then
the other, and the next the other way round; what counts is the ratio of the medians, of whole commands. It says whether
both made the same shards and the same weights: where they did not, they had different things to do. What a merge costs
is told from all else by `--this`: the merge against its first parent.
"""

import argparse
import hashlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pipeline.synthetic.synth import synth

ROOT = Path(__file__).resolve().parent.parent
MOST = 1.03
"""This tree's seconds over the other's."""


@contextmanager
def checked_out(commit: str, folder: Path) -> Iterator[Path]:
    """That commit's tree."""
    git = ["git", "-C", str(ROOT), "worktree"]
    subprocess.run([*git, "add", "--quiet", "--detach", str(folder), commit], check=True)
    try:
        yield folder
    finally:
        subprocess.run([*git, "remove", "--force", str(folder)], check=True)


def seconds(tree: Path, words: Sequence[str], home: Path) -> float:
    """Of a command of that tree, from start to end; `home` is Prefect's."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    env = clean | {"PYTHONPATH": str(tree), "PREFECT_HOME": str(home)}
    begin = time.perf_counter()
    command = [sys.executable, "-m", "flows.cli", *words]
    done = subprocess.run(command, env=env, cwd=tree, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return time.perf_counter() - begin


def digest(folder: Path, pattern: str) -> str:
    """Of the names and bytes of some files."""
    paths = sorted(path for path in folder.rglob(pattern) if path.is_file())
    assert paths, f"{folder} has no {pattern}"
    told = b"".join(path.name.encode() + hashlib.sha256(path.read_bytes()).digest() for path in paths)
    return hashlib.sha256(told).hexdigest()


def in_turn(what: str, trees: Sequence[Path], repeats: int, once: Callable[[Path, int], float]) -> bool:
    """Measure and print; whether this tree, the first, took as long."""
    taken: dict[Path, list[float]] = {tree: [] for tree in trees}
    for number in range(repeats):
        for tree in trees if number % 2 == 0 else trees[::-1]:
            taken[tree].append(once(tree, number))
    here, there = (statistics.median(taken[tree]) for tree in trees)
    pairs = "  ".join(f"{one:.2f}/{other:.2f}" for one, other in zip(*taken.values(), strict=True))
    print(f"{what:<10}{here:8.2f} s {there:8.2f} s  ratio {here / there:.3f}   {pairs}", flush=True)
    return here / there <= MOST


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commit")
    parser.add_argument("--this", help="a commit in place of this tree")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--videos", type=int, default=3)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--set", action="append", default=[], dest="settings", help="of both builds")
    options = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f} before; {options.this or 'here'}, {options.commit}, their ratio, each pair")
    settings = [f"--set={text}" for text in options.settings]
    quick = [f"--set={text}" for text in (f"steps={options.steps}", "device=cpu", "sample_every=100000")]
    with tempfile.TemporaryDirectory() as name, ExitStack() as undo:
        folder = Path(name)
        this = undo.enter_context(checked_out(options.this, folder / "this")) if options.this else ROOT
        trees = (this, undo.enter_context(checked_out(options.commit, folder / "other")))
        synth(folder / "raw", options.videos, 1, os.cpu_count() or 1)

        def place(tree: Path, what: str, number: int) -> Path:
            return folder / f"{'here' if tree == this else 'there'}-{what}{number}"

        def build(tree: Path, number: int) -> float:
            words = ["build", str(folder / "raw"), "--data", str(place(tree, "data", number)), *settings]
            return seconds(tree, words, folder / "prefect")

        def train(tree: Path, number: int) -> float:
            words = ["train", "starter", "--data", str(place(tree, "data", 0)), "--run"]
            return seconds(tree, [*words, str(place(tree, "run", number)), *quick], folder / "prefect")

        def told(tree: Path, number: int) -> float:
            return seconds(tree, ["--help"], folder / "prefect")

        fast = [in_turn("--help", trees, 5 * options.repeats, told)]
        fast.append(in_turn("build", trees, options.repeats, build))
        for tree in trees:
            words = ["encode", "--data", str(place(tree, "data", 0)), "--set", "device=cpu"]
            seconds(tree, words, folder / "prefect")
        fast.append(in_turn("train", trees, options.repeats, train))
        for what, pattern in (("data", "shards/*.tar"), ("run", "checkpoints/*/*.safetensors")):
            made = {digest(place(tree, what, 0), pattern) for tree in trees}
            print(f"the same {pattern} in both: {'yes' if len(made) == 1 else 'no'}")
    print(f"load {os.getloadavg()[0]:.1f} after")
    return int(not all(fast))


if __name__ == "__main__":
    sys.exit(main())
