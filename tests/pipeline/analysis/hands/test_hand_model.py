"""The hand model is the one that is expected, or it is not used."""

import zipfile
from pathlib import Path

import pytest

from data_catalog.base.errors import LongdanceError
from pipeline.analysis.hands.hand_model import MODEL_FILE, MODELS, hand_model_path


def test_a_wheel_with_another_network_is_refused(tmp_path: Path) -> None:
    wheel = tmp_path / "mediapipe-0.10.21-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as file:
        for member, _ in MODELS.values():
            file.writestr(member, b"some other network")
    with pytest.raises(LongdanceError, match="it is not used"):
        MODEL_FILE.bundle(wheel, tmp_path / "out.task")


def test_the_model_in_use_is_a_stored_zip_of_its_networks() -> None:
    with zipfile.ZipFile(hand_model_path()) as file:
        assert sorted(file.namelist()) == sorted(MODELS)
        assert {info.compress_type for info in file.infolist()} == {zipfile.ZIP_STORED}


def test_a_named_model_that_is_missing_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LONGDANCE_HAND_MODEL", str(tmp_path / "mine.task"))
    with pytest.raises(LongdanceError, match="which is not a file"):
        hand_model_path()
