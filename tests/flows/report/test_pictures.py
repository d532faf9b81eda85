"""Pictures are drawn in processes of their own, which end with the command."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from tests.flows.shown import Shown, shown

__all__ = ["shown"]


def workers_of(process: psutil.Process) -> list[psutil.Process]:
    """The processes that draw for a report."""
    try:
        children = process.children(recursive=True)
        return [child for child in children if any("spawn_main" in word for word in child.cmdline())]
    except psutil.NoSuchProcess:
        return []


def hear_ctrl_c() -> None:
    """As in a terminal: what a shell starts in the background, these tests perhaps, inherits deafness to Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def interrupted(shown: Shown, out: Path) -> tuple[int, str, str, list[psutil.Process]]:
    """Ctrl-C as soon as a report begins to draw: exit code, output, errors, and those that drew."""
    command = [sys.executable, "-m", "flows.cli", "report", "--data", str(shown.data.root), "--workers", "2"]
    process = subprocess.Popen(
        [*command, "--out", str(out)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True, preexec_fn=hear_ctrl_c,
    )  # fmt: skip
    deadline, workers = time.monotonic() + 90, list[psutil.Process]()
    while not workers and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
        workers = workers_of(psutil.Process(process.pid))
    os.killpg(process.pid, signal.SIGINT)
    shown_text, said = process.communicate(timeout=60)
    return process.returncode, shown_text, said, workers


def test_ctrl_c_while_pictures_are_drawn_says_how_to_go_on_and_no_more(shown: Shown, tmp_path: Path) -> None:
    for number in range(8):  # there is little to draw: on a busy machine it may be done before the signal comes
        code, shown_text, said, workers = interrupted(shown, tmp_path / f"page{number}.html")
        if code != 0 and workers:
            break
    assert code == 130
    assert shown_text == ""
    print(said)
    assert [line for line in said.splitlines() if line] == ["Stopped. Run the same command again to resume."]
    psutil.wait_procs(workers, timeout=10)
    assert not any(worker.is_running() for worker in workers)


def test_ctrl_c_while_videos_are_drawn_says_it_is_stopped_and_no_more(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "flows.cli",
        "synth",
        str(tmp_path / "raw"),
        "--videos",
        "4",
        "--workers",
        "2",
    ]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=hear_ctrl_c,
    )  # fmt: skip
    workers = list[psutil.Process]()
    while not workers and process.poll() is None:
        time.sleep(0.01)
        workers = workers_of(psutil.Process(process.pid))
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert [line for line in said.splitlines() if line] == ["Stopped. Run the same command again to resume."]
    psutil.wait_procs(workers, timeout=10)
    assert not any(worker.is_running() for worker in workers)
