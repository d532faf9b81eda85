"""Children that train and score: processes of their own, which report by JSON lines and end with their parent."""

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, Protocol

import psutil

from data_catalog.base.errors import LongdanceError

TRAINING = "model.training.train"
SCORING = "model.scoring.score"
WATCH_S = 1.0
ALONE_S = 10.0
"""How long a child may take to notice that another process is gone."""
LOST_S = 60.0
"""How long it may take until a lost host is told of."""

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


class Ranks(Protocol):
    """Processes on other hosts that work in step with a child."""

    def environment(self) -> dict[str, str]:
        """What the child is to be told."""

    def fallen(self, wait_s: float, first: bool = False) -> str | None:
        """What became of one that did not end well, or was lost; None where there is none within that time.

        first: only of one that did not end because another had.
        """


@contextmanager
def child_events(
    command: Sequence[str], name: str, ends_well: Container[int] = (0,), ranks: Ranks | None = None
) -> Iterator[Iterator[dict[str, Any]]]:
    """Within the block a child runs; yields the events that it prints, one JSON object a line.

    A block that is left by an exception, a SIGTERM or Ctrl-C that ends the flow among them, ends the child by SIGTERM
    and waits for it: a training writes a checkpoint first.

    Args:
        command: The child.
        name: What it does, as the subject of a sentence.
        ends_well: The exit codes that are no failure.
        ranks: Processes without which the child cannot go on: it is ended where one of them ends.

    Raises:
        LongdanceError: the child's own last words, if it did not end well.
    """
    with tempfile.TemporaryFile("w+") as errors:
        environment = {**os.environ, **ranks.environment()} if ranks else None
        with (
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment) as child,
            _ended_with(ranks, child) as fallen,
        ):
            assert child.stdout is not None
            try:
                yield _events(child.stdout)
            except BaseException:
                child.terminate()
                child.communicate()  # to its end: a pipe that nobody reads would break the child as it saves
                raise
        if child.returncode not in ends_well:
            errors.seek(0)
            sentence, said = _last_words(errors, name, child.returncode)
            if ranks and not said and (cause := fallen[0] if fallen else ranks.fallen(LOST_S, first=True)):
                sentence = (
                    f"{name} has ended. {cause}: run the same command again, it resumes at the newest checkpoint."
                )
            raise LongdanceError(sentence)


@contextmanager
def _ended_with(ranks: Ranks | None, child: subprocess.Popen[str]) -> Iterator[list[str]]:
    """Within the block a child that is left alone by another process is ended: it would wait for that one for half an
    hour. Yields where the sentence comes."""
    fallen: list[str] = []
    over = threading.Event()

    def watch(ranks: Ranks) -> None:
        while not over.wait(WATCH_S):
            if sentence := ranks.fallen(0):
                fallen.append(sentence)
                if not over.wait(ALONE_S):  # it may have noticed, and have words of its own
                    child.kill()
                return

    thread = threading.Thread(target=watch, args=(ranks,), daemon=True)
    if ranks:
        thread.start()
    try:
        yield fallen
    finally:
        over.set()
        if ranks:
            thread.join()


def _events(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Lines as events; what is not JSON object is some library's print, and is passed over."""
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict):
            yield event


def _last_words(errors: Iterable[str], name: str, code: int) -> tuple[str, bool]:
    """(the last sentence after `Error: `, as click prints it, or else the last three lines, whether it said one)."""
    lines = [line.strip() for line in errors if line.strip()]
    said = [line.removeprefix("Error: ") for line in lines if line.startswith("Error: ")]
    return (said[-1], True) if said else (f"{name} ended with exit code {code}: {' '.join(lines[-3:])}", False)
