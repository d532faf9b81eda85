"""The pose model is the one that is expected, or it is not used."""

import os
import zipfile
from pathlib import Path

import pytest

from data_catalog.base.errors import LongdanceError
from pipeline.analysis.pose_model import HEATMAP_OUTPUT, MASK_OUTPUT, MODEL_FILE, MODELS, cached_model, pose_model_path


def test_a_wheel_with_another_network_is_refused(tmp_path: Path) -> None:
    wheel = tmp_path / "mediapipe-0.10.21-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as file:
        for member, _ in MODELS.values():
            file.writestr(member, b"some other network")
    with pytest.raises(LongdanceError, match="it is not used"):
        MODEL_FILE.bundle(wheel, tmp_path / "out.task")


def test_the_model_in_use_is_a_stored_zip_of_its_networks(pose_model: Path) -> None:
    with zipfile.ZipFile(pose_model) as file:
        assert sorted(file.namelist()) == sorted(MODELS)
        assert {info.compress_type for info in file.infolist()} == {zipfile.ZIP_STORED}


@pytest.mark.skipif("LONGDANCE_POSE_MODEL" in os.environ, reason="LONGDANCE_POSE_MODEL names another model")
def test_the_landmark_network_makes_no_mask_and_is_smaller_for_it(pose_model: Path) -> None:
    from mediapipe.tasks.metadata import schema_py_generated as tflite

    with zipfile.ZipFile(pose_model) as file:
        network = tflite.ModelT.InitFromPackedBuf(file.read("pose_landmarks_detector.tflite"), 0)
    graph = network.subgraphs[0]
    outputs = [int(tensor) for tensor in graph.outputs]
    assert outputs[MASK_OUTPUT] == outputs[HEATMAP_OUTPUT]
    made = {int(tensor) for operator in graph.operators for tensor in operator.outputs}
    assert set(outputs) <= made
    assert not any(list(graph.tensors[tensor].shape[1:3]) == [256, 256] for tensor in made)


def test_a_named_model_is_taken_and_a_missing_one_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LONGDANCE_POSE_MODEL", str(tmp_path / "mine.task"))
    with pytest.raises(LongdanceError, match="which is not a file"):
        pose_model_path()
    (tmp_path / "mine.task").touch()
    assert pose_model_path() == tmp_path / "mine.task"


def test_the_cache_is_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cached_model().is_relative_to(tmp_path)
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cached_model().is_relative_to(tmp_path / "home" / ".cache")


def test_a_cached_model_is_not_downloaded_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LONGDANCE_POSE_MODEL", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cached_model().parent.mkdir(parents=True)
    cached_model().write_bytes(b"cached")
    assert pose_model_path().read_bytes() == b"cached"
