"""The short form: workers on two hosts answer, one that dies is replaced. Builds are in the files beside this one."""

import json
import sys

import pytest

from tests.two_hosts.hosts import cluster, environment, hosts

pytest.importorskip("ray")

DRIVER = """
import json
from pipeline.workers.ray_cluster import RayWorkers
from pipeline.workers.workers import as_completed, work_through
from tests.pipeline.workers.acts import DEADLY, doubled_or_dead, where

workers = RayWorkers(0, [])
found = [host for _, host in as_completed(lambda number: workers.run(where), range(6), workers.count)]
worked = work_through(workers, doubled_or_dead, [1, DEADLY, 3])
print("found", json.dumps([workers.count, sorted(set(found)), worked.results, worked.killers]))
workers.close()
"""


def test_workers_of_two_hosts_answer_and_what_kills_one_twice_is_named():
    with hosts() as both, cluster(both) as address:
        env = environment(both[0], {"RAY_ADDRESS": address})
        done = both[0].run(sys.executable, "-c", DRIVER, env=env)
    lines = [line for line in done.stdout.splitlines() if line.startswith("found ")]  # Ray's own may stand about it
    assert lines, done.stdout + done.stderr
    assert json.loads(lines[0].removeprefix("found ")) == [2, [host.address for host in both], [[2], [6]], [13]]
