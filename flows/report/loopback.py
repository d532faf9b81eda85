"""What keeps a local server local: loopback alone, requests to our own name, writes from our own page."""

import asyncio
import contextlib
import socket

from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from data_catalog.base.errors import LongdanceError

HOST = "127.0.0.1"
NAMES = ("127.0.0.1", "localhost")
SAFE_HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}


class Guard:
    """Refuses a request whose Host is not this server's, and a write that did not come from its own page."""

    def __init__(self, app: ASGIApp, port: int) -> None:
        self.app = app
        self.hosts = {f"{name}:{port}" for name in NAMES} | (set(NAMES) if port == 80 else set())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers = Headers(scope=scope)
        refusal = self.refusal(scope["method"], headers)

        async def safe(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] += [(k.encode(), v.encode()) for k, v in SAFE_HEADERS.items()]
            await send(message)

        answer: ASGIApp = self.app if refusal is None else JSONResponse({"error": refusal}, status_code=403)
        with contextlib.suppress(asyncio.CancelledError):  # the server ends: nobody waits for the answer
            await answer(scope, receive, safe)

    def refusal(self, method: str, headers: Headers) -> str | None:
        """Why a request is refused, or None."""
        if headers.get("host", "") not in self.hosts:
            return "This server answers under 127.0.0.1 and localhost alone."
        origin = headers.get("origin")
        ours = {f"http://{host}" for host in self.hosts}
        if method not in ("GET", "HEAD"):
            if origin not in ours:
                return "A decision must come from this server's own page."
        elif origin is not None and origin not in ours:
            return "Another site's page may not read this."
        return None


def listen(port: int) -> socket.socket:
    """A socket on loopback; port 0 takes a free one.

    Raises:
        LongdanceError: the port is taken.
    """
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port))
        listening.listen(128)
    except OSError as error:
        listening.close()
        raise LongdanceError(f"Port {port} cannot be used ({error.strerror}): choose another with --port.") from error
    return listening


def ranged(data: bytes, wanted: str | None, kind: str) -> Response:
    """Bytes, or the one range of them that was asked for (RFC 9110, 14.2): a player seeks by it."""
    headers = {"accept-ranges": "bytes"}
    if wanted is None or not wanted.startswith("bytes=") or "," in wanted:
        return Response(data, media_type=kind, headers=headers)
    first, _, last = wanted.removeprefix("bytes=").strip().partition("-")
    if not (first + last).isdecimal() or len(first + last) > 30:
        return Response(data, media_type=kind, headers=headers)
    begin = int(first) if first else max(0, len(data) - int(last))
    end = min(int(last), len(data) - 1) if first and last else len(data) - 1
    if begin > end:
        return Response(status_code=416, headers={"content-range": f"bytes */{len(data)}"})
    headers["content-range"] = f"bytes {begin}-{end}/{len(data)}"
    return Response(data[begin : end + 1], status_code=206, media_type=kind, headers=headers)
