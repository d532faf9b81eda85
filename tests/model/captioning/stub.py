"""A stand-in for vLLM, Ollama or a cloud: a real HTTP server that answers chats, and misbehaves as it is told."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from PIL import Image

Answer = tuple[int, dict[str, str], bytes]


def chat(text: Any) -> Answer:
    return 200, {}, json.dumps({"choices": [{"message": {"role": "assistant", "content": text}}]}).encode()


@dataclass
class Stub:
    """What it was asked, and how it answers: `behave(number of this clip's request, question)`, or as told."""

    url: str = ""
    questions: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0
    behave: Callable[[int, dict[str, Any]], Answer | None] = lambda number, question: None
    drip_s: float = 0.0
    """Seconds between the bytes of an answer; 0: it is sent at once."""
    delay: Callable[[dict[str, Any]], float] = lambda question: 0.0
    seen: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, question: dict[str, Any]) -> Answer:
        name = picture_name(question)
        with self.lock:
            self.questions.append(question)
            self.seen[name] += 1
            number = self.seen[name]
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        time.sleep(self.delay(question))
        try:
            return self.behave(number, question) or chat(f"  dancer\n{name} ")
        finally:
            with self.lock:
                self.at_once -= 1


def pictures_of(question: dict[str, Any]) -> list[bytes]:
    parts = question["messages"][0]["content"]
    return [base64.b64decode(p["image_url"]["url"].partition(",")[2]) for p in parts if p["type"] == "image_url"]


def picture_name(question: dict[str, Any]) -> str:
    """A name of what is shown, by which a test knows that an answer reached its clip."""
    return hashlib.sha256(b"".join(pictures_of(question))).hexdigest()[:12]


def sizes_of(question: dict[str, Any]) -> list[tuple[int, int]]:
    return [Image.open(io.BytesIO(picture)).size for picture in pictures_of(question)]


@contextmanager
def endpoint() -> Iterator[Stub]:
    stub = Stub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            stub.headers.append({name.lower(): value for name, value in self.headers.items()})
            if self.path != "/v1/chat/completions":
                status, headers, content = 404, {}, b"no such path"
            else:
                status, headers, content = stub.answer(json.loads(body))
            self.send_response(status)
            for name, value in {**headers, "content-length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            if not stub.drip_s:
                self.wfile.write(content)
                return
            with contextlib.suppress(OSError):  # nobody listens any more
                for one in content:
                    self.wfile.write(bytes([one]))
                    self.wfile.flush()
                    time.sleep(stub.drip_s)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    stub.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    try:
        yield stub
    finally:
        server.shutdown()
        server.server_close()
