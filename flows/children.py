"""Children that train and score: processes of their own, which report by JSON lines and end with their parent."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import psutil

from data_catalog.base.errors import LongdanceError

TRAINING = "model.training.train"
SCORING = "model.scoring.score"

# --multi_gpu is what makes accelerate start several; the child's own config says whether they are on GPUs.
# Port 0: torch takes a free one, so that two commands on one machine do not meet.
LAUNCHER = [
    "-m", "accelerate.commands.launch", "--multi_gpu", "--num_machines", "1", "--main_process_port", "0",
    "--mixed_precision", "no", "--dynamo_backend", "no",
]  # fmt: skip


def launch_command(module: str, arguments: Sequence[str], processes: int) -> list[str]:
    """`python -m module arguments`, under `accelerate launch` where several processes share the work.

    The environment (`flows/isolation.py`) keeps both from importing what lies in the working directory.
    """
    launcher = [] if processes == 1 else [*LAUNCHER, "--num_processes", str(processes)]
    return [sys.executable, *launcher, "-m", module, *arguments]


def runs_module(process: psutil.Process, module: str) -> bool:
    """Whether a process was started by `launch_command` with this module, be it the launcher or one of several."""
    try:
        words = process.cmdline()
    except psutil.Error:  # it has just ended
        return False
    return any(pair == ("-m", module) for pair in pairwise(words))


@contextmanager
def child_events(
    command: Sequence[str], name: str, ends_well: Container[int] = (0,)
) -> Iterator[Iterator[dict[str, Any]]]:
    """Within the block a child runs; yields the events that it prints, one JSON object a line.

    A block that is left by an exception, a SIGTERM or Ctrl-C that ends the flow among them, ends the child by SIGTERM
    and waits for it: a training writes a checkpoint first.

    Args:
        command: The child.
        name: What it does, as the subject of a sentence.
        ends_well: The exit codes that are no failure.

    Raises:
        LongdanceError: the child's own last words, if it did not end well.
    """
    with tempfile.TemporaryFile("w+") as errors:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as child:
            assert child.stdout is not None
            try:
                yield _events(child.stdout)
            except BaseException:
                child.terminate()
                child.communicate()  # to its end: a pipe that nobody reads would break the child as it saves
                raise
        if child.returncode not in ends_well:
            errors.seek(0)
            raise LongdanceError(_last_words(errors, name, child.returncode))


def _events(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Lines as events; what is not JSON object is some library's print, and is passed over."""
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict):
            yield event


def _last_words(errors: Iterable[str], name: str, code: int) -> str:
    """The last sentence after `Error: `, as click prints it, or else the last three lines."""
    lines = [line.strip() for line in errors if line.strip()]
    said = [line.removeprefix("Error: ") for line in lines if line.startswith("Error: ")]
    return said[-1] if said else f"{name} ended with exit code {code}: {' '.join(lines[-3:])}"
