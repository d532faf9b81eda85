"""Files are whole or not there."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_catalog.base.files import (
    TEMP_MARK,
    atomic,
    canonical_json,
    make_folder,
    publish,
    read_json,
    remove_temps,
    sha256_file,
    temp_name,
    write_bytes,
    write_json,
)

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def test_a_killed_writer_leaves_a_temp_and_never_the_file(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "file.tar"
    script = (
        "import os, sys\nfrom pathlib import Path\nfrom data_catalog.base.files import atomic\n"
        "with atomic(Path(sys.argv[1])) as temp:\n    temp.write_bytes(b'half')\n    os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)], check=False)
    assert done.returncode == -9
    left = list(path.parent.iterdir())
    assert [name.name.startswith(TEMP_MARK) for name in left] == [True]
    assert remove_temps(tmp_path) == 1
    assert list(path.parent.iterdir()) == []


def test_an_exception_leaves_nothing_and_the_old_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail() -> None:
        with atomic(path) as temp:
            temp.write_bytes(b"new")
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        fail()
    assert path.read_bytes() == b"old"
    assert [name.name for name in tmp_path.iterdir()] == ["file"]


def test_a_finished_write_replaces_the_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for content in (b"one", b"two"):
        with atomic(path) as temp:
            temp.write_bytes(content)
            assert temp.parent == path.parent
        assert path.read_bytes() == content
    assert [name.name for name in tmp_path.iterdir()] == ["file"]


def test_a_published_temp_has_its_name_and_no_other(tmp_path: Path) -> None:
    temp = temp_name(tmp_path / "clip.mp4")
    assert temp.suffix == ".mp4"
    temp.write_bytes(b"x")
    publish(temp, tmp_path / "clip.mp4")
    assert [name.name for name in tmp_path.iterdir()] == ["clip.mp4"]


def test_temp_names_never_meet() -> None:
    assert len({temp_name(Path("a")) for _ in range(1000)}) == 1000


def test_the_same_bytes_are_not_written_again(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_bytes(path, b"same")
    before = path.stat()
    write_bytes(path, b"same")
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    write_bytes(path, b"else")
    assert path.read_bytes() == b"else"


def test_only_temps_are_removed(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    for name in ("a/b/.tmp-123.npy", ".tmp-x", "a/kept.npy", "a/not.tmp-kept"):
        (tmp_path / name).touch()
    assert remove_temps(tmp_path) == 2
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["kept.npy", "not.tmp-kept"]


@given(values)
def test_json_has_one_spelling_and_comes_back(value: object) -> None:
    text = canonical_json(value)
    assert canonical_json(json.loads(text)) == text
    assert b"\n" not in text


def test_json_holds_no_nan(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_keys_are_sorted_and_files_are_hashed_by_content(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": 1, "a": [1.5, None]})
    write_json(tmp_path / "b.json", {"a": [1.5, None], "b": 1})
    assert sha256_file(tmp_path / "a.json") == sha256_file(tmp_path / "b.json")
    assert read_json(tmp_path / "a.json") == {"a": [1.5, None], "b": 1}
    assert (tmp_path / "a.json").read_bytes() == b'{"a":[1.5,null],"b":1}\n'


def test_a_new_folder_is_synced_into_the_one_above_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []
    monkeypatch.setattr("data_catalog.base.files.fsync_path", synced.append)
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
    assert synced == [tmp_path, tmp_path / "a"]


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_what_is_no_json_is_read_as_none(constant: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(f'{{"a": {constant}}}')
    with pytest.raises(ValueError, match=f"{constant} is no JSON"):
        read_json(tmp_path / "a.json")
