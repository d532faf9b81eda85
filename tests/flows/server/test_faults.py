"""What is wrong with a user's Prefect is told from what is not, without starting anything."""

import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from threading import Thread

import pytest
from prefect.settings import (
    PREFECT_API_DATABASE_CONNECTION_URL,
    PREFECT_HOME,
    temporary_settings,
)

from flows.server import faults
from flows.server.faults import database_fault, home_fault, known_schemas, server_fault, start_fault


def make_database(path: Path, schema: str) -> None:
    with closing(sqlite3.connect(path)) as con:
        con.execute("CREATE TABLE alembic_version (version_num TEXT)")
        con.execute("INSERT INTO alembic_version VALUES (?)", [schema])
        con.commit()


def fault_of_database(home: Path) -> str:
    with temporary_settings({PREFECT_HOME: home, PREFECT_API_DATABASE_CONNECTION_URL: None}) as settings:
        fault = database_fault(settings)
    return fault.cause if fault else ""


def test_a_database_that_this_prefect_made_or_can_bring_up_to_date_is_sound(tmp_path):
    assert fault_of_database(tmp_path) == "", "there is none yet"
    known = known_schemas()
    assert len(known) > 50
    for schema in sorted(known)[:: len(known) // 3]:
        (tmp_path / "prefect.db").unlink(missing_ok=True)
        make_database(tmp_path / "prefect.db", schema)
        assert fault_of_database(tmp_path) == ""


def test_a_database_of_another_version_or_that_is_none_is_named(tmp_path):
    database = tmp_path / "prefect.db"
    make_database(database, "0123456789ab")
    assert f"{database} is of another version of Prefect (its schema is 0123456789ab)" in fault_of_database(tmp_path)
    database.write_bytes(b"no database at all" * 100)
    assert "cannot be used (file is not a database)" in fault_of_database(tmp_path)
    database.unlink()
    database.mkdir()
    assert "cannot be used" in fault_of_database(tmp_path)


def test_a_database_that_another_process_holds_is_named(tmp_path):
    make_database(tmp_path / "prefect.db", sorted(known_schemas())[0])
    with closing(sqlite3.connect(tmp_path / "prefect.db")) as con:
        con.execute("BEGIN EXCLUSIVE")
        assert "database is locked" in fault_of_database(tmp_path)


@contextmanager
def answering(word: bytes) -> Iterator[int]:
    """The port of a server that says a word to whoever asks something."""

    def serve() -> None:
        with suppress(OSError):
            while True:
                with door.accept()[0] as asked:
                    asked.recv(8)
                    asked.sendall(word)

    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        door.listen()
        Thread(target=serve, daemon=True).start()
        yield door.getsockname()[1]
        door.shutdown(socket.SHUT_RDWR)


def fault_of(url: str, home: Path) -> str:
    with temporary_settings({PREFECT_HOME: home, PREFECT_API_DATABASE_CONNECTION_URL: url}) as settings:
        fault = database_fault(settings)
    assert fault is None or "secret" not in str(fault)
    assert fault is None or "PREFECT_SERVER_DATABASE_CONNECTION_URL" in fault.mend or "db" in fault.cause
    return fault.cause if fault else ""


def test_a_configured_database_of_another_host_that_does_not_answer_is_named_without_its_password(tmp_path):
    def postgres(port: int) -> str:
        return fault_of(f"postgresql+asyncpg://me:secret@127.0.0.1:{port}/x", tmp_path)

    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        port = door.getsockname()[1]
        assert f"database at 127.0.0.1:{port} does not answer" in postgres(port)
    with answering(b"N") as port:
        assert postgres(port) == ""
    with answering(b"HTTP/1.1 400") as port:
        assert postgres(port) == f"What answers at 127.0.0.1:{port} is no Postgres"
    assert "socket in a folder that is not there" in fault_of("postgresql+asyncpg:///p?host=/nonexistent", tmp_path)
    assert "neither SQLite nor Postgres" in fault_of("mysql://u:secret@127.0.0.1/x", tmp_path)


def test_a_configured_file_that_is_no_database_or_cannot_be_made_is_named(tmp_path):
    (tmp_path / "other.db").write_bytes(b"no database at all" * 100)
    assert "other.db cannot be used" in fault_of(f"sqlite+aiosqlite:///{tmp_path}/other.db", tmp_path)
    assert "x/y.db cannot be made" in fault_of("sqlite+aiosqlite:////nonexistent/x/y.db", tmp_path)
    (tmp_path / "prefect.db").symlink_to(tmp_path / "nothing")
    assert f"prefect.db is a link to {tmp_path / 'nothing'}" in fault_of_database(tmp_path)
    assert fault_of("sqlite+aiosqlite:///:memory:", tmp_path) == ""


@pytest.mark.parametrize("home", ["/proc/nothing", "/dev/null", "/proc/self/fd"])
def test_a_home_that_cannot_be_written_is_named(home, monkeypatch):
    monkeypatch.delenv("PREFECT_HOME", raising=False)
    monkeypatch.setenv("HOME", home)
    fault = home_fault()
    assert fault is not None
    assert f"{home}/.prefect cannot be written" in fault.cause


def test_a_home_that_is_not_there_yet_is_made_and_one_that_cannot_be_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "not" / "there"))
    assert home_fault() is None
    assert list((tmp_path / "not" / "there").iterdir()) == []
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "link"))
    fault = home_fault()
    assert fault is not None
    assert f"it is a link to {tmp_path / 'nothing'}" in fault.cause


def test_a_home_without_room_for_a_database_is_named_before_anything_is_tried(tmp_path, monkeypatch):
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    monkeypatch.setattr(faults, "ROOM", 2**62)
    fault = home_fault()
    assert fault is not None
    assert f"{tmp_path} has" in fault.cause
    assert fault.mend == "make room there"


def test_profiles_that_are_no_toml_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    monkeypatch.delenv("PREFECT_PROFILES_PATH", raising=False)
    for text in (b"active = 'me'\n[profiles.me]\n", b"active = ", b"\xff\xfe"):
        (tmp_path / "profiles.toml").write_bytes(text)
        fault = home_fault()
        assert (fault is None) == text.startswith(b"active = 'me'")
        assert fault is None or "profiles.toml cannot be read" in fault.cause


def test_a_server_that_cannot_start_blames_the_database_that_is_configured_and_no_folder(tmp_path):
    url = "postgresql+asyncpg://a:b@127.0.0.1:1/x"
    with temporary_settings({PREFECT_HOME: tmp_path, PREFECT_API_DATABASE_CONNECTION_URL: url}) as settings:
        fault = start_fault(settings, RuntimeError("refused"))
    assert "on the database that is configured (refused)" in fault.cause
    assert "unset PREFECT_SERVER_DATABASE_CONNECTION_URL" in fault.mend


def test_a_server_that_cannot_start_in_a_full_folder_says_that_it_is_full(tmp_path, monkeypatch):
    with temporary_settings({PREFECT_HOME: tmp_path, PREFECT_API_DATABASE_CONNECTION_URL: None}) as settings:
        assert start_fault(settings, RuntimeError("why")).mend == "move that folder away"
        monkeypatch.setattr(faults, "ROOM", 2**62)
        assert start_fault(settings, RuntimeError("why")).cause == f"Prefect's server cannot start: {tmp_path} is full"


@pytest.mark.parametrize(
    ("name", "text"),
    [(".env", "PREFECT_API_URL = '{}'"), ("prefect.toml", "[api]\nurl = '{}'")],
)
def test_a_dead_server_that_a_file_of_this_folder_names_is_taken_out_there(name, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setattr(faults, "_ask", lambda: ConnectionError("refused"))  # whatever this process has settled before
    (tmp_path / name).write_text(text.format("http://127.0.0.1:1/api"))
    fault = server_fault("http://127.0.0.1:1/api")
    assert fault is not None
    assert f"take its address out of {tmp_path / name}" in fault.mend
