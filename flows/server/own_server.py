"""A Prefect server for one command: it ends with the process that started it, however that ends.

usage: python -m flows.server.own_server SOCKET PARENT [FOLDER]    (started by `OwnServer`, not by people)
"""

import atexit
import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from data_catalog.base.processes import end_with

LOCAL = ("127.0.0.1", "localhost")
STARTUP_S = 120.0
SILENCE_S = 3.0
"""After so many seconds of waiting it is said what is waited for."""


class StartError(Exception):
    """The server ended, or did not answer in time; the message is the last line it wrote."""


class OwnServer:
    """A server in a process of its own, at `url`; `private` is a folder of its own that is removed with it."""

    def __init__(self, environment: Mapping[str, str], private: Path | None = None) -> None:
        """Start it and wait until it answers. Raises StartError."""
        with socket.socket() as door:
            door.bind(("127.0.0.1", 0))
            self.url = f"http://127.0.0.1:{door.getsockname()[1]}/api"
            self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 (as long as the server)
            command = [sys.executable, "-m", "flows.server.own_server", str(door.fileno()), str(os.getpid())]
            self._process = subprocess.Popen(
                [*command, *([str(private)] if private else [])], pass_fds=[door.fileno()], start_new_session=True,
                env=_server_environment(environment, self.url), stdin=subprocess.DEVNULL,
                stdout=self._log, stderr=self._log,
            )  # fmt: skip
        self._private = private
        atexit.register(self.stop)
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise

    def _wait(self) -> None:
        begun, told = time.monotonic(), False
        while (waited := time.monotonic() - begun) < STARTUP_S:
            if waited > SILENCE_S and not told and self._private is None:  # else one sentence was said already
                told = True
                print("Prefect's server, which shows this run, is starting: some seconds.", file=sys.stderr, flush=True)
            if self._process.poll() is not None:
                raise StartError(self._last_line() or f"it ended with exit code {self._process.returncode}")
            with contextlib.suppress(OSError), _direct().open(f"{self.url}/health", timeout=5) as answer:
                if answer.status == 200:
                    return
            time.sleep(0.1)
        raise StartError(f"it did not answer for {STARTUP_S:.0f} s")

    def _last_line(self) -> str:
        self._log.seek(0)
        lines = [line.strip() for line in self._log if line.strip()]
        told = [line for line in lines if "Application startup failed" not in line and not line.startswith("ERROR:")]
        raised = [line for line in told if re.match(r"[\w.]+(Error|Exception|Refused)\b", line)]
        return (raised or told or lines or [""])[-1][:300]

    def stop(self) -> None:
        """End it, and remove its private folder. Safe to call twice."""
        self._process.kill()  # its database stands a kill -9, and nobody waits for its goodbyes
        self._process.wait()
        if self._private:
            shutil.rmtree(self._private, ignore_errors=True)


def never_proxied() -> None:
    """Have no proxy of the user's, which stands elsewhere, asked for what is on this machine; nor by children."""
    for name in ("no_proxy", "NO_PROXY"):  # of two spellings a program reads one
        known = [place for place in os.environ.get(name, "").split(",") if place]
        os.environ[name] = ",".join([*known, *(place for place in LOCAL if place not in known)])


def _direct() -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(urllib.request.ProxyHandler({}))


def _server_environment(environment: Mapping[str, str], url: str) -> dict[str, str]:
    """As Prefect's own temporary server is started: no page, no services but what runs need."""
    own = {"PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_EPHEMERAL": "1", "PREFECT__SERVER_FINAL": "1"}
    return {**environment, **own, "PREFECT_API_URL": url}


def main() -> None:
    """Serve on a socket that was bound by the parent."""
    door, parent, private = int(sys.argv[1]), int(sys.argv[2]), (sys.argv[3] if len(sys.argv) > 3 else None)
    end_with(parent, private)
    import uvicorn

    uvicorn.run("prefect.server.api.server:create_app", factory=True, fd=door, log_level="error", lifespan="on")


if __name__ == "__main__":
    main()
