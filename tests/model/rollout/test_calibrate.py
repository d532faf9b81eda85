"""A calibration finds the setting that is best by construction, and says why."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from torch import Tensor

from data_catalog.base.files import read_json, sealed, write_json
from data_catalog.base.paths import RunFolder
from flows.cli.main import main
from model.data.latents import encode_dataset
from model.errors import DataError, RunError
from model.network.conditioning import FrameConditioning
from model.network.diffusion import alpha_sigma
from model.rollout.calibrate import (
    CalibrationSetup,
    Trial,
    best_of,
    calibrate,
    chain_of,
    run_chain,
    travelled,
    try_setting,
)
from model.rollout.config import SamplingConfig, sampling_config
from model.sampling.guidance import TextPair
from model.training.train import train
from tests.model.dataset import make_dataset, micro_config, micro_encode
from tests.model.rollouts import CPU, clip_of, lossless_codec

QUICK = SamplingConfig(steps=1)


class CopiesAHint:
    """Says that every frame is the last hint as the network sees it, plus an error that noise on it forgives.

    Without noise the error is `fault`; with hints at noise-to-signal of about 0.3 it is smallest.
    """

    def __init__(self, fault: float) -> None:
        self.fault, self.levels = fault, list[float]()
        self.noised = list[list[bool]]()

    def __call__(self, sample: Tensor, timestep: Tensor, text: Tensor, cond: FrameConditioning) -> Tensor:
        channels = (sample.shape[2] - 1) // 2
        level = float(torch.exp(-cond.hint_log_snr_BF[cond.given_BF].min() / 2))
        self.levels.append(level)
        self.noised.append(((cond.hint_log_snr_BF[0] < 12) & cond.given_BF[0]).tolist())
        alpha, sigma = alpha_sigma(timestep)
        clean = torch.full_like(sample[:, :, :channels], self.fault * abs(level - 0.33))
        return (sample[:, :, :channels] - alpha * clean) / sigma


@pytest.fixture
def bench() -> CalibrationSetup:
    """A still, grey clip, and a network whose error depends on the level of noise alone."""
    clip = clip_of(60) * 0 + 128
    codec = lossless_codec(clip_of(32))
    latents = codec.encode(clip)
    text = TextPair(torch.zeros(1, 1, 8), torch.zeros(1, 1, 8))
    network = CopiesAHint(5.0)
    return CalibrationSetup(network, "epsilon", codec, text, (latents - latents,), (None,), QUICK, CPU)


@pytest.mark.parametrize("stage", ["extrapolation", "interpolation"])
def test_the_level_that_is_best_by_construction_has_the_least_error(stage: str, bench: CalibrationSetup) -> None:
    chain = chain_of(stage, 60)
    trials = [try_setting(bench, chain, level, 1.0) for level in (0.0, 0.1, 0.33, 0.7)]
    assert best_of(trials).hint_noise == 0.33
    assert trials[0].error > trials[1].error > trials[2].error < trials[3].error


@pytest.mark.parametrize("stage", ["starter", "extrapolation", "interpolation"])
def test_made_hints_alone_are_noised_as_in_a_rollout(stage: str, bench: CalibrationSetup) -> None:
    chain = chain_of(stage, 60)
    run_chain(bench, chain, bench.clips[0], 0.5, 1.0, 0)
    made, seen = set[int](), iter(bench.network.noised)  # type: ignore[attr-defined]
    for call in chain.calls:
        assert next(seen) == [frame in call.hints and frame in made for frame in call.frames]
        made.update(call.targets)
    assert 0 not in made


@pytest.mark.parametrize("stage", ["starter", "extrapolation", "interpolation"])
def test_a_chain_gives_real_frames_once_and_judges_what_was_made_from_made_ones(
    stage: str, bench: CalibrationSetup
) -> None:
    chain = chain_of(stage, 60)
    made = set()
    for call in chain.calls:
        assert set(call.hints) <= made | set(chain.given)
        made.update(call.targets)
    assert set(chain.judged) <= made
    assert run_chain(bench, chain, bench.clips[0], 0.1, 1.0, 0).shape[0] == len(chain.judged)
    if stage != "starter":
        deep = [call for call in chain.calls if set(call.hints) - set(chain.given) - {0}]
        assert set(chain.judged) <= {f for call in deep for f in call.targets}
    assert chain.frames <= 60


def test_among_settings_of_almost_the_same_error_the_one_that_moves_as_the_real_clip_wins() -> None:
    frozen, moving, worse = Trial(0, 1, 10.0, 0.2), Trial(0.1, 1, 10.05, 0.9), Trial(0.2, 1, 11.0, 1.0)
    assert best_of([frozen, moving, worse]) == moving


def test_clips_that_are_too_short_are_refused() -> None:
    with pytest.raises(DataError, match="too short to calibrate extrapolation"):
        chain_of("extrapolation", 12)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips of 45 frames: long enough for keys that are made from made ones."""
    data = make_dataset(tmp_path_factory.mktemp("long") / "data", sources=3, clips_per_source=1, frames=45)
    encode_dataset(data, micro_encode())
    return data


@pytest.fixture(scope="module")
def run(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two steps of training of stage `any`, without hints now and then."""
    quiet = {"validate_every": 9, "sample_every": 9, "checkpoint_every": 2, "steps": 2}
    return train(
        dataset, tmp_path_factory.mktemp("runs") / "any", micro_config("any", hint_dropout=0.2, **quiet)
    ).run_dir


def test_the_best_of_each_stage_becomes_the_runs_default_with_the_curve_as_its_reason(run: Path) -> None:
    record = calibrate(run, None, clips=1, settings=QUICK, levels=(0.0, 0.3), guidance=(1.0, 2.0))
    assert read_json(RunFolder(run).sampling) == record
    assert len(record["clips"]) == 1
    assert record["held_out"]
    assert record["sampling"]["temperature"] == QUICK.temperature == sampling_config([run], {}).temperature
    for stage, tried in (("starter", 2), ("extrapolation", 3), ("interpolation", 3)):
        assert len(record["reason"][stage]) == tried
        chosen = sampling_config([run], {}).of_stage(stage)
        assert chosen in [(trial["hint_noise"], trial["hint_guidance"]) for trial in record["reason"][stage]]


def test_the_command_prints_every_trial_and_marks_the_best(run: Path, dataset: Path) -> None:
    fixed = ["calibrate", "--run", str(run), "--data", str(dataset), "--clips", "1", "--steps", "1", "--format", "csv"]
    done = CliRunner().invoke(main, fixed)
    assert done.exit_code == 0, done.output
    rows = [line.split(",") for line in done.stdout.splitlines()[1:]]
    assert [sum(row[0] == stage and row[-1] == "best" for row in rows) for stage in ("starter", "interpolation")] == [
        1,
        1,
    ]
    assert len(rows) == 4 + 2 * (7 + 3)


def test_a_data_set_that_is_gone_is_asked_for(run: Path, tmp_path: Path) -> None:
    record = read_json(run / "run.json")
    elsewhere = {**record, "environment": {**record["environment"], "data": str(tmp_path / "gone")}}
    write_json(run / "run.json", sealed(elsewhere))
    with pytest.raises(RunError, match=r"not where it was.*--data"):
        calibrate(run, None)
    write_json(run / "run.json", record)


def test_grain_on_a_still_is_no_motion_to_a_calibration_and_a_dance_half_as_wide_is_about_half() -> None:
    still = np.full((12, 64, 64, 3), 128.0)
    grain = np.random.default_rng(0).normal(0, 3, still.shape)
    assert travelled(still + grain) == 0
    dances = []
    for reach in (2, 1):
        frames = still.copy()
        for number in range(12):
            frames[number, 20:44, reach * number : reach * number + 16] = 250
        dances.append(travelled(frames + grain))
    assert 0.3 <= dances[1] / dances[0] <= 0.6
