"""`longdance doctor` finds what is planted, says what to do, and exits with 1 exactly when something is missing."""

import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from data_catalog.base.files import sha256_file
from data_catalog.quarantine import set_mark
from data_catalog.rebuild import rebuild
from flows.cli import doctor
from flows.cli.doctor_tools import (
    BAD_FFMPEG,
    OLDEST_FFMPEG,
    POSE_SHA256,
    Check,
    check_catalog,
    check_ffmpeg,
    check_pose_model,
    check_store,
)
from pipeline.analysis.pose_model import MODELS, cached_model
from pipeline.video.ffmpeg import ffmpeg_exe

ROOT = Path(__file__).parents[3]


def examine(*arguments: str, **env: str) -> tuple[int, dict[str, dict[str, str]]]:
    """Exit code, and each line by what it is about."""
    command = [sys.executable, "-m", "flows.cli", "doctor", "--format", "json", *arguments]
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "LONGDANCE_"))}
    done = subprocess.run(command, env=clean | env, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, {line["what"]: line for line in json.loads(done.stdout)}


def fake_ffmpeg(folder: Path, version: str, protocols: str = " fd\n", encoders: str = " V..... libx264 ") -> str:
    """A program that answers as an ffmpeg of that version does."""
    path = folder / "ffmpeg"
    path.write_text(
        f"#!/bin/sh\ncase $2 in\n-version) echo 'ffmpeg version {version} Copyright (c)';;\n"
        f"-protocols) printf '{protocols}';;\n-encoders) echo '{encoders}';;\nesac\n"
    )
    path.chmod(0o755)
    return str(path)


def test_a_sound_machine_passes_and_every_line_says_what_was_found(pose_model, tmp_path):
    code, lines = examine("--data", str(tmp_path), PREFECT_HOME=str(tmp_path))
    assert code == 0, lines
    assert list(lines) == [
        "python", "packages", "libraries", "ffmpeg", "pose model", "hand model", "text model", "GPU", "memory",
        "shared memory", "disk", "Prefect", "catalog",
    ]  # fmt: skip
    assert all(line["found"] for line in lines.values())
    assert all(line["do"] for line in lines.values() if line["state"] != "ok")


def test_the_shared_libraries_that_are_looked_for_are_those_that_the_setup_installs():
    script = (ROOT / "tools" / "system-packages.sh").read_text()
    installed = dict(re.findall(r"(lib\S+\.so\.\d+):(lib\S+?)[ ;]", script))
    assert len(installed) == 4
    assert installed == doctor.LIBRARIES


def only(lines: Iterator[Check]) -> Check:
    """The one line of a check."""
    [line] = lines
    return line


@pytest.fixture
def ffmpeg(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Check]]:
    """What doctor says of an ffmpeg at a path."""

    def judge(path: str) -> Check:
        monkeypatch.setenv("LONGDANCE_FFMPEG", path)
        ffmpeg_exe.cache_clear()
        return only(check_ffmpeg())

    yield judge
    ffmpeg_exe.cache_clear()


@pytest.mark.parametrize(
    ("version", "state"),
    [
        ("5.1.6-0+deb12u1", "missing"), ("4.4", "missing"), ("6.0", "warn"), ("n7.1-14-g87ccf995cb", "warn"),
        ("8.0.1", "warn"), ("8.1", "ok"), ("9.0.2-static https://x", "ok"), ("10.0", "ok"), ("N-12345-gabcdef", "note"),
    ],
)  # fmt: skip
def test_an_ffmpeg_is_judged_by_its_version(ffmpeg, tmp_path, version, state):
    line = ffmpeg(fake_ffmpeg(tmp_path, version))
    assert line.state == state, line
    assert bool(line.do) == (state != "ok")
    assert BAD_FFMPEG[0][0] > OLDEST_FFMPEG


@pytest.mark.parametrize("lacks", ["protocols", "encoders"])
def test_an_ffmpeg_that_cannot_do_what_is_asked_of_it_is_missing_whatever_its_version(ffmpeg, tmp_path, lacks):
    assert ffmpeg(fake_ffmpeg(tmp_path, "9.0", **{lacks: " other "})).state == "missing"


def test_a_missing_ffmpeg_makes_it_fail_and_says_what_to_do(tmp_path):
    code, lines = examine(LONGDANCE_FFMPEG=str(tmp_path / "none"), PREFECT_HOME=str(tmp_path))
    assert (code, lines["ffmpeg"]["state"]) == (1, "missing")
    assert "LONGDANCE_FFMPEG" in lines["ffmpeg"]["do"]


def test_the_pose_model_is_checked_byte_by_byte(pose_model, tmp_path, monkeypatch):
    assert sha256_file(pose_model) == POSE_SHA256
    monkeypatch.delenv("LONGDANCE_POSE_MODEL", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert only(check_pose_model()).do == "longdance pose-model"
    cached = cached_model()
    cached.parent.mkdir()
    whole = pose_model.read_bytes()
    for broken in (b"", whole[: len(whole) // 2], whole[:5000] + b"?" + whole[5001:]):
        cached.write_bytes(broken)
        assert only(check_pose_model()).state == "missing"
    with zipfile.ZipFile(pose_model) as source, zipfile.ZipFile(cached, "w") as other:
        for name in source.namelist():
            other.writestr(name, source.read(name))
    assert only(check_pose_model()).state == "warn"
    monkeypatch.setenv("LONGDANCE_POSE_MODEL", str(cached))
    own = only(check_pose_model())
    assert own.state == "ok"
    assert "your own" in own.found
    with zipfile.ZipFile(cached, "w") as other:
        for name in MODELS:
            other.writestr(name, b"garbage that is no model")
    assert only(check_pose_model()).state == "missing"


class Version(BaseHTTPRequestHandler):
    """A Prefect server's answers to what doctor asks: its version and, with POST, its flows."""

    def do_GET(self) -> None:
        """Answer."""
        if "csrf-token" in self.path:  # what a server without such tokens says
            self.answer({"detail": "CSRF protection is disabled."}, 422)
        else:
            self.answer(self.server.version)  # type: ignore[attr-defined]

    def do_POST(self) -> None:
        """No flows, after what was asked is read: a socket that is closed with bytes in it is reset."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer([])

    def answer(self, value: object, status: int = 200) -> None:
        """Send JSON."""
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(value).encode())

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.mark.parametrize(("version", "state"), [("3.8.99", "ok"), ("3.1.0", "warn")])
def test_a_configured_server_that_answers_is_fine_if_its_version_is(tmp_path, version, state):
    with HTTPServer(("127.0.0.1", 0), Version) as server:
        server.version = version  # type: ignore[attr-defined]
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/api"
        code, lines = examine(PREFECT_API_URL=url, PREFECT_HOME=str(tmp_path))
        server.shutdown()
    assert (code, lines["Prefect"]["state"]) == (0, state)


def test_a_configured_server_that_does_not_answer_is_missing_and_none_configured_is_fine(tmp_path):
    for url in ("http://127.0.0.1:9/api", "http://127.0.0.1:abc/api"):
        code, lines = examine(PREFECT_API_URL=url, PREFECT_HOME=str(tmp_path))
        assert (code, lines["Prefect"]["state"]) == (1, "missing")
    assert "prefect server start" in lines["Prefect"]["do"]
    assert examine(PREFECT_HOME=str(tmp_path))[1]["Prefect"]["state"] == "ok"


def test_a_data_sets_catalog_is_looked_at(tmp_path):
    data = tmp_path / "data"
    assert only(check_catalog(data)).state == "note"
    rebuild(data / "catalog.duckdb", {})
    assert only(check_catalog(data)).state == "ok"
    set_mark(data / "catalog.duckdb", "The catalog's last writer was killed in the middle of its work.")
    assert only(check_catalog(data)).state == "warn"
    (data / "catalog.duckdb").write_bytes(b"no database" * 1000)
    damaged = only(check_catalog(data))
    assert damaged.state == "missing"
    assert "catalog rebuild" in damaged.do


def test_only_what_is_missing_makes_it_fail():
    states = {state: Check(state, "x", "y") for state in ("ok", "note", "warn", "missing")}
    assert doctor.healthy([states["ok"], states["note"], states["warn"]])
    assert not doctor.healthy([states["ok"], states["missing"]])
    assert doctor.healthy([])


def test_storage_that_can_be_listed_is_told_from_storage_that_cannot(bucket):
    [found] = check_store(f"s3://{bucket}/data")
    assert (found.state, found.found) == ("ok", f"s3://{bucket}/data can be listed")
    [lacking] = check_store("s3://bucket-of-nobody")
    assert lacking.state == "missing"
    assert "404 Not Found" in lacking.found
