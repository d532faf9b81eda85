"""A bar is for people at a terminal, lines are for files and pipes, and neither costs an import of Prefect."""

import io
import os
import pty
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from data_catalog.base.progress_lines import progress_lines

CODE = """
import sys
from flows.progress import progress_bar
with progress_bar("pictures") as show:
    show(3, 7)
print("prefect" in sys.modules)
"""


def test_a_bar_counts_on_a_terminal_and_a_pipe_gets_lines() -> None:
    above, below = pty.openpty()
    env = os.environ | {"TERM": "xterm", "COLUMNS": "100"}
    done = subprocess.run([sys.executable, "-c", CODE], stdout=subprocess.PIPE, stderr=below, check=True, env=env)
    shown = os.read(above, 1 << 16).decode()
    os.close(above)
    os.close(below)
    assert done.stdout == b"False\n"
    assert "pictures" in shown
    assert "3/7" in shown
    piped = subprocess.run([sys.executable, "-c", CODE], capture_output=True, check=True, env=env)
    assert piped.stderr == b"pictures: 3 of 7\n"
    assert piped.stdout == b"False\n"


def lines_of(every_s: float, silent_s: float, work: Callable[[Callable[[int, int], None]], None]) -> list[str]:
    """What is written into a file while this is done."""
    out = io.StringIO()
    with progress_lines("step", out, every_s, silent_s) as show:
        work(show)
    return out.getvalue().splitlines()


def test_a_slow_step_has_a_line_for_each_part() -> None:
    def work(show: Callable[[int, int], None]) -> None:
        for done in range(4):
            show(done, 3)

    assert [line.split(" after")[0] for line in lines_of(0, 60, work)] == [f"step: {n} of 3" for n in range(4)]


def test_a_fast_step_has_its_first_and_last_line_and_no_thousand_between() -> None:
    def work(show: Callable[[int, int], None]) -> None:
        for done in range(5001):
            show(done, 5000)

    assert [line.split(",")[0] for line in lines_of(60, 60, work)] == ["step: 0 of 5000", "step: 5000 of 5000"]


@pytest.mark.parametrize("begun", [False, True])
def test_a_part_that_takes_long_is_not_silent(begun: bool) -> None:
    def work(show: Callable[[int, int], None]) -> None:
        if begun:
            show(1, 2)
        time.sleep(1.0)

    lines = lines_of(60, 0.2, work)
    assert 3 <= len(lines) <= 7
    assert lines[-1].startswith("step: 1 of 2" if begun else "step: at work")
