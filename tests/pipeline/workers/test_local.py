"""Workers of this machine: what they do comes back, what kills one is found, none outlives its head."""

import contextlib
import logging
import os
import signal
import threading
import time

import psutil
import pytest

from pipeline.workers.local import LocalWorkers
from pipeline.workers.workers import ClosedError, WorkerDiedError, work_through
from tests.pipeline.workers.acts import (
    DEADLY,
    dead_the_first_time,
    deaf_and_single,
    doubled,
    doubled_or_dead,
    refused,
    sleep_beside,
)


@pytest.fixture(scope="module")
def workers():
    made = LocalWorkers(2)
    yield made
    made.close()


def test_a_worker_gives_back_what_was_made_and_its_log_lines_are_said_here(workers, caplog):
    assert workers.run(doubled, [1, 2]) == [2, 4]
    assert "doubling [1, 2]" in caplog.text


def test_a_worker_that_dies_with_nothing_in_hand_is_replaced_and_no_work_is_blamed(workers):
    os.kill(workers.run(os.getpid), signal.SIGKILL)  # the last used is the next that is given something
    assert workers.run(doubled, [3]) == [6]


def test_an_error_comes_back_as_it_was_raised_with_where(workers):
    with pytest.raises(ValueError, match=r"no \[7\]") as caught:
        workers.run(refused, [7])
    assert "in refused" in caught.value.__notes__[0]


def test_a_worker_is_deaf_to_ctrl_c_and_opencv_starts_no_threads(workers):
    assert workers.run(deaf_and_single) == (True, 1)


def test_a_dead_worker_is_told_and_replaced(workers):
    with pytest.raises(WorkerDiedError):
        workers.run(doubled_or_dead, [DEADLY])
    assert [workers.run(doubled, [n]) for n in range(4)] == [[0], [2], [4], [6]]


def test_what_kills_its_worker_twice_is_named_and_all_else_is_done(workers, caplog):
    worked = work_through(workers, doubled_or_dead, [1, DEADLY, 3])
    assert (worked.results, worked.killers) == ([[2], [6]], [DEADLY])
    assert [r.levelno for r in caplog.records if "died" in r.message] == [logging.WARNING, logging.WARNING]


def test_what_killed_its_worker_once_is_done(workers, tmp_path):
    worked = work_through(workers, dead_the_first_time, [5], tmp_path / "mark")
    assert (worked.results, worked.killers) == ([[10]], [])


def test_closing_ends_workers_in_the_middle_of_their_work(tmp_path):
    own, mark, ended = LocalWorkers(1), tmp_path / "mark", []

    def wait() -> None:
        try:
            own.run(sleep_beside, mark)
        except ClosedError as error:
            ended.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    deadline = time.monotonic() + 60
    while not (mark.exists() and mark.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    own.close()
    thread.join(30)
    assert len(ended) == 1
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(int(mark.read_text())).wait(30)
    assert not psutil.pid_exists(int(mark.read_text()))
