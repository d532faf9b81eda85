"""`build --dry-run` tells the files that it found and what would run: for a new, a grown and a finished data set."""

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from data_catalog.base.files import write_json
from data_catalog.base.paths import DataFolder
from data_catalog.connection import open_catalog
from data_catalog.writes import merge_clips, merge_paths, merge_sources
from flows.cli.main import main
from pipeline.batches.prepare_sources import build_keys
from pipeline.config import BuildConfig


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    folder = tmp_path / "raw"
    folder.mkdir()
    for name in ("a.mp4", "b.mov", ".DS_Store", "notes.txt"):
        (folder / name).write_bytes(b"bytes of " + name.encode())
    return folder


def would(raw: Path, *more: str) -> str:
    done = CliRunner().invoke(main, ["build", str(raw), "--data", str(raw.parent / "data"), "--dry-run", *more])
    assert done.exit_code == 0, done.output
    return done.stdout


def note_as_built(raw: Path, *names: str, waiting: int = 0) -> None:
    """What a build leaves of these files: their names, what was analysed and what was cut."""
    data, keys = DataFolder(raw.parent / "data"), build_keys(BuildConfig())
    rows = []
    for name in names:
        stat, source = (raw / name).stat(), name[0] * 64
        rows.append({"path": os.fsencode(raw / name), "source_id": source, "size": stat.st_size})
        rows[-1] |= {"mtime_ns": stat.st_mtime_ns, "inode": stat.st_ino}
        write_json(data.analysis(source, keys.analysis).with_suffix(".json"), {})
        write_json(data.clips(source, keys.clip_set), {})
    with open_catalog(data.catalog) as con:
        merge_paths(con, rows)
        merge_sources(con, [{"source_id": row["source_id"], "path_bytes": row["path"]} for row in rows])
        merge_clips(con, [{"clip_id": f"c{n}", "source_id": names[0][0] * 64} for n in range(waiting)])


def test_before_the_first_build_all_files_are_new_and_nothing_is_written(raw: Path) -> None:
    said = would(raw)
    assert "found: 2 files, 0.00 GiB" in said
    assert f"  new: {raw / 'a.mp4'}\n  new: {raw / 'b.mov'}\n" in said
    assert "would hash 2 files, analyse 2 files, cut into clips 2 files, then encode" in said
    assert not (raw.parent / "data").exists()


def test_of_a_grown_folder_only_the_new_file_would_run(raw: Path) -> None:
    note_as_built(raw, "a.mp4")
    said = would(raw)
    assert "found: 2 files" in said
    assert "a.mp4" not in said
    assert "would hash 1 file, analyse 1 file, cut into clips 1 file" in said


@pytest.mark.parametrize(("waiting", "words"), [(0, "would do nothing but look"), (3, "would encode 3 clips")])
def test_of_a_finished_data_set_only_what_waits_would_run(raw: Path, waiting: int, words: str) -> None:
    note_as_built(raw, "a.mp4", "b.mov", waiting=waiting)
    assert words in would(raw)


def test_another_crop_cuts_again_and_analyses_nothing(raw: Path) -> None:
    note_as_built(raw, "a.mp4", "b.mov")
    said = would(raw, "--set", "crop.margin=0.05")
    assert "would cut into clips 2 files, then encode" in said
    assert "would hash" not in said
    assert "analyse 2" not in said


def test_for_a_program_it_is_one_json_object(raw: Path) -> None:
    told = json.loads(would(raw, "--format", "json"))
    assert told["would"][0].startswith("found: 2 files")
    assert told["clips"]["frames"] == 181


def test_a_folder_without_files_is_told_by_a_dry_run_too(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["build", str(tmp_path), "--data", str(tmp_path / "data"), "--dry-run"])
    assert (done.exit_code, "holds no file" in done.stderr) == (2, True)


def test_links_are_told_as_refused_and_not_as_work(raw):
    (raw / "link.mp4").symlink_to(raw / "a.mp4")
    said = would(raw)
    assert "found: 2 files" in said
    assert "refused, links or devices: 1 file" in said
    assert "would hash 2 files" in said
