"""A server that speaks S3, for tests: moto's, in a process of its own; and one before it that fails now and then."""

import contextlib
import http.client
import random
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

KEY_ID, SECRET = "AKIATESTSONLY", "notInAnythingThatIsWritten"
SECRETS = (KEY_ID, SECRET, "X-Amz-", "AWS4-HMAC")
"""What is written nowhere: credentials, and what marks an address or a request as signed."""


def environment(address: str) -> dict[str, str]:
    """What a process is told of a server, as a user would tell it."""
    return {
        "AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": address, "AWS_ALLOW_HTTP": "true",
    }  # fmt: skip


@contextmanager
def s3_server(host: str = "127.0.0.1") -> Iterator[str]:
    """A server's address; it holds what it is given in memory."""
    with socket.socket() as door:
        door.bind((host, 0))
        port = door.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", host, "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _wait(f"http://{host}:{port}", process)
            yield f"http://{host}:{port}"
        finally:
            process.kill()


def _wait(address: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{address}/moto-api/", timeout=5):
            return
        time.sleep(0.1)
    raise AssertionError("moto's server does not answer")


def make_bucket(address: str, name: str) -> None:
    """A new, empty bucket."""
    urllib.request.urlopen(urllib.request.Request(f"{address}/{name}", method="PUT"), timeout=30).close()


@contextmanager
def failing_before(
    address: str,
    share: float,
    own: str = "127.0.0.1",
    seed: int = 0,
    seen: Counter[str] | None = None,
    before: Callable[[str, str], None] = lambda command, path: None,
) -> Iterator[tuple[str, list[int]]]:
    """(address, [how often it failed]) of a server that hands requests on, but for a share that it answers with 503.

    seen: counts requests by kind. before: told of each that has arrived, before it is handed on.
    """
    host = address.removeprefix("http://")
    draw, failed = random.Random(seed), [0]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def hand_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if seen is not None:
                seen["LIST" if "list-type" in self.path else self.command] += 1
            before(self.command, self.path)
            if draw.random() < share:
                failed[0] += 1
                self.answer(503, {}, b"")
                return
            onward = http.client.HTTPConnection(host, timeout=60)
            onward.request(self.command, self.path, body, dict(self.headers))
            answer = onward.getresponse()
            self.answer(answer.status, dict(answer.getheaders()), answer.read())

        def answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            length = headers.pop("Content-Length", None) if self.command == "HEAD" else None
            for name, value in headers.items():
                if name.lower() not in ("content-length", "transfer-encoding", "connection", "server", "date"):
                    self.send_header(name, value)
            self.send_header("Content-Length", length or str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = hand_on  # noqa: N815 (as http.server wants them)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer((own, 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://{own}:{server.server_address[1]}", failed
        server.shutdown()
