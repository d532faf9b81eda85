"""Steps that are longdance commands, run one after the other: what each is for, its command, its seconds."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

LONGDANCE = Path(sys.executable).parent / "longdance"
SHOWCASE_BODY = "--set=crop.body=0.62"
"""The dancers that the showcase's weights know are as large as that in their clips; the demo's have to be, too."""
NO_HANDS = "--set=landmarks.hands=false"
"""No network here is told of hands, and looking for them takes twice as long as for all else."""


@dataclass(frozen=True)
class Step:
    """One command, and what it is for."""

    name: str
    why: str
    arguments: tuple[str, ...]

    @property
    def command(self) -> str:
        """As it is typed."""
        return " ".join(["longdance", *self.arguments])


def run_steps(steps: Sequence[Step], out: Path, complete: Callable[[str], str] = str) -> float:
    """Run all, and return their seconds; `complete` gives an argument that only an earlier step can tell.

    Notes each step's seconds in times.jsonl. Exits with the status of a step that fails.
    """
    out.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    for number, step in enumerate(steps, start=1):
        try:
            _run(step, f"[{number}/{len(steps)}]", out, complete)
        except (subprocess.CalledProcessError, KeyboardInterrupt) as error:
            print(f"\n{step.name} did not end well. Run the same command again: it resumes from there.", flush=True)
            sys.exit(getattr(error, "returncode", 130))
    return time.perf_counter() - started


def _run(step: Step, place: str, out: Path, complete: Callable[[str], str]) -> None:
    told = Step(step.name, step.why, tuple(complete(argument) for argument in step.arguments))
    print(f"\n{place} {told.name}: {told.why}\n$ {told.command}", flush=True)
    started = time.perf_counter()
    subprocess.run([str(LONGDANCE), *told.arguments], check=True)
    seconds = time.perf_counter() - started
    print(f"{told.name}: {seconds:.0f} s", flush=True)
    with (out / "times.jsonl").open("a") as file:
        file.write(json.dumps({"step": told.name, "seconds": round(seconds, 1)}) + "\n")
