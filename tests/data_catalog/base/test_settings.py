"""An unknown setting suggests the nearest, a section names its parts, each in one sentence."""

import pytest
from pydantic import ValidationError

from data_catalog.base.settings import Settings, explain_settings, nearest_name, setting_names
from pipeline.config import BuildConfig

KNOWN = setting_names(BuildConfig)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("threshold.blur", "thresholds.blur"),
        ("blur", "thresholds.blur"),
        ("camera.blurr", "thresholds.blur"),
        ("crops.margin", "crop.margin"),
        ("margn", "crop.margin"),
        ("variant.count", "variants.count"),
        ("clips.frame", "clips.frames"),
        ("clip.fps", "clips.fps"),
        ("analysis.margin", "crop.margin"),
        ("xyzzy", None),
    ],
)
def test_the_nearest_name_is_looked_for_in_whole_dotted_names_then_in_last_parts(given: str, meant: str | None) -> None:
    assert nearest_name(given, KNOWN) == meant


@pytest.mark.parametrize("name", KNOWN)
def test_every_setting_with_a_letter_too_many_or_too_few_suggests_itself(name: str) -> None:
    assert nearest_name(name + "s", KNOWN) == name
    section, dot, leaf = name.rpartition(".")
    assert nearest_name(section[:-1] + dot + leaf, KNOWN) == name


class Part(Settings):
    one: int = 1
    two: int = 2


class Whole(Settings):
    part: Part = Part()
    other: int = 0


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"parts": {"one": 1}}, "Unknown setting 'parts.one': did you mean 'part.one'?"),
        ({"part": {"onee": 1}}, "Unknown setting 'part.onee': did you mean 'part.one'?"),
        ({"two": 1}, "Unknown setting 'two': did you mean 'part.two'?"),
        ({"part": 1}, "Setting 'part' has settings of its own: set part.one or part.two."),
        ({"other": "x"}, "Setting 'other' is 'x': Input should be a valid integer"),
    ],
)
def test_a_wrong_setting_is_one_sentence_with_its_whole_name(values: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError) as wrong:
        Whole.model_validate(values)
    assert explain_settings(wrong.value, Whole).startswith(said)
