"""Settings of training: folders are noted by their whole paths."""

from pathlib import Path

import pytest

from model.config import absolute_folders, train_config
from model.errors import ConfigError


def test_local_folders_become_absolute_and_ids_words_and_mistakes_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("weights", "runs/starter", "scratch", "org/model/vae"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for given, taken in (
        ("weights", f"{tmp_path}/weights"),
        ("./weights/", f"{tmp_path}/weights"),
        ("~/weights", f"{tmp_path}/weights"),
        ("run:runs/starter", f"run:{tmp_path}/runs/starter"),
        ("run:nowhere", "run:nowhere"),
        ("scratch", "scratch"),
        ("org/model", f"{tmp_path}/org/model"),
        ("org/other", "org/other"),
    ):
        assert absolute_folders({"init": given, "steps": "weights"}) == {"init": taken, "steps": "weights"}
        for name in ("codec", "text"):
            assert absolute_folders({"encode": {name: given, "prompt": "weights"}}) == {
                "encode": {name: taken, "prompt": "weights"}
            }
    assert absolute_folders({"encode": "weights", "init": None}) == {"encode": "weights", "init": None}


def test_a_setting_that_would_do_nothing_is_refused_in_one_sentence() -> None:
    for stage in ("star", "starter"):
        with pytest.raises(ConfigError, match=f"stage {stage} has no hint that a network made.*leave out error_share"):
            train_config(stage, error_share=0.2)
    assert train_config("any", error_share=0.2).error_share == 0.2
    with pytest.raises(ConfigError, match=r"one level of noise.*leave out weigh_noise"):
        train_config("star", one_step=True, weigh_noise="x0")
