"""Workers never hear Ctrl-C, and end with the command."""

import os
import signal
import subprocess
import sys
from multiprocessing import get_context

import psutil
import pytest

from data_catalog.base.processes import defer_sigint, kill_workers

BLOCKED = "import signal; print(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, set()))"


@pytest.fixture
def hearing():
    """Ctrl-C as in a terminal: what a shell starts in the background, these tests perhaps, inherits deafness to it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("hearing")
def test_ctrl_c_within_the_block_is_raised_at_its_end():
    reached = []

    def interrupted() -> None:
        with defer_sigint():
            os.kill(os.getpid(), signal.SIGINT)
            reached.append(True)

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert reached
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, set())


def test_a_process_that_is_started_in_the_block_never_hears_it():
    def asked() -> str:
        return subprocess.run(
            [sys.executable, "-c", BLOCKED], capture_output=True, text=True, check=True
        ).stdout.strip()

    with defer_sigint():
        assert asked() == "True"
    assert asked() == "False"


def sleep_with_a_child() -> None:
    subprocess.run(["sleep", "600"], check=False)


def test_workers_and_what_they_started_are_killed():
    worker = get_context("spawn").Process(target=sleep_with_a_child)
    worker.start()
    me = psutil.Process(worker.pid)
    while not me.children():
        assert worker.is_alive()
    [child] = me.children()
    kill_workers()
    worker.join(10)
    psutil.wait_procs([child], timeout=10)
    assert worker.exitcode == -signal.SIGKILL
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
