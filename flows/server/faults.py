"""What may be wrong with a user's Prefect: its home, its profile, its database, the server that is configured."""

import errno
import os
import re
import shutil
import socket
import sqlite3
import struct
import tempfile
import threading
import tomllib
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.settings import Settings
    from sqlalchemy.engine import URL

ANSWER_S = 6.0
"""How long a server, or the name service before it, may take to answer."""
ROOM = 2**23
"""Bytes that a database, with what it writes ahead, wants at least."""
POSTGRES = 5432
"""The port where none is named: no other database on a host can be Prefect's."""
ASK_SSL = struct.pack(">ii", 8, 80877103)
"""SSLRequest, which any client of Postgres may send first: a server says S or N (PostgreSQL's manual, Message Flow)."""
LEAVE = "prefect config unset PREFECT_API_URL --yes"
LEAVE_DATABASE = (
    "mend or unset PREFECT_SERVER_DATABASE_CONNECTION_URL (once PREFECT_API_DATABASE_CONNECTION_URL) in the "
    "environment and the profile"
)


@dataclass(frozen=True)
class Fault:
    """What is wrong, without its full stop, and what mends it."""

    cause: str
    mend: str


def prefect_home() -> Path:
    """Where Prefect keeps its profile and database. Raises RuntimeError for a user without a home."""
    return Path(os.environ.get("PREFECT_HOME") or "~/.prefect").expanduser()


def home_fault() -> Fault | None:
    """A home that cannot be written, or a profile that cannot be read. Imports nothing of Prefect, which needs both."""
    try:
        home = prefect_home()
    except RuntimeError:
        return Fault("This user has no home folder", "name a folder that can be written in PREFECT_HOME")
    try:
        _try_to_write(home)
        free = shutil.disk_usage(home).free
    except OSError as error:
        cause = f"Prefect's folder {home} cannot be written ({error.strerror})"
        return Fault(cause, "give HOME, or PREFECT_HOME, a folder that you can write")
    if free < ROOM:
        return Fault(
            f"Prefect's folder {home} has {free >> 10} KiB left, {ROOM >> 20} MiB are wanted", "make room there"
        )
    profiles = Path(os.environ.get("PREFECT_PROFILES_PATH") or home / "profiles.toml")
    try:
        with suppress(FileNotFoundError):
            tomllib.loads(profiles.read_text())
    except (OSError, ValueError) as error:
        return Fault(f"Prefect's profiles {profiles} cannot be read ({error})", "mend or remove this file")
    return None


def _try_to_write(home: Path) -> None:
    """Make a folder, as Prefect does, and raise OSError if that or anything in it cannot be written."""
    if home.is_symlink() and not home.exists():
        raise OSError(errno.ENOENT, f"it is a link to {home.readlink()}, which is not there")
    home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=home):
        pass


def database_fault(settings: "Settings") -> Fault | None:
    """A SQLite database that a server of this version cannot open, or one on another host that nobody answers for."""
    path = Path(settings.home) / "prefect.db"
    if url := foreign_database(settings):
        if url.get_backend_name() != "sqlite":
            return _unreachable(url)
        path = Path(url.database or ":memory:")
        if not path.parent.is_dir():
            return Fault(f"Prefect's database {path} cannot be made: its folder is not there", LEAVE_DATABASE)
    if path.is_symlink() and not path.exists():
        return Fault(f"Prefect's database {path} is a link to {path.readlink()}, which is not there", "remove the link")
    if not path.exists():
        return None
    aside = f"move {path} away: Prefect makes a new one, and nothing of longdance's is in it"
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=3)) as con:
            con.execute("BEGIN IMMEDIATE")
            con.execute("ROLLBACK")
            found = con.execute("SELECT version_num FROM alembic_version").fetchall()
    except sqlite3.Error as error:
        if "no such table" in str(error):  # an empty one
            return None
        return Fault(f"Prefect's database {path} cannot be used ({error})", f"end what holds it, or {aside}")
    unknown = [version for (version,) in found if version not in known_schemas()]
    if unknown:
        return Fault(f"Prefect's database {path} is of another version of Prefect (its schema is {unknown[0]})", aside)
    return None


def foreign_database(settings: "Settings") -> "URL | None":
    """The address of a database that is not the one in Prefect's folder; None where that one is used.

    One that cannot be read is an address without a host.
    """
    from sqlalchemy.engine import URL, make_url
    from sqlalchemy.exc import ArgumentError

    secret = settings.server.database.connection_url
    if secret is None or str(Path(settings.home) / "prefect.db") in secret.get_secret_value():
        return None
    try:
        return make_url(secret.get_secret_value())
    except ArgumentError:
        return URL.create("unknown")


def _unreachable(url: "URL") -> Fault | None:
    """A database that is no Postgres, or whose host or socket does not answer as one."""
    place = url.render_as_string(hide_password=True)
    if url.get_backend_name() != "postgresql":
        return Fault(f"Prefect's database {place} is neither SQLite nor Postgres", LEAVE_DATABASE)
    if url.host is None:  # a socket's folder, or what the driver takes for it
        folder = url.query.get("host")
        if isinstance(folder, str) and not Path(folder).exists():
            return Fault(f"Prefect's database {place} has its socket in a folder that is not there", LEAVE_DATABASE)
        return None
    try:
        with socket.create_connection((url.host, url.port or POSTGRES), timeout=ANSWER_S) as door:
            door.sendall(ASK_SSL)
            said = door.recv(1)
    except OSError as error:
        cause = f"Prefect's database at {url.host}:{url.port or POSTGRES} does not answer ({error})"
        return Fault(cause, f"start it, or {LEAVE_DATABASE}")
    if said in (b"S", b"N"):
        return None
    return Fault(f"What answers at {url.host}:{url.port or POSTGRES} is no Postgres", LEAVE_DATABASE)


def known_schemas() -> set[str]:
    """The names of all schemas that the installed Prefect can read, or bring up to date."""
    import prefect

    folder = Path(prefect.__file__).parent / "server/database/_migrations/versions/sqlite"
    texts = (path.read_text() for path in folder.glob("*.py"))
    return {found[1] for text in texts if (found := re.search(r"^revision = ['\"](\w+)", text, re.M))}


def server_fault(url: str) -> Fault | None:
    """A configured server that does not answer, refuses the key, or is of another version."""
    told: list[Exception | None] = []
    asking = threading.Thread(target=lambda: told.append(_ask()), daemon=True)
    asking.start()
    asking.join(ANSWER_S)
    if told and told[0] is None:
        return None
    reason = _reason(told[0]) if told and told[0] else f"no answer for {ANSWER_S:.0f} s"
    leave = "unset PREFECT_API_URL" if "PREFECT_API_URL" in os.environ else _leave_here(url) or LEAVE
    start = "log in again with `prefect cloud login`" if _is_cloud(url) else "start it with `prefect server start`"
    return Fault(f"Prefect's server at {url} does not answer as it should ({reason})", f"{start}, or leave it: {leave}")


def _leave_here(url: str) -> str | None:
    """What to do where a file of this folder names the server, which is none of a profile's."""
    for name in (".env", "prefect.toml", "pyproject.toml"):
        with suppress(OSError, UnicodeDecodeError):
            if url.removesuffix("/api") in Path(name).read_text():
                return f"take its address out of {Path(name).absolute()}"
    return None


def start_fault(settings: "Settings", error: Exception) -> Fault:
    """Why a server of our own cannot start on the user's database, and what mends it."""
    home = Path(settings.home)
    if foreign_database(settings):
        return Fault(f"Prefect's server cannot start on the database that is configured ({error})", LEAVE_DATABASE)
    with suppress(OSError):
        if shutil.disk_usage(home).free < ROOM:
            return Fault(f"Prefect's server cannot start: {home} is full", "make room there")
    return Fault(f"Prefect's server cannot start in {home} ({error})", "move that folder away")


def _is_cloud(url: str) -> bool:
    from prefect.settings import get_current_settings

    return url.startswith(str(get_current_settings().cloud.api_url))


@contextmanager
def _client() -> Iterator["SyncPrefectClient"]:
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

    waits: dict[str, Any] = {"timeout": ANSWER_S}
    with (
        temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}),
        get_client(httpx_settings=waits, sync_client=True) as client,
    ):
        yield client


def _ask() -> Exception | None:
    """What a run asks of the server first: its version, and whether it may read."""
    try:
        with _client() as client:
            client.raise_for_api_version_mismatch()
            client.read_flows(limit=1)
    except Exception as error:
        return error
    return None


def server_version() -> str | None:
    """The version of the configured server, which answers; None for the cloud, which has none."""
    from prefect.client.base import ServerType

    with _client() as client:
        return None if client.server_type == ServerType.CLOUD else str(client.api_version())


def _reason(error: BaseException) -> str:
    """The innermost cause, in a line."""
    if isinstance(error, ValueError):  # no JSON, or none of Prefect's
        return "what answers there is no Prefect server"
    while error.__cause__ is not None:
        error = error.__cause__
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
