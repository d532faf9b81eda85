"""How long `longdance --help`, and every sub-command's, takes from start to end.

python bench/help.py
"""

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from flows.cli.main import main as longdance

TOP_LIMIT_S, SUB_LIMIT_S, REPEATS = 0.5, 1.0, 5


def commands(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command's words."""
    yield path
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from commands(inner, (*path, name))


def seconds(path: tuple[str, ...]) -> float:
    """Median of several starts, each in a process of its own."""
    taken = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        subprocess.run([sys.executable, "-m", "flows.cli", *path, "--help"], check=True, capture_output=True)
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken)


def main() -> int:
    broken = False
    for path in commands(longdance):
        taken, limit = seconds(path), SUB_LIMIT_S if path else TOP_LIMIT_S
        print(f"{' '.join(('longdance', *path)) + ' --help':<40}{taken:>7.3f} s of {limit}")
        broken = broken or taken > limit
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())
