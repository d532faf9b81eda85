"""Finding raw files: by bytes, in order, without following anything."""

import hashlib
import os
from pathlib import Path

import pytest

from data_catalog.base.errors import LongdanceError, RejectedError
from pipeline.batches.sources import hash_source, nameless_id, require_videos, walk
from pipeline.video.ffmpeg import open_source


def names(root: Path, exclude: Path | None = None) -> list[str]:
    return [os.fsdecode(file.path)[len(str(root)) + 1 :] for file in require_videos(root, exclude)]


def fill(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)


def test_files_of_all_folders_come_in_byte_order_and_folders_do_not(tmp_path: Path) -> None:
    fill(tmp_path, "b.mp4", "a/z.mp4", "a/b/c.mov", "A.mkv", "no suffix")
    assert names(tmp_path) == ["A.mkv", "a/b/c.mov", "a/z.mp4", "b.mp4", "no suffix"]


def test_the_data_folder_inside_the_raw_folder_is_passed_over(tmp_path: Path) -> None:
    fill(tmp_path, "b.mp4", "data/shards/s.mp4")
    assert names(tmp_path, tmp_path / "data") == ["b.mp4"]
    (tmp_path / "other").symlink_to(tmp_path / "data")
    assert names(tmp_path, tmp_path / "other") == ["b.mp4", "other"]


def test_another_data_set_inside_the_raw_folder_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "set" / "shards").mkdir(parents=True)
    (tmp_path / "set" / "catalog.duckdb").touch()
    (tmp_path / "set" / "shards" / "a.tar").touch()
    (tmp_path / "b.mp4").touch()
    assert [file.path for file in walk(tmp_path)] == [bytes(tmp_path / "b.mp4")]


def test_what_lies_beside_videos_is_passed_over(tmp_path: Path) -> None:
    fill(tmp_path, "b.mp4", "b.JSON", "b.txt", "b.srt", "poster.jpg", "README.md")
    assert names(tmp_path) == ["b.mp4"]


def test_links_are_listed_and_not_followed(tmp_path: Path) -> None:
    fill(tmp_path, "raw/a.mp4", "elsewhere/b.mp4")
    (tmp_path / "raw" / "link.mp4").symlink_to(tmp_path / "elsewhere" / "b.mp4")
    (tmp_path / "raw" / "folder").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "raw" / "loop").symlink_to(tmp_path / "raw")
    found = {os.path.basename(file.path): file.regular for file in walk(tmp_path / "raw")}  # noqa: PTH119
    assert found == {b"a.mp4": True, b"link.mp4": False, b"folder": False, b"loop": False}


def test_a_file_that_goes_while_the_folder_is_read_is_passed_over(tmp_path: Path) -> None:
    fill(tmp_path, "a.mp4", "b.mp4", "c.mp4")
    found = []
    for file in walk(tmp_path):
        found.append(file.path[-5:])
        (tmp_path / "b.mp4").unlink(missing_ok=True)
    assert found == [b"a.mp4", b"c.mp4"]


def test_the_id_is_the_hash_of_the_bytes_whatever_the_name(tmp_path: Path) -> None:
    fill(tmp_path, "a.mp4")
    (tmp_path / "copy.mov").write_text("a.mp4")
    one, two = require_videos(tmp_path)
    assert hash_source(one) == hash_source(two) == hashlib.sha256(b"a.mp4").hexdigest()


@pytest.mark.parametrize("path", [b"/dev/null", b"/dev", b"/dev/zero"])
def test_devices_and_folders_are_not_opened(path: bytes) -> None:
    with pytest.raises(RejectedError) as caught:
        open_source(path)
    assert caught.value.code == "not_regular"


def test_a_pipe_is_refused_without_waiting_for_its_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(RejectedError) as caught:
        open_source(bytes(tmp_path / "pipe.mp4"))
    assert caught.value.code == "not_regular"


def test_a_missing_file_is_unreadable_and_a_link_is_not_regular(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name, code in (("missing", "unreadable"), ("link", "not_regular")):
        with pytest.raises(RejectedError) as caught:
            open_source(bytes(tmp_path / name))
        assert caught.value.code == code


def test_ids_of_nameless_files_are_marked_and_differ() -> None:
    assert nameless_id(b"a").startswith("path-")
    assert len(nameless_id(b"a")) == 64
    assert nameless_id(b"a") != nameless_id(b"b")


@pytest.mark.parametrize("name", ["missing", "file", "empty"])
def test_a_raw_folder_that_is_none_is_one_sentence(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    with pytest.raises(LongdanceError, match=f"{name}'.*: give the folder that holds your raw videos"):
        require_videos(tmp_path / name)


def test_shown_names_are_text_whatever_the_bytes(tmp_path: Path) -> None:
    with open(os.path.join(bytes(tmp_path), b"caf\xe9.mp4"), "wb"):  # noqa: PTH118, PTH123
        pass
    assert require_videos(tmp_path)[0].shown.endswith("caf\\xe9.mp4")


@pytest.mark.parametrize("name", [".DS_Store", "._dance.mp4", ".hidden.mov", ".Trashes/dance.mp4"])
def test_dot_files_and_folders_are_passed_over(name, tmp_path):
    (tmp_path / "inner").mkdir()
    for folder in (tmp_path, tmp_path / "inner"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"x")
        (folder / "dance.mp4").write_bytes(b"x")
    found = [os.path.relpath(file.path, os.fsencode(tmp_path)) for file in walk(tmp_path)]
    assert sorted(found) == [b"dance.mp4", b"inner/dance.mp4"]
