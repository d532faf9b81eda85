"""What comes piece by piece is acted on in groups, all of it and once."""

import pytest

from flows.catalog.in_groups import in_groups


def test_what_comes_soon_after_is_of_one_group_and_the_last_is_acted_on_at_the_end():
    acted: list[list[int]] = []
    with in_groups(acted.append, every_s=3600) as groups:
        groups.add([1, 2])
        groups.add([3])
        assert acted == []
    assert acted == [[1, 2, 3]]
    with in_groups(acted.append) as groups:
        groups.add([])
    assert acted == [[1, 2, 3]]


def test_what_comes_later_is_of_a_group_of_its_own():
    acted: list[list[int]] = []
    with in_groups(acted.append, every_s=0) as groups:
        groups.add([1])
        groups.add([2])
    assert acted == [[1], [2]]


def test_an_error_leaves_the_last_group_to_the_next_run():
    acted: list[list[int]] = []

    def fail() -> None:
        with in_groups(acted.append, every_s=3600) as groups:
            groups.add([1])
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert acted == []
