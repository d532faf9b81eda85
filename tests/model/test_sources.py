"""Settings that name where weights, codec and text come from are parsed once, and spelled as before."""

from pathlib import Path

import pytest

from model.config import EncodeConfig, train_config
from model.sources import (
    CODEC_FILE,
    EmbeddedCodec,
    NoText,
    OtherRun,
    Pretrained,
    SavedCodec,
    Scratch,
    absolute,
    parse_codec,
    parse_init,
    parse_text,
)


@pytest.mark.parametrize(
    ("setting", "meant"),
    [
        ("scratch", Scratch()),
        ("run:runs/starter", OtherRun(Path("runs/starter"))),
        ("org/model", Pretrained("org/model")),
        ("embedded", Pretrained("embedded")),  # a word of another setting is a name here
    ],
)
def test_an_init_is_a_word_a_run_or_a_name_and_reads_as_it_was_written(setting: str, meant: object) -> None:
    assert parse_init(setting) == meant
    assert str(parse_init(setting)) == setting
    assert train_config("starter", init=setting).init_source == meant


def test_a_codec_is_fitted_saved_or_loaded(tmp_path: Path) -> None:
    assert parse_codec("embedded") == EmbeddedCodec()
    assert parse_codec(str(tmp_path)) == Pretrained(str(tmp_path))
    (tmp_path / CODEC_FILE).touch()
    assert parse_codec(str(tmp_path)) == SavedCodec(tmp_path)
    for setting in ("embedded", str(tmp_path), "org/vae"):
        assert str(parse_codec(setting)) == setting


def test_text_comes_from_where_an_autoencoder_does_unless_it_is_named(tmp_path: Path) -> None:
    (tmp_path / CODEC_FILE).touch()
    assert parse_text(None, EmbeddedCodec()) == NoText()
    assert parse_text(None, SavedCodec(tmp_path)) == NoText()
    assert parse_text(None, Pretrained("org/vae")) == Pretrained("org/vae")
    assert parse_text("zeros", Pretrained("org/vae")) == NoText()
    assert parse_text("org/clip", EmbeddedCodec()) == Pretrained("org/clip")
    assert EncodeConfig(codec="org/vae", text="zeros").text_source == NoText()


def test_a_name_is_on_the_hub_where_no_folder_has_it(tmp_path: Path) -> None:
    assert not Pretrained(str(tmp_path)).on_hub
    assert Pretrained("org/model").on_hub


def test_a_config_keeps_its_bytes() -> None:
    config = train_config("any", "sd15", init="run:runs/first", encode={"text": "zeros"})
    assert config.model_dump(mode="json")["init"] == "run:runs/first"
    dumped = config.encode.model_dump(mode="json")
    assert (dumped["codec"], dumped["text"]) == ("stable-diffusion-v1-5/stable-diffusion-inpainting", "zeros")


def test_showcase_is_longdances_own_folder_from_anywhere_but_beside_another_of_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    own = absolute("showcase")
    assert (Path(own) / CODEC_FILE).is_file()
    assert train_config("starter", init=own).encode.codec == own
    (tmp_path / "showcase").mkdir()
    assert absolute("showcase") == str(tmp_path / "showcase")
    assert absolute("showcases") == "showcases"
