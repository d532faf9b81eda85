"""The experiment's table says what the numbers say, and wins only beyond its intervals."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import numpy as np
import pytest

from model.scoring.experiment import Evaluation, evaluate_run, experiment_table, interval, verdict
from model.training.validation import BINS


def runs(factor: float, spread: float = 0.0) -> list[Evaluation]:
    base = [1.0, 1.3, 0.8]
    return [
        Evaluation(tuple(b * factor * (1 + spread * (n - 1)) for _ in range(BINS)), 20 + n) for n, b in enumerate(base)
    ]


def test_the_interval_is_students_t() -> None:
    mean, half = interval([1.0, 2.0, 3.0])
    assert mean == 2
    assert half == pytest.approx(4.303 / math.sqrt(3), rel=1e-3)
    assert math.isnan(interval([1.0])[1])


def test_the_table_of_one_seed_has_no_interval_and_no_nan() -> None:
    told = experiment_table({"full": [Evaluation((1.0,) * BINS, 20.0)], "rho": [Evaluation((0.9,) * BINS, 21.0)]})
    assert "| rho | 1 | 0.9000 (no interval) | -10.00 (no interval) %" in told
    assert "nan" not in told


def test_differences_are_taken_seed_by_seed() -> None:
    found = {"full": runs(1), "random": runs(1.01), "rho": runs(0.95)}
    table = experiment_table(found)
    assert "| rho | 3 |" in table
    assert "-5.00 ± 0.00 %" in table  # though losses of the seeds differ by half
    assert table.count("log-SNR") == BINS


def test_only_what_beats_both_full_and_random_beyond_the_intervals_wins() -> None:
    clear = {"full": runs(1), "random": runs(1.0), "rho": runs(0.95)}
    assert "rho" in verdict(clear)
    unsure = {**clear, "rho": runs(0.99, spread=0.1)}
    assert "No policy" in verdict(unsure)
    assert "No policy" in verdict({**clear, "random": runs(0.9)})


def test_a_run_is_judged_on_the_whole_hold_out_and_the_same_every_time(
    dataset: Path, trained: Path, tmp_path: Path
) -> None:
    data = Path(shutil.copytree(dataset, tmp_path / "data"))
    first, again = (evaluate_run(data, trained, windows=3, generated=2) for _ in range(2))
    assert first == again
    assert len(first.bins) == BINS
    assert np.isfinite(first.bins).all()
    assert 0 < first.psnr < 60
