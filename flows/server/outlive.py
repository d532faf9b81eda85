"""What only shows never ends what works: a run goes on, and counts, whatever becomes of Prefect's server."""

import copy
import functools
import logging
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import click
import httpx
from prefect import Flow
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from flows.server.choose import choose_server

P = ParamSpec("P")
R = TypeVar("R")
QUIET = ("prefect.events", "prefect._internal.concurrency", "prefect.client", "EventsWorker", "APILogWorker")
lost = False
"""Whether a server was lost in this process: what waits to be sent to it at the end would wait for minutes."""


def show_in_prefect(call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R | None:
    """The result of a call that makes or updates an artifact; None where it fails, which it does without retries."""
    try:
        with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
            return call(*args, **kwargs)
    except Exception as error:
        logging.getLogger(__name__).debug("not shown: %s", error)
        return None


def outlive(flow: Flow[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run a flow. Once its own work has ended, that is how the run ended, whether or not Prefect heard of it."""
    results: list[R] = []
    errors: list[Exception] = []

    @functools.wraps(flow.fn)
    def body(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            results.append(flow.fn(*args, **kwargs))
        except Exception as error:
            errors.append(error)
            raise
        return results[0]

    once = copy.copy(flow)
    once.fn = body
    choose_server()
    try:
        return once(*args, **kwargs)
    except Exception as error:
        if errors and error is not errors[0]:
            _note_loss(error)
            raise errors[0] from error
        if not results:
            raise
        _note_loss(error)
        return results[0]


def server_is_lost(error: BaseException | None) -> bool:
    """Whether a request to the server failed on its way."""
    return isinstance(error, httpx.TransportError)


def _note_loss(error: Exception) -> None:
    global lost
    lost = server_is_lost(error)
    why = str(error) or type(error).__name__
    click.echo(f"Prefect's server did not hear how this run ended ({why}): that changes nothing else.", err=True)


def be_quiet() -> None:
    """Let Prefect's background services say nothing of a server that is gone: the one line above does."""
    logging.raiseExceptions = False  # Prefect's sender of logs asks it before it writes to stderr
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.CRITICAL)
