"""The flow as a user runs it: what is done once is not done again, and nothing that is killed is lost."""

import json
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from data_catalog.base.errors import LongdanceError
from data_catalog.base.locks import exclusive
from data_catalog.base.paths import DataFolder
from flows.catalog.manifests import rebuild_from_record
from flows.cli.data import show_build
from tests.flows.conftest import (
    build,
    command,
    free_port,
    prefect_env,
    rows_of,
    shards_of,
    start_server,
    stop,
    temps_in,
)

WORK = ("sources_decoded", "frames_decoded", "poses_detected", "clips_encoded", "frames_encoded")


def done(report: dict[str, int]) -> dict[str, int]:
    """What a run really worked."""
    return {name: report.get(name, 0) for name in WORK if report.get(name, 0)}


def test_a_finished_build_run_again_does_no_work_and_changes_no_byte(raw, server, undisturbed, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(undisturbed, data)
    before = shards_of(data)
    report = build(raw, data, server)
    assert done(report) == {}
    assert report.get("sources_hashed", 0) == 0
    assert shards_of(data) == before
    assert rows_of(data) == rows_of(undisturbed)


def test_a_renamed_source_is_hashed_and_not_decoded(raw, server, undisturbed, tmp_path):
    data, moved = tmp_path / "data", tmp_path / "raw"
    shutil.copytree(undisturbed, data)
    shutil.copytree(raw, moved)
    (moved / "first.mp4").rename(moved / "other name.mp4")
    report = build(moved, data, server)
    assert done(report) == {}
    assert report["total_samples"] == len(rows_of(undisturbed)["samples"])


def test_a_changed_threshold_runs_sql_alone(raw, server, undisturbed, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(undisturbed, data)
    report = build(raw, data, server, "--set", "thresholds.visibility=0.999")
    assert done(report) == {}
    assert report["total_clips_ok"] < report["total_clips"]


def test_a_threshold_by_no_score_is_refused_before_anything_is_written(raw, server, undisturbed, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(undisturbed, data)
    before = (data / "build.json").read_bytes()
    done = subprocess.run(
        command(raw, data, "--set", "thresholds.measured.nothere=<4.5"),
        env=server, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "There is no score 'nothere'" in done.stderr
    assert (data / "build.json").read_bytes() == before


def test_a_threshold_by_a_column_that_is_gone_does_not_stop_a_rebuild(undisturbed, tmp_path, caplog):
    data = tmp_path / "data"
    shutil.copytree(undisturbed, data)
    record = json.loads((data / "build.json").read_text())
    record["config"]["thresholds"]["measured"] = {"gone": "<4.5"}
    (data / "build.json").write_text(json.dumps(record))
    (data / "catalog.duckdb").unlink()
    rebuild_from_record(DataFolder(data))
    assert "No clip has gone" in caplog.text
    assert rows_of(data) == rows_of(undisturbed)


def test_a_changed_crop_margin_encodes_again_and_detects_nothing(raw, server, undisturbed, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(undisturbed, data)
    report = build(raw, data, server, "--set", "crop.margin=0.05")
    assert report.get("sources_decoded", 0) == report.get("poses_detected", 0) == 0
    assert report["clips_encoded"] == report["total_clips_ok"] > 0


def test_a_new_file_is_the_only_one_that_is_worked_on(raw, server, undisturbed, tmp_path):
    data, more = tmp_path / "data", tmp_path / "raw"
    shutil.copytree(undisturbed, data)
    shutil.copytree(raw, more)
    (more / "empty.mp4").touch()
    report = build(more, data, server)
    assert report["sources_probed"] == 1
    assert done(report) == {}
    assert [row for row in rows_of(data)["sources"] if "empty_file" in row]


def test_the_same_bytes_under_two_names_are_one_source(raw, server, undisturbed, tmp_path):
    data, twice = tmp_path / "data", tmp_path / "raw"
    shutil.copytree(undisturbed, data)
    shutil.copytree(raw, twice)
    shutil.copy(twice / "first.mp4", twice / "zz copy.mp4")
    report = build(twice, data, server)
    assert report["duplicates"] == 1
    assert done(report) == {}


def test_a_deleted_shard_is_made_again_and_the_users_own_files_stay(raw, server, undisturbed, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(undisturbed, data)
    for shard in (data / "shards").glob("*.tar"):
        shard.unlink()
    (data / "mine").mkdir()
    (data / "mine" / ".tmp-mine.mp4").write_bytes(b"the user's")
    report = build(raw, data, server)
    assert report["shards_missing"] == 1
    assert report.get("frames_decoded", 0) == 0
    assert shards_of(data) == shards_of(undisturbed)
    assert (data / "mine" / ".tmp-mine.mp4").read_bytes() == b"the user's"


def test_a_source_that_was_removed_stays_in_the_data_set_and_in_its_rebuild(raw, server, undisturbed, tmp_path):
    data, fewer = tmp_path / "data", tmp_path / "raw"
    shutil.copytree(undisturbed, data)
    shutil.copytree(raw, fewer)
    build(fewer, data, server)
    (fewer / "first.mp4").unlink()
    build(fewer, data, server)
    before = rows_of(data)
    assert len(before["sources"]) == len(rows_of(undisturbed)["sources"])
    (data / "catalog.duckdb").unlink()
    build(fewer, data, server)
    assert rows_of(data) == before


def test_a_second_build_in_the_same_folder_is_refused_in_one_sentence(raw, server, undisturbed, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(undisturbed, data)
    with exclusive(DataFolder(data).lock, LongdanceError("held by the test")):
        second = subprocess.run(command(raw, data), env=server, capture_output=True, text=True, check=False)
    assert second.returncode == 2
    assert "Another build is at work" in second.stderr


def kill_and_compare(raw: Path, server: dict[str, str], undisturbed: Path, data: Path, kills: int, seed: int) -> None:
    """Kill a build's whole process group at random moments, then let it end, then compare."""
    moments = random.Random(seed)
    for _ in range(kills):
        process = subprocess.Popen(
            command(raw, data), env=server, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        time.sleep(moments.uniform(2.0, 16.0))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    build(raw, data, server)
    assert shards_of(data) == shards_of(undisturbed)
    assert rows_of(data) == rows_of(undisturbed)
    assert temps_in(data) == []
    assert not list((data / "work").iterdir())


def test_two_kills_leave_the_same_data_set(raw, server, undisturbed, tmp_path):
    kill_and_compare(raw, server, undisturbed, tmp_path / "data", kills=2, seed=7)


@pytest.mark.soak
def test_twenty_kills_leave_the_same_data_set(raw, server, undisturbed, tmp_path):
    kill_and_compare(raw, server, undisturbed, tmp_path / "data", kills=20, seed=8)


def test_a_server_that_dies_and_loses_its_database_costs_nothing(raw, undisturbed, database, home, tmp_path):
    port, data = free_port(), tmp_path / "data"
    process = start_server(home, port)
    running = subprocess.Popen(
        command(raw, data), env=prefect_env(home, port) | {"PREFECT_CLIENT_MAX_RETRIES": "2"},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not list((data / "analysis").rglob("*.json")) and time.monotonic() < deadline:
        time.sleep(0.2)
    stop(process)
    shutil.rmtree(home)
    try:
        running.wait(timeout=60)
    except subprocess.TimeoutExpired:
        stop(running)
    shutil.copytree(database, tmp_path / "another")
    build(raw, data, prefect_env(tmp_path / "another", None))  # no server at all: Prefect's own, for this run
    assert shards_of(data) == shards_of(undisturbed)
    assert rows_of(data) == rows_of(undisturbed)


def test_a_catalog_that_is_deleted_or_damaged_is_made_again(raw, server, undisturbed, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(undisturbed, data)
    catalog = data / "catalog.duckdb"
    torn = bytearray(catalog.read_bytes())
    torn[len(torn) // 2 :] = bytes(len(torn) - len(torn) // 2)
    catalog.write_bytes(torn)
    report = build(raw, data, server)
    assert done(report) == {}
    assert rows_of(data) == rows_of(undisturbed)
    catalog.unlink()
    rebuild = [*command(raw, data)[:3], "catalog", "rebuild", "--data", str(data)]
    again = subprocess.run(rebuild, env=server, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert rows_of(data) == rows_of(undisturbed)


def test_a_build_for_a_program_prints_its_table_alone_to_standard_output(undisturbed, capsys):
    show_build(undisturbed, {"frames_decoded": 7, "total_samples": 9}, "json")
    said = capsys.readouterr()
    assert {row["what"] for row in json.loads(said.out)} == {"source", "clip"}
    assert "frames_decoded=7" in said.err
    assert "samples=9" in said.err
