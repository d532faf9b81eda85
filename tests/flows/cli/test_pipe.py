"""`longdance` in a pipe: what comes out is JSON or CSV, whole, and nothing else."""

import csv
import io
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from data_catalog.connection import open_catalog
from data_catalog.writes import merge_clips, merge_paths, merge_sources
from tests.data_catalog.rows import clip, source

NAMES = ["plain.mp4", 'quoted "and, comma".mp4', "new\nline.mp4", "\x1b[31mred.mp4", "é😀.mp4", "=1+1.mp4"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    with open_catalog(tmp_path / "catalog.duckdb") as con:
        merge_sources(con, [source(n, path_bytes=name.encode()) for n, name in enumerate(NAMES)])
        merge_paths(con, [{"path": b"\xff\xfe.mp4", "source_id": "x", "size": 1, "mtime_ns": 2, "inode": 3}])
        merge_clips(con, [clip(n, blur=None if n % 2 else 0.1 + 0.2) for n in range(300)])
    return tmp_path


def piped(data: Path, query: str, form: str) -> str:
    """What the command writes into a pipe; stderr is not in it."""
    command = [sys.executable, "-m", "flows.cli", "sql", query, "--data", str(data), "--format", form]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode()


QUERY = "SELECT path, source_id, duration_s FROM sources ORDER BY source_id"


def test_sql_through_a_pipe_is_json_with_every_name_as_it_is(data):
    rows = json.loads(piped(data, QUERY, "json"))
    assert [row["path"] for row in rows] == NAMES
    assert rows[0] == {"path": "plain.mp4", "source_id": "source-0", "duration_s": 60.0}


def test_sql_through_a_pipe_is_csv_with_every_name_as_it_is(data):
    rows = list(csv.reader(io.StringIO(piped(data, QUERY, "csv"), newline="")))
    assert rows[0] == ["path", "source_id", "duration_s"]
    assert [row[0] for row in rows[1:]] == NAMES


@pytest.mark.parametrize("form", ["json", "csv"])
def test_numbers_nulls_lists_and_bytes_come_through_whole(data, form):
    text = piped(data, "SELECT clip_id, blur, reasons FROM clips ORDER BY clip_id", form)
    rows: list[dict[str, Any]] = (
        json.loads(text) if form == "json" else list(csv.DictReader(io.StringIO(text, newline="")))
    )
    assert len(rows) == 300
    first, second = rows[0], rows[1]
    assert float(first["blur"]) == 0.1 + 0.2
    assert second["blur"] in (None, "")
    assert first["reasons"] in ([], "[]")
    assert "\\xff\\xfe.mp4" in piped(data, "SELECT path FROM paths", form).replace("\\\\", "\\")


def test_a_reader_that_stops_early_costs_no_traceback(data):
    command = [sys.executable, "-m", "flows.cli", "sql", "FROM clips", "--data", str(data), "--format", "json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.read(10)
    process.stdout.close()
    assert process.stderr is not None
    said = process.stderr.read().decode()
    process.wait()
    assert "Traceback" not in said


def test_head_ends_an_endless_answer_at_once_without_a_trace(data):
    for form in ("json", "csv"):
        command = [
            sys.executable,
            "-m",
            "flows.cli",
            "sql",
            "SELECT * FROM range(10000000000)",
            "--data",
            str(data),
        ]
        process = subprocess.Popen([*command, "--format", form], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.read(1000)
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
        process.wait(timeout=30)


HEAVY = "SELECT count(*) FROM range(3000000) a, range(3000000) b WHERE hash(a.range + b.range) % 7 = 3"


@pytest.mark.parametrize("query", ["SELECT count(*) FROM range(3000000000) a WHERE hash(a.range) % 7 = 3", HEAVY])
def test_ctrl_c_ends_a_query_at_once_with_status_130_and_without_a_trace(data, query):
    command = [sys.executable, "-m", "flows.cli", "sql", query, "--data", str(data)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    time.sleep(3)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    started = time.monotonic()
    said = process.communicate(timeout=30)
    assert time.monotonic() - started < 5
    assert process.returncode == 130
    assert said == (b"", b"\nStopped.\n")


def test_an_empty_answer_is_still_json_and_csv(data):
    assert json.loads(piped(data, "SELECT 1 AS one WHERE false", "json")) == []
    assert piped(data, "SELECT 1 AS one WHERE false", "csv") == "one\n"


def test_a_mistake_goes_to_stderr_and_leaves_the_pipe_empty(data):
    command = [sys.executable, "-m", "flows.cli", "sql", "SELECT nothing", "--data", str(data), "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "nothing" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_query_may_begin_with_a_comment(data):
    query = "-- all of them\nSELECT count(*) AS n FROM clips"
    command = [sys.executable, "-m", "flows.cli", "sql", query, "--data", str(data), "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [{"n": 300}]
