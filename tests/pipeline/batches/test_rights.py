"""sources.csv: what it says is kept; a line that names no source, or another header, is one sentence."""

import os
from pathlib import Path

import pytest

from data_catalog.base.errors import LongdanceError
from data_catalog.base.paths import DataFolder
from pipeline.batches.rights import keep_rights, rights_file, stored_rights

A, B, C = "a" * 64, "b" * 64, "c" * 64


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    (tmp_path / "raw" / "sub").mkdir(parents=True)
    return tmp_path / "raw"


def files(raw: Path) -> dict[bytes, str]:
    return {os.fsencode(raw / "anna.mp4"): A, os.fsencode(raw / "sub" / "bob, 2.mp4"): B}


def kept(raw: Path, text: str, sources: dict[bytes, str] | None = None) -> dict[str, dict[str, str]]:
    (raw / "sources.csv").write_text(text)
    return keep_rights(DataFolder(raw.parent / "data"), raw, files(raw) if sources is None else sources)


def test_paths_and_hashes_name_sources_and_empty_fields_say_nothing(raw):
    said = kept(raw, f'path,hash,license,creator\n"sub/bob, 2.mp4",,CC0,\n,{A},CC-BY-4.0,"Anna, B."\n')
    assert said == {B: {"licence": "CC0"}, A: {"licence": "CC-BY-4.0", "creator": "Anna, B."}}
    assert stored_rights(DataFolder(raw.parent / "data")) == said


def test_the_list_may_lie_beside_the_folder_but_not_in_two_places(raw):
    (raw.parent / "sources.csv").write_text("path,licence\nanna.mp4,CC0\n")
    assert keep_rights(DataFolder(raw.parent / "data"), raw, files(raw)) == {A: {"licence": "CC0"}}
    (raw / "sources.csv").write_text("path,licence\n")
    with pytest.raises(LongdanceError, match="keep one of the two"):
        rights_file(raw, raw)


def test_what_is_no_longer_said_goes_unless_the_file_is_gone(raw):
    kept(raw, "path,licence\nanna.mp4,CC0\nsub/bob, 2.mp4,CC0\n".replace("sub/bob, 2.mp4", '"sub/bob, 2.mp4"'))
    only_anna = {os.fsencode(raw / "anna.mp4"): A}
    assert kept(raw, "path,licence\nanna.mp4,CC-BY\n", only_anna) == {A: {"licence": "CC-BY"}, B: {"licence": "CC0"}}
    assert kept(raw, "path,licence\n") == {}
    (raw / "sources.csv").unlink()
    assert keep_rights(DataFolder(raw.parent / "data"), raw, files(raw)) == {}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("path,licence\nana.mp4,CC0\n", "line 2: 'ana.mp4' is no file of"),
        (f"source_id,licence\n{C},CC0\n", "line 2: 'c+' is no file of"),
        ("path,licence\nanna.mp4,CC0\nanna.mp4,CC-BY\n", "line 3: this source has a line already"),
        ("path,rights\nanna.mp4,CC0\n", "has the columns path, rights: expected 'path' or 'source_id'"),
        ("licence\nCC0\n", "expected 'path' or 'source_id'"),
        ("path,path\na,b\n", "each once"),
        ("path,licence\nanna.mp4,CC0,more\n", "line 2: more values than the header"),
        ('path,licence\n"anna.mp4,CC0\n', "no CSV file"),
        ("", "has the columns none"),
    ],
)
def test_a_mistake_is_one_sentence(raw, text, sentence):
    with pytest.raises(LongdanceError, match=sentence) as error:
        kept(raw, text)
    assert "\n" not in str(error.value)
    assert not (raw.parent / "data" / "rights.json").exists()
