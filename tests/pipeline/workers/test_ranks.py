"""Which host each process of a training is on."""

import pytest

from data_catalog.base.errors import LongdanceError
from pipeline.workers.ranks import HostRoom, placed

HEAD, SECOND, THIRD = HostRoom("c", "10.0.0.9", 2), HostRoom("a", "10.0.0.1", 2), HostRoom("b", "10.0.0.2", 1)


@pytest.mark.parametrize(
    ("count", "by_gpu", "nodes"),
    [
        (1, False, "c"),
        (3, False, "cab"),
        (5, False, "cabca"),
        (2, True, "cc"),
        (4, True, "ccaa"),
        (5, True, "ccaab"),
    ],
)
def test_the_head_is_first_cores_are_spread_and_gpus_are_kept_together(count, by_gpu, nodes):
    found = placed([SECOND, THIRD, HEAD], "c", count, by_gpu)
    assert "".join(host.node for host in found) == nodes


def test_too_little_room_is_one_sentence_which_says_where_there_is_some():
    with pytest.raises(LongdanceError, match=r"room for 3 processes \(GPUs: 2 on 10.0.0.9, 1 on 10.0.0.2\).*is 4"):
        placed([HEAD, THIRD], "c", 4, by_gpu=True)


@pytest.mark.parametrize("by_gpu", [False, True])
def test_a_head_without_a_place_is_refused(by_gpu):
    with pytest.raises(LongdanceError, match="on the host that the command is typed on"):
        placed([HostRoom("c", "10.0.0.9", 0), SECOND], "c", 2, by_gpu)
    with pytest.raises(LongdanceError, match="on the host that the command is typed on"):
        placed([SECOND], "c", 2, by_gpu)
