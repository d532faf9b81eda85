"""The tests' own Prefect server: one that cannot start is told at once, with its own words, not after minutes."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.flows.conftest import start_server, stop

QUICK_S = 60  # it starts in seconds; machines that test are busy


class Healthy(BaseHTTPRequestHandler):
    """Another server, which answers whatever is asked."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def answering() -> Iterator[int]:
    server = HTTPServer(("127.0.0.1", 0), Healthy)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


@contextmanager
def silent() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield int(listener.getsockname()[1])


@contextmanager
def free() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = int(listener.getsockname()[1])
    yield port


@pytest.mark.parametrize("kind", ["a port that another server answers on", "a silent port", "a broken database"])
def test_a_server_that_cannot_start_is_told_at_once_in_its_own_words(kind: str, tmp_path: Path) -> None:
    ports = {"a port that another server answers on": answering, "a silent port": silent, "a broken database": free}
    if kind == "a broken database":
        (tmp_path / "prefect.db").write_bytes(b"no database of anybody's" * 400)
    before = time.monotonic()
    with ports[kind]() as port, pytest.raises(AssertionError, match="the Prefect server ended"):
        stop(start_server(tmp_path, port))
    assert time.monotonic() - before < QUICK_S
