"""What is left to do, cut into tasks and shards."""

from hypothesis import given
from hypothesis import strategies as st

from pipeline.batches.jobs import MAX_TASKS, WantedClip, batches, encode_jobs, shard_groups


@given(st.integers(0, 30000), st.integers(1, 64), st.integers(1, 16))
def test_batches_hold_every_item_once_in_order_and_are_not_too_many(count: int, workers: int, smallest: int) -> None:
    made = batches(range(count), workers, smallest)
    assert [item for batch in made for item in batch] == list(range(count))
    assert len(made) <= MAX_TASKS
    assert all(made)
    if count >= 2 * workers * smallest:
        assert len(made) >= min(workers, MAX_TASKS)


def wanted(count: int) -> list[WantedClip]:
    return [WantedClip(f"c{i:03d}", f"s{i // 3}", b"p%d" % (i // 3)) for i in range(count)]


@given(st.integers(0, 200), st.integers(1, 200), st.integers(1, 3))
def test_shards_hold_every_clip_once_and_no_more_samples_than_asked(count: int, samples: int, per_clip: int) -> None:
    groups = shard_groups(wanted(count), samples, per_clip)
    assert [clip for group in groups for clip in group] == wanted(count)
    assert all(len(group) * per_clip <= max(samples, per_clip) for group in groups)


@given(st.integers(1, 100), st.integers(3, 30), st.data())
def test_what_a_killed_build_leaves_is_whole_shards_of_the_same_clips(
    count: int, samples: int, data: st.DataObject
) -> None:
    groups = shard_groups(wanted(count), samples, 3)
    done = data.draw(st.sets(st.integers(0, max(0, len(groups) - 2))))
    left = [clip for i, group in enumerate(groups) for clip in group if i not in done]
    assert shard_groups(left, samples, 3) == [group for i, group in enumerate(groups) if i not in done]


def test_clips_of_a_source_are_one_job() -> None:
    assert encode_jobs(wanted(5)) == [("s0", b"p0", ["c000", "c001", "c002"]), ("s1", b"p1", ["c003", "c004"])]
