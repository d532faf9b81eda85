"""Children that speak JSON lines: they are heard, their last words are the error, and none outlives its flow."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from data_catalog.base.errors import LongdanceError
from flows import children
from flows.children import SCORING, TRAINING, child_events, launch_command, runs_module
from model.training.train import EXIT_STOPPED


def python(code: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", code, *arguments]


def test_events_are_heard_in_order_and_prints_of_libraries_are_passed_over():
    lines = ['{"step": 1}', "loading...", "[2]", '{"step":', "3", "", '{"step": 4}']
    with child_events(python("import sys; print(*sys.argv[1:], sep='\\n')", *lines), "Counting") as events:
        assert [event["step"] for event in events] == [1, 4]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("print('Error: early'); sys.exit('noise\\nError: early\\nError: the last\\nmore noise')", "the last"),
        ("sys.exit('a\\nb\\n\\nc\\nd')", "Counting ended with exit code 1: b c d"),
        ("os.kill(os.getpid(), 9)", "Counting ended with exit code -9: "),
        ("sys.exit(143)", "Counting ended with exit code 143: "),
    ],
)
def test_a_child_that_did_not_end_well_is_one_error_in_its_own_last_words(code, said):
    with (
        pytest.raises(LongdanceError) as raised,
        child_events(python(f"import os, sys; {code}"), "Counting") as events,
    ):
        assert not list(events)
    assert str(raised.value) == said


def test_a_training_that_was_told_to_stop_ended_well():
    with child_events(python(f"raise SystemExit({EXIT_STOPPED})"), "Training", (0, EXIT_STOPPED)) as events:
        assert not list(events)


STUBBORN = """
import signal, sys, time
def stop(number, frame):
    time.sleep(0.5)
    print("." * 200_000, flush=True)  # more than a pipe holds
    open(sys.argv[1], "w").write("saved")
    sys.exit(143)
signal.signal(signal.SIGTERM, stop)
print("{}", flush=True)
time.sleep(60)
"""


def fail_in_the_middle(command: list[str], error: type[BaseException]) -> None:
    with child_events(command, "Training", (0, EXIT_STOPPED)) as events:
        next(events)
        raise error


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_a_block_left_by_an_exception_ends_the_child_and_waits_for_what_it_saves(error, tmp_path: Path):
    started = time.monotonic()
    with pytest.raises(error):
        fail_in_the_middle(python(STUBBORN, str(tmp_path / "saved")), error)
    assert (tmp_path / "saved").read_text() == "saved"
    assert time.monotonic() - started < 30


@contextmanager
def waiting(*words: str) -> Iterator[psutil.Process]:
    """A process that does nothing, with these words on its command line."""
    command = python("print(flush=True); input()", *words)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield psutil.Process(process.pid)
        process.kill()


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("module", [TRAINING, SCORING])
def test_a_child_is_known_by_its_command_alone_or_launched(module, processes):
    with waiting(*launch_command(module, ["--config", "c.json"], processes)[1:]) as process:
        assert [runs_module(process, name) for name in (TRAINING, SCORING)] == [module == TRAINING, module == SCORING]
    assert not runs_module(process, module), "it has ended"


class Others:
    """Processes on other hosts, of which one falls after so many looks at them."""

    def __init__(self, after: int, first: bool = True) -> None:
        self.after, self.first = after, first

    def environment(self) -> dict[str, str]:
        return {"RANK": "0"}

    def fallen(self, wait_s: float, first: bool = False) -> str | None:
        self.after -= 1
        return "Host 10.0.0.2 was lost" if self.after < 0 and self.first >= first else None


def test_a_child_that_waits_for_another_process_in_vain_is_ended_and_the_host_is_named(monkeypatch):
    monkeypatch.setattr(children, "WATCH_S", 0.05)
    monkeypatch.setattr(children, "ALONE_S", 0.2)
    waits = python("import os, time; print('{\"rank\": ' + os.environ['RANK'] + '}', flush=True); time.sleep(600)")
    expected = "Training has ended. Host 10.0.0.2 was lost: run the same command again, it resumes at the newest"
    with pytest.raises(LongdanceError, match=expected), child_events(waits, "Training", ranks=Others(2)) as events:
        assert list(events) == [{"rank": 0}]


@pytest.mark.parametrize(
    ("said", "first", "expected"),
    [
        ("Error: the GPU has no memory left", True, "^the GPU has no memory left$"),
        ("RuntimeError: connection closed by peer", True, "Host 10.0.0.2 was lost"),
        ("RuntimeError: a fault here", False, "Training ended with exit code 1: RuntimeError: a fault here"),
    ],
)
def test_who_ended_first_is_named(said, first, expected, monkeypatch):
    monkeypatch.setattr(children, "LOST_S", 0)
    command = python(f"import sys; sys.exit({said!r})")
    with (
        pytest.raises(LongdanceError, match=expected),
        child_events(command, "Training", ranks=Others(0, first)) as events,
    ):
        assert list(events) == []
