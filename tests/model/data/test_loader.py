"""Samples by position: every epoch whole, every process its share, whoever reads and whenever."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.data.dataset import DataIndex, LatentReader, LatentSample, frame_runs, load_data
from model.data.loader import BatchPlan, WindowDataset, window_loader
from model.data.samples import holdout_sources
from model.errors import ConfigError, DataError
from model.network.objective import draw
from model.seeding import sample_index
from tests.model.dataset import micro_encode


@given(st.integers(0, 5), st.integers(1, 40), st.integers(0, 3))
def test_every_epoch_sees_every_sample_once(seed: int, size: int, epoch: int) -> None:
    seen = [sample_index(seed, epoch * size + place, size) for place in range(size)]
    assert sorted(seen) == list(range(size))


def test_epochs_and_seeds_differ_in_order() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        return [sample_index(seed, epoch * 50 + place, 50) for place in range(50)]

    assert order(0, 0) != order(0, 1)
    assert order(0, 0) != order(1, 0)
    assert order(0, 0) == order(0, 0)


@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(0, 50), st.integers(1, 4))
def test_processes_and_parts_share_each_steps_positions(
    size: int, parts: int, processes: int, start: int, steps: int
) -> None:
    batch = size * parts * processes
    plan = BatchPlan(batch, parts, processes)
    lists = [list(plan.positions(rank, start * batch, steps)) for rank in range(processes)]
    for step in range(steps):
        mine = [
            position
            for positions in lists
            for part in positions[step * parts : (step + 1) * parts]
            for position in part
        ]
        first = (start + step) * batch
        assert sorted(mine) == list(range(first, first + batch))


def test_a_batch_that_cannot_be_split_is_refused() -> None:
    with pytest.raises(ConfigError, match="Batch 6 cannot be split over 2 processes x 2"):
        BatchPlan(6, 2, 2)


@given(st.lists(st.integers(0, 30), min_size=1, max_size=9))
def test_runs_of_frames_cover_the_window_in_order(frames: list[int]) -> None:
    covered = [first + n for _, first, length in frame_runs(frames) for n in range(length)]
    assert covered == frames


def test_workers_read_the_same_batches_in_the_same_order(dataset: Path) -> None:
    split = load_data(dataset, micro_encode(), holdout=0.3)
    windows = WindowDataset(split.train, "interpolation", seed=3, batch=4)
    batches = {workers: list(window_loader(windows, BatchPlan(4).positions(0, 8, 6), workers)) for workers in (0, 2)}
    assert len(batches[0]) == 6
    for alone, helped in zip(batches[0], batches[2]):
        assert alone.positions == helped.positions
        assert alone.samples == helped.samples
        assert alone.windows == helped.windows
        assert torch.equal(alone.latents_BFCHW, helped.latents_BFCHW)
        assert alone.latents_BFCHW.dtype == torch.float16


def test_reading_leaves_the_global_generator_alone(dataset: Path) -> None:
    split = load_data(dataset, micro_encode(), holdout=0.3)
    windows = WindowDataset(split.train, "starter", seed=3, batch=2)
    before = torch.get_rng_state()
    next(window_loader(windows, BatchPlan(2).positions(0, 0, 1), 1))
    draw(0, "training", [1, 2], (4, 8, 8), 4)
    assert torch.equal(torch.get_rng_state(), before)


def test_draws_belong_to_a_position_whatever_the_batch() -> None:
    together = draw(7, "training", [3, 4, 5], (4, 8, 8), 4)
    alone = draw(7, "training", [4], (4, 8, 8), 4)
    assert torch.equal(together.noise_BFCHW[1], alone.noise_BFCHW[0])
    assert torch.equal(together.hint_noise_BFCHW[1], alone.hint_noise_BFCHW[0])
    assert together.timestep_B[1] == alone.timestep_B[0]
    other = draw(8, "training", [4], (4, 8, 8), 4)
    assert not torch.equal(alone.noise_BFCHW, other.noise_BFCHW)


def test_no_source_is_on_both_sides_and_bad_clips_on_none(dataset: Path) -> None:
    split = load_data(dataset, micro_encode(), holdout=0.3)
    train = {sample.source_id for sample in split.train.samples}
    held = {sample.source_id for sample in split.holdout.samples}
    assert train
    assert held
    assert not train & held
    assert len(split.train.samples) + len(split.holdout.samples) == 8


@given(st.sets(st.text(min_size=1), min_size=2, max_size=20), st.floats(0.01, 0.99))
def test_at_least_one_source_is_held_out_and_never_all(sources: set[str], fraction: float) -> None:
    held = holdout_sources(sorted(sources), fraction)
    assert 1 <= len(held) < len(sources)
    assert held <= sources


def test_without_a_second_source_none_is_held_out() -> None:
    assert holdout_sources(["a", "a"], 0.5) == frozenset()
    assert holdout_sources(["a", "b"], 0.0) == frozenset()


def test_a_held_out_source_stays_so_when_the_data_set_grows() -> None:
    few, many = [f"s{n}" for n in range(100)], [f"s{n}" for n in range(200)]
    assert holdout_sources(few, 0.1) == holdout_sources(many, 0.1) & set(few)
    assert len(holdout_sources(many, 0.1)) == pytest.approx(20, abs=8)


def test_frames_beyond_a_sample_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.f16"
    np.arange(2 * 3 * 4, dtype="<f2").tofile(path)
    index = DataIndex((LatentSample("a", "s", path, 0, 3, ""), LatentSample("b", "s", path, 24, 3, "")), (1, 2, 2))
    reader = LatentReader(index)
    assert reader.read(0, [2, 1])[0].flatten().tolist() == [8, 9, 10, 11]
    with pytest.raises(DataError, match="has 3 frames"):
        reader.read(0, [2, 3])
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(DataError, match="ends inside sample b"):
        reader.read(1, [0, 1, 2])


@pytest.fixture(scope="module")
def many_files(tmp_path_factory: pytest.TempPathFactory) -> DataIndex:
    """300 files of one frame each, which holds the file's number."""
    folder, entries = tmp_path_factory.mktemp("many"), []
    for number in range(300):
        path = folder / f"{number}.f16"
        np.full(4, number, "<f2").tofile(path)
        entries.append(LatentSample(str(number), "s", path, 0, 1, ""))
    return DataIndex(tuple(entries), (1, 2, 2))


def test_many_files_do_not_exhaust_the_descriptors(many_files: DataIndex) -> None:
    reader = LatentReader(many_files)
    before = len(list(Path("/proc/self/fd").iterdir()))
    assert [reader.read(n, [0])[0, 0, 0, 0] for n in range(300)] == list(range(300))
    assert 100 < len(list(Path("/proc/self/fd").iterdir())) - before <= 128
    del reader
    assert len(list(Path("/proc/self/fd").iterdir())) <= before


def test_threads_that_share_a_reader_each_read_what_they_asked_for(many_files: DataIndex) -> None:
    reader, wanted = LatentReader(many_files), [n * 7 % 300 for n in range(6000)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda n: int(reader.read(n, [0])[0, 0, 0, 0]), wanted)) == wanted


def test_a_loader_that_is_left_alone_ends_its_threads(dataset: Path) -> None:
    split = load_data(dataset, micro_encode(), holdout=0.3)
    windows = WindowDataset(split.train, "starter", seed=3, batch=2)
    batches = window_loader(windows, BatchPlan(2).positions(0, 0, 10**6), 2)
    assert next(batches).positions == (0, 1)
    assert [thread for thread in threading.enumerate() if thread.name.startswith("latents")]
    batches.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("latents")]


@pytest.mark.parametrize("workers", [0, 2])
def test_what_goes_wrong_in_reading_is_raised(workers: int, tmp_path: Path) -> None:
    (tmp_path / "a.f16").write_bytes(b"")
    index = DataIndex((LatentSample("a", "s", tmp_path / "a.f16", 0, 181, ""),), (1, 2, 2))
    windows = WindowDataset(index, "starter", seed=0, batch=1)
    with pytest.raises(DataError, match="ends inside sample a"):
        next(window_loader(windows, BatchPlan(1).positions(0, 0, 5), workers))
