"""`longdance serve`: the page live from the catalog, on loopback alone. It reads, and with a token it marks clips.

What a web page elsewhere could try, and what stops it: a name that points to 127.0.0.1 (the Host must be ours), a
form or a fetch from another site (the Origin must be ours, and a token that no other page knows), a frame (refused).
Another user of the same machine can read, not write: the token is in the printed address alone.
"""

import contextlib
import functools
import getpass
import logging
import os
import secrets
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from data_catalog.base.errors import LongdanceError
from data_catalog.base.paths import DataFolder
from data_catalog.base.rollout_paths import files_of
from data_catalog.connection import open_catalog
from flows.catalog.decisions import check_text, decide, merge_recorded
from flows.catalog.own_captions import write_own_caption
from flows.report.loopback import HOST, Guard, listen, ranged
from flows.report.page_data import FRAME, POSTER, PREVIEW, STORED, page_data
from flows.report.pictures import build_config, copy_rollouts, jobs_for
from flows.report.posters import KINDS, draw_pictures, picture_path
from flows.report.render import render
from flows.report.stored_clip import stored_video

MAX_BODY_BYTES = 1 << 20
DRAWING = 2  # clips that are pictured at the same time
KEPT = 8  # videos, a megabyte each
TYPES = {".jpg": "image/jpeg", ".mp4": "video/mp4", ".webm": "video/webm", ".gif": "image/gif"}
logger = logging.getLogger(__name__)


class Server:
    """One data set, its token, and the pictures that are made as they are asked for."""

    def __init__(self, data: DataFolder, token: str, who: str) -> None:
        self.data, self.token, self.who = data, token, who
        self.media = files_of(data.report)
        self._page: tuple[str, str] = ("", "")
        self._page_begun = 0.0
        self._page_lock = threading.Lock()
        self._clip_locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._drawing = threading.Semaphore(DRAWING)
        self._videos = functools.lru_cache(KEPT)(lambda clip_id, stamp: stored_video(data, clip_id))

    def stamp(self) -> str:
        """Changes whenever the catalog does."""
        stat = self.data.catalog.stat()
        return f"{stat.st_mtime_ns:x}-{stat.st_size:x}"

    def page(self) -> str:
        """The page as the catalog is now; made again only when that has changed.

        Who waited while one was begun takes that one: beside a build each of many readers would else make its own.
        """
        asked = time.monotonic()
        with self._page_lock:
            stamp = self.stamp()
            if stamp != self._page[0] and self._page_begun <= asked:
                self._page_begun = time.monotonic()
                copy_rollouts(self.data, self.media)
                value = page_data(self.data, "serve", "media/", self._there) | {"stamp": stamp}
                self._page = (stamp, render(value))
            return self._page[1]

    def _there(self, clips: pa.Table) -> np.ndarray:
        """(clips,) what can be shown of each: made on request, out of the shard or the source."""
        with open_catalog(self.data.catalog, read_only=True) as con:
            paths = dict(con.execute("SELECT source_id, min(path) FROM paths GROUP BY ALL").fetchall())
        there = {source for source, path in paths.items() if os.path.isfile(bytes(path))}  # noqa: PTH113 (bytes)
        stored = np.array(clips["stored"].to_pylist(), bool)
        source = np.array([source_id in there for source_id in clips["source_id"].to_pylist()], bool)
        has = (stored | source) * np.uint8(POSTER | PREVIEW) + source * np.uint8(FRAME) + stored * np.uint8(STORED)
        return np.asarray(has, np.uint8)

    def picture(self, kind: str, name: str) -> Path | None:
        """The file of a clip's picture, made now if it is not there; None where it cannot be made."""
        clip_id = name.rpartition(".")[0]
        try:
            path = picture_path(self.media, kind, clip_id)
        except ValueError:
            return None
        if path.name != name:
            return None
        jobs = [] if path.is_file() else jobs_for(self.data, clip_id)
        if jobs:
            with self._clip_locks[clip_id], self._drawing:
                if not path.is_file():
                    config = build_config(self.data)
                    for source_id, source, wanted in jobs:
                        draw_pictures(self.data, self.media, source_id, source, wanted, config, (kind,))
        return path if path.is_file() else None

    def video(self, clip_id: str) -> bytes | None:
        """A stored clip with its sound; asked for in parts, so the last ones are kept."""
        return self._videos(clip_id, self.stamp())

    def mark(self, body: Any) -> dict[str, Any]:
        """Store a decision. Raises LongdanceError for one that does not fit."""
        fits = isinstance(body, dict) and isinstance(body.get("clips"), list)
        if not fits or not all(isinstance(clip, str) for clip in body["clips"]):
            raise LongdanceError("A decision is JSON like {clips: [clip ids], decision: keep, why: text}.")
        why = body.get("why", "")
        if not isinstance(why, str):
            raise LongdanceError(f"why is {why!r}: expected a text.")
        stored = decide(self.data, body["clips"], str(body.get("decision")), self.who, why)
        return stored | {"stamp": self.stamp()}

    def caption(self, body: Any) -> dict[str, Any]:
        """Store a clip's own caption. Raises LongdanceError for one that does not fit."""
        if not isinstance(body, dict) or not all(isinstance(body.get(name), str) for name in ("clip", "caption")):
            raise LongdanceError("A caption is JSON like {clip: clip id, caption: text}.")
        stored = write_own_caption(self.data, body["clip"], body["caption"])
        self._page = ("", "")  # the catalog's stamp does not tell that the page is another
        return stored


def make_app(server: Server, port: int) -> ASGIApp:
    """The routes, behind the guard."""

    async def home(request: Request) -> Response:
        return HTMLResponse(await run_in_threadpool(server.page), headers={"cache-control": "no-store"})

    async def stamp(request: Request) -> Response:
        return JSONResponse({"stamp": server.stamp()}, headers={"cache-control": "no-store"})

    async def picture(request: Request) -> Response:
        kind, name = request.path_params["kind"], request.path_params["name"]
        if kind not in KINDS or name[:2] != request.path_params["prefix"]:
            return _missing()
        path = await run_in_threadpool(server.picture, kind, name)
        return FileResponse(path, media_type=TYPES[path.suffix]) if path else _missing()

    async def rollout(request: Request) -> Response:
        path = server.media / "rollouts" / request.path_params["name"]
        named = path.suffix in TYPES and path.name.isascii() and path.stem.isalnum() and len(path.name) < 100
        known = named and path.is_file() and not path.is_symlink()
        return FileResponse(path, media_type=TYPES[path.suffix]) if known else _missing()

    async def video(request: Request) -> Response:
        clip_id = request.path_params["name"].removesuffix(".mp4")
        data = await run_in_threadpool(server.video, clip_id)
        return _missing() if data is None else ranged(data, request.headers.get("range"), "video/mp4")

    async def decisions(request: Request) -> Response:
        return await _posted(request, server.token, server.mark)

    async def captions(request: Request) -> Response:
        return await _posted(request, server.token, server.caption)

    async def broken(request: Request, error: Exception) -> Response:
        logger.error("%s %s: %s", request.method, request.url.path, error)
        return _error(str(error) if isinstance(error, LongdanceError) else "A fault of longdance.", 500)

    return Guard(
        Starlette(
            routes=[
                Route("/", home),
                Route("/api/stamp", stamp),
                Route("/api/decisions", decisions, methods=["POST"]),
                Route("/api/captions", captions, methods=["POST"]),
                Route("/media/rollouts/{name}", rollout),
                Route("/media/videos/{prefix}/{name}", video),
                Route("/media/{kind}/{prefix}/{name}", picture),
            ],
            exception_handlers={Exception: broken, LongdanceError: broken},
        ),
        port,
    )


async def _posted(request: Request, token: str, act: Callable[[Any], dict[str, Any]]) -> Response:
    """What a page writes: with the token, as JSON, of limited length."""
    if not secrets.compare_digest(request.headers.get("x-longdance-token", "").encode(), token.encode()):
        return _error("A decision needs the token: open the address that `longdance serve` printed.", 403)
    if request.headers.get("content-type", "").partition(";")[0] != "application/json":
        return _error("A decision is sent as application/json.", 415)
    if int(request.headers.get("content-length") or MAX_BODY_BYTES + 1) > MAX_BODY_BYTES:
        return _error("A decision is at most 1 MiB, with its length stated.", 413)
    try:
        return JSONResponse(await run_in_threadpool(act, await request.json()))
    except (ValueError, RecursionError, ClientDisconnect):
        return _error("The decision is not JSON that can be read.", 400)
    except LongdanceError as error:
        return _error(str(error), 400)


def _missing() -> Response:
    return PlainTextResponse("There is no such thing here.", status_code=404)


def _error(sentence: str, status: int) -> Response:
    return JSONResponse({"error": sentence}, status_code=status)


def serve(data: DataFolder, port: int, who: str | None, say: Callable[[str], None]) -> None:
    """Serve until Ctrl-C; `say` is told the address with the token.

    Raises:
        LongdanceError: the port is taken, or there is no name that decisions can be signed with.
    """
    import uvicorn

    server = Server(data, secrets.token_urlsafe(24), who or _user())
    check_text("name", server.who)
    if not server.who.strip():
        raise LongdanceError("The name for decisions is empty: give one with --who.")
    merge_recorded(data)
    # Ctrl-C is the way to end it.
    with contextlib.suppress(KeyboardInterrupt), listen(port) as listening:
        bound = int(listening.getsockname()[1])
        server.page()  # so that the first visit need not wait for it
        config = uvicorn.Config(
            make_app(server, bound), log_level="critical", access_log=False, server_header=False, lifespan="off",
            timeout_graceful_shutdown=1,
        )  # fmt: skip
        running = uvicorn.Server(config)
        # Before the address is told: a Ctrl-C while uvicorn starts would be lost between asyncio's handler and its own.
        signal.signal(signal.SIGINT, lambda number, frame: setattr(running, "should_exit", True))
        say(f"http://{HOST}:{bound}/?token={server.token}")
        running.run(sockets=[listening])


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError) as error:
        raise LongdanceError("Your user has no name on this machine: give one with --who.") from error
