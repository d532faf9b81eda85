"""The command line: a user's mistake is one sentence and exit code 2, before anything is started."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from flows.cli import main


@pytest.mark.parametrize("kind", ["missing", "empty"])
def test_a_raw_folder_that_is_missing_or_empty_is_one_sentence_and_exit_code_2(kind: str, tmp_path: Path) -> None:
    raw, data = tmp_path / "raw", tmp_path / "data"
    if kind == "empty":
        raw.mkdir()
    done = CliRunner().invoke(main, ["build", str(raw), "--data", str(data)])
    assert done.exit_code == 2
    assert done.stderr.startswith("longdance: ")
    assert done.stderr.count("\n") == 1
    assert not data.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--set", "crop.margins=1"], "crop.margins"),
        (["--set", "crop.margin"], "NAME=VALUE"),
        (["--fps", "0"], "0 frames per second"),
        (["--fps", "fast"], "fast"),
        (["--frames", "1"], "clips.frames"),
    ],
)
def test_a_setting_that_does_not_fit_is_one_sentence_and_exit_code_2(
    arguments: list[str], words: str, tmp_path: Path
) -> None:
    done = CliRunner().invoke(main, ["build", str(tmp_path), "--data", str(tmp_path / "data"), *arguments])
    assert done.exit_code == 2, done.output
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_dry_run_prints_the_config_and_makes_nothing(tmp_path: Path) -> None:
    data = tmp_path / "data"
    done = CliRunner().invoke(main, ["build", str(tmp_path), "--data", str(data), "--variants", "1", "--dry-run"])
    assert done.exit_code == 0
    assert '"count": 1' in " ".join(done.stdout.split())
    assert not data.exists()


def test_verify_of_no_data_set_is_one_sentence_and_exit_code_2(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["verify", "--data", str(tmp_path)])
    assert done.exit_code == 2
    assert "build a data set first" in done.stderr
