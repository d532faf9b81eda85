"""Batches through workers: in order of completion, few in flight, hosts that are lost blamed on nobody."""

import contextvars
import threading
import time

import pytest

from pipeline.workers.workers import HOSTS_LOST, HostLostError, WorkerDiedError, Workers, as_completed, work_through

FLOW = contextvars.ContextVar("FLOW", default="none")


class Here(Workers):
    """Workers that are function calls; the first few calls fail with the errors given."""

    def __init__(self, *errors: Exception) -> None:
        self.count, self.errors, self.calls = 1, list(errors), 0

    def run(self, work, *arguments):
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return work(*arguments)

    def close(self) -> None:
        pass


def test_results_come_in_order_of_completion():
    first = threading.Event()

    def call(batch: str) -> str:
        if batch == "slow":
            assert first.wait(10)
        return batch.upper()

    found = []
    for batch, result in as_completed(call, ["slow", "quick"], 2):
        found.append((batch, result))
        first.set()
    assert found == [("quick", "QUICK"), ("slow", "SLOW")]


def test_batches_are_taken_as_calls_end_and_no_more_than_that_run():
    taken, running, most = [], [0], [0]
    lock = threading.Lock()

    def source():
        for number in range(40):
            taken.append(number)
            yield number

    def call(number: int) -> int:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        time.sleep(0.005)
        with lock:
            running[0] -= 1
        return number

    ended = 0
    for _ in as_completed(call, source(), 3):
        ended += 1
        assert len(taken) <= ended + 2 * 3
    assert ended == 40
    assert most[0] == 3


def test_a_call_knows_the_flow_that_it_runs_for():
    FLOW.set("mine")
    assert [result for _, result in as_completed(lambda _: FLOW.get(), [1], 1)] == ["mine"]


def test_the_first_error_ends_it_and_nothing_more_is_begun():
    begun = []

    def call(number: int) -> None:
        begun.append(number)
        raise OSError("full")

    with pytest.raises(OSError, match="full"):
        list(as_completed(call, range(100), 1))
    assert len(begun) <= 3


def test_lost_hosts_are_blamed_on_nobody():
    workers = Here(*[HostLostError("gone")] * HOSTS_LOST)
    worked = work_through(workers, sum, [4, 5])
    assert (worked.results, worked.killers) == ([9], [])


def test_a_batch_that_loses_every_host_is_suspected_too():
    workers = Here(*[HostLostError("gone")] * (HOSTS_LOST + 1), *[WorkerDiedError("dead")])
    worked = work_through(workers, sum, [4, 5])
    assert (worked.results, worked.killers) == ([5], [4])
