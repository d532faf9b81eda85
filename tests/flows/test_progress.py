"""A bar is for people at a terminal alone, and costs no import of Prefect."""

import os
import pty
import subprocess
import sys

CODE = """
import sys
from flows.progress import progress_bar
with progress_bar("pictures") as show:
    show(3, 7)
print("prefect" in sys.modules)
"""


def test_a_bar_counts_on_a_terminal_and_a_pipe_stays_empty() -> None:
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
    assert piped.stderr == b""
