"""A dry run says what would be done, and neither begins nor writes anything."""

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from flows.cli.main import main
from model.data.latents import encode_dataset
from model.training.train import train
from tests.model.dataset import make_dataset, micro_config, micro_encode

STEPS = 4


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of 20 samples of 10 sources, without latents and with them, and a run. Read only."""
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("dry")
    make_dataset(root / "bare", sources=10)
    encode_dataset(make_dataset(root / "data", sources=10), micro_encode())
    train(root / "data", root / "starter", micro_config(steps=STEPS, sample_every=50, validate_every=50))
    return root


def dry(root: Path, *arguments: str) -> str:
    """What a dry run prints; nothing on the disk has changed."""
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    done = CliRunner().invoke(main, [*arguments, "--dry-run"])
    assert done.exit_code == 0, done.output
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before
    return done.stdout


def encoding() -> list[str]:
    """The settings of `micro_encode`."""
    return [f"--set=encode.{name}={value}" for name, value in micro_encode().model_dump(exclude_defaults=True).items()]


@pytest.mark.parametrize(("data", "there"), [("bare", 0), ("data", 2)])
def test_encode_counts_the_shards_that_have_latents(whole, data, there):
    said = dry(whole, "encode", "--data", str(whole / data), *encoding())
    assert f"20 samples in 2 shards, {there} of them encoded already" in said


def test_score_counts_the_losses_that_it_would_measure(whole):
    given = ["score", "--run", str(whole / "starter"), "--data", str(whole / "data"), "--k", "6"]
    assert "score starter (starter): 20 samples x 6 losses = 120;" in dry(whole, *given)
    assert "20 samples" not in dry(whole, *given, "--unseen")


def test_prune_lists_trainings_losses_and_what_goes(whole):
    given = ["prune", "--run", str(whole / "starter"), "--data", str(whole / "data"), "--fraction", "0.5"]
    random = dry(whole, *given)
    assert "random: of " in random
    assert "train" not in random.splitlines()[-3]
    rho = dry(whole, *given, "--score", "rho", "--then-train", "--then-steps", "3")
    folds = [line for line in rho.splitlines() if line.startswith("train starter-fold")]
    assert len(folds) == 2
    assert all(f": {STEPS // 2} steps on " in line for line in folds)
    assert "score 2 other runs" in rho
    assert rho.splitlines()[-1] == "train on from starter: 3 steps on its version"


def test_experiment_lists_the_trainings_that_are_compared(whole):
    given = ["--run", str(whole / "starter"), "--data", str(whole / "data"), "--out", str(whole / "out")]
    said = dry(whole, "experiment", "prune", *given, "--seeds", "2", "--steps", "7")
    assert "8 trainings of 7 steps" in said


def test_a_folder_that_is_no_run_is_one_sentence_and_exit_code_2(whole):
    for command in (["score"], ["prune"], ["experiment", "prune", "--out", str(whole / "out")]):
        given = [*command, "--run", str(whole / "none"), "--data", str(whole / "data"), "--dry-run"]
        done = CliRunner().invoke(main, given)
        assert (done.exit_code, done.stderr.count("\n")) == (2, 1), done.output
        assert "is not a run" in done.stderr


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("hint_noise=foo", "Unknown hint noise 'foo'"),
        ("prioritise=true", "'prioritise' needs weights"),
        ("network.layers_per_block=0", "'network.layers_per_block' is 0"),
        ("network.norm_num_groups=0", "'network.norm_num_groups' is 0"),
        ("network.attention_levels=9", "attention is wanted beyond the last"),
        ("network.foo=3", "Unknown setting 'network.foo'"),
        ("network.residual_std=0", "'network.residual_std' is 0"),
        ("network.prediction_type=foo", "'network.prediction_type' is 'foo'"),
        ("betas=[1.5,2]", "'betas.0' is 1.5"),
        ("seed=18446744073709551616", "'seed'"),
        ("lora_rank=1000000000", "'lora_rank'"),
    ],
)
def test_a_training_that_would_be_refused_is_refused_before_it_begins(whole, setting, said):
    given = ["train", "starter", "--data", str(whole / "data"), "--run", str(whole / "new"), "--dry-run"]
    done = CliRunner().invoke(main, [*given, "--set", setting])
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1), done.output
    assert said in done.stderr
    unsplit = CliRunner().invoke(main, [*given, "--processes", "2", "--set", "batch=3"])
    assert "cannot be split over 2 processes" in unsplit.stderr
    assert '"vram_gib": 12.0' in CliRunner().invoke(main, [*given, "--vram-gib", "12"]).stdout


def test_a_fork_that_could_not_go_on_is_refused_and_one_that_can_is_not(whole, tmp_path):
    sizes = [f"--set=network.{name}={list(value) if isinstance(value, tuple) else value}"
             for name, value in micro_config().network.items()]  # fmt: skip
    given = ["train", "starter", "--data", str(whole / "data"), "--run", str(whole / "child"), *encoding(), *sizes]
    said = dry(whole, *given, "--fork", str(whole / "starter"), f"--set=steps={STEPS + 1}")
    assert f"steps: {STEPS + 1}" in said
    for fork, steps, why in ((tmp_path, 9, "is not a run"), (whole / "starter", STEPS, "at step 4 already")):
        done = CliRunner().invoke(main, [*given, "--fork", str(fork), f"--set=steps={steps}", "--dry-run"])
        assert (done.exit_code, done.stderr.count("\n")) == (2, 1), done.output
        assert why in done.stderr
