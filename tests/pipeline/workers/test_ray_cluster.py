"""Workers of a Ray cluster, here one of this process alone; tests/two_hosts has several hosts."""

import os
import signal

import pytest

from pipeline.workers.workers import WorkerDiedError, work_through
from tests.pipeline.workers import acts

ray = pytest.importorskip("ray")
from pipeline.workers.ray_cluster import RayWorkers, room_of  # noqa: E402 (not where Ray is missing)


@pytest.fixture(scope="module")
def workers(tmp_path_factory):
    ray.cloudpickle.register_pickle_by_value(acts)  # the workers' path is longdance's, not the tests'
    made = RayWorkers(1, [tmp_path_factory.mktemp("shared")])
    yield made
    made.close()


def test_a_worker_gives_back_what_was_made_and_its_log_lines_are_said_here(workers, caplog):
    assert workers.run(acts.doubled, [1, 2]) == [2, 4]
    assert "doubling [1, 2]" in caplog.text


def test_a_worker_that_dies_with_nothing_in_hand_is_replaced_and_no_work_is_blamed(workers):
    os.kill(workers.run(os.getpid), signal.SIGKILL)
    assert workers.run(acts.doubled, [3]) == [6]


def test_an_error_comes_back_as_it_was_raised_with_where(workers):
    with pytest.raises(ValueError, match=r"no \[7\]") as caught:
        workers.run(acts.refused, [7])
    assert "in refused" in caught.value.__notes__[0]


def test_a_worker_is_deaf_to_ctrl_c_and_opencv_starts_no_threads(workers):
    assert workers.run(acts.deaf_and_single) == (True, 1)


def test_what_kills_its_worker_twice_is_named_and_all_else_is_done(workers):
    with pytest.raises(WorkerDiedError):
        workers.run(acts.doubled_or_dead, [acts.DEADLY])
    worked = work_through(workers, acts.doubled_or_dead, [1, acts.DEADLY, 3])
    assert (worked.results, worked.killers) == ([[2], [6]], [acts.DEADLY])


@pytest.mark.parametrize(
    ("resources", "gpus", "room"),
    [
        ({"CPU": 8.0, "memory": 9 << 30}, 0, 8),
        ({"CPU": 8.0, "memory": 3 << 30}, 0, 3),
        ({"CPU": 8.0, "memory": 9 << 30, "GPU": 2.0}, 1, 2),
        ({"CPU": 1.0, "memory": 9 << 30, "GPU": 2.0}, 1, 1),
        ({"CPU": 8.0, "memory": 9 << 30}, 1, 0),
    ],
)
def test_a_host_has_room_for_as_many_workers_as_its_scarcest_part_allows(resources, gpus, room):
    assert room_of({"Resources": resources}, gpus) == room
