"""Which Prefect a command uses: the user's server, one of its own on the user's database, or all of it private.

Prefect only shows what longdance does. So where the user's cannot be used, the command says why and what mends it, and
runs with a folder, a database and a server that are gone after it.
"""

import atexit
import contextlib
import io
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from data_catalog.base.errors import LongdanceError
from flows.server.faults import Fault, database_fault, home_fault, server_fault, start_fault
from flows.server.own_server import OwnServer, StartError, never_proxied

if TYPE_CHECKING:
    from prefect.settings import Settings

ELSEWHERE = ("PREFECT_API_", "PREFECT_SERVER_API_", "PREFECT_SERVER_DATABASE_", "PREFECT_PROFILE")
"""Beginnings of the variables that lead to another server or database."""
_private: Path | None = None


def choose_home() -> None:
    """Before Prefect is imported, which reads its home then: another one, where the user's cannot be used.

    Raises:
        LongdanceError: there is none either, or a setting of Prefect's is none.
    """
    never_proxied()
    if fault := home_fault():
        _be_private(fault)
        os.environ.setdefault("MPLCONFIGDIR", os.environ["PREFECT_HOME"])  # or matplotlib complains in each worker
    _settings()


def choose_server() -> None:
    """Put the address of a server that answers into PREFECT_API_URL.

    Raises:
        LongdanceError: none can be had.
    """
    settings = _settings()
    if url := settings.api.url:
        fault = server_fault(url)
        if fault is None:
            return
    else:
        fault = database_fault(settings)
        if fault is None:
            try:
                _use(OwnServer({**os.environ, **settings.to_environment_variables(exclude_unset=True)}, _private))
                return
            except StartError as error:
                if _private:
                    raise LongdanceError(f"Prefect's server cannot start ({error}): see `longdance doctor`.") from error
                fault = start_fault(settings, error)
    _be_private(fault)
    choose_server()


def _settings() -> "Settings":
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):  # Prefect says what is wrong before it fails, without what mends it
            from prefect.context import refresh_global_settings_context
            from prefect.settings import get_current_settings

            refresh_global_settings_context()
            settings = get_current_settings()
        click.echo(said.getvalue(), nl=False, err=True)
        return settings
    except Exception as error:  # whatever the environment, a profile or a prefect.toml holds
        raise LongdanceError(f"Prefect's settings cannot be read ({reasons(error)}): mend what is named.") from error


def reasons(error: Exception) -> str:
    """What pydantic found wrong, a setting each, in one line."""
    lines = [line.strip() for line in str(error).splitlines() if "For further information" not in line]
    return " ".join(lines)[:300]


def _be_private(fault: Fault) -> None:
    """Leave the user's Prefect for a new, empty one; say why."""
    global _private
    click.echo(f"{fault.cause}, so this run is not shown there, but goes on: to mend it, {fault.mend}.", err=True)
    for name in [name for name in os.environ if name.startswith(ELSEWHERE)]:
        del os.environ[name]
    try:
        _private = Path(tempfile.mkdtemp(prefix="longdance-prefect-"))
    except OSError as error:
        raise LongdanceError(
            f"Nothing can be written for temporary files ({error}): name a folder in TMPDIR."
        ) from error
    atexit.register(forget_private)
    os.environ["PREFECT_HOME"] = str(_private)
    os.environ["PREFECT_PROFILES_PATH"] = str(_private / "profiles.toml")
    os.environ["PREFECT_API_URL"] = ""  # a prefect.toml of this folder may name one, too


def _use(server: OwnServer) -> None:
    os.environ["PREFECT_API_URL"] = server.url
    _settings()


def forget_private() -> None:
    """Remove the private folder, if there is one."""
    if _private:
        shutil.rmtree(_private, ignore_errors=True)
