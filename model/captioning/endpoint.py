"""One question to an OpenAI-compatible endpoint: tried again where that can help, and the key shown to nobody else."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from model.captioning.config import CaptionConfig
from model.errors import DataError

KEYS = ("LONGDANCE_API_KEY", "OPENAI_API_KEY")
LONGEST_WAIT_S = 60.0
MOST_CHARACTERS, MOST_BYTES = 4000, 1 << 20
"""The longest caption, and how much of an answer is read."""
OF_THE_CLIP = (400, 413, 415, 422)
"""Refusals that may be about one clip, as a content filter's: the others go on, once any was answered."""


class NoCaptionError(DataError):
    """No caption of one clip, after every try; the others go on."""


class RefusedError(DataError):
    """The endpoint will not answer any clip: the same question again is no use."""


def api_key(environment: Mapping[str, str] = os.environ) -> str | None:
    """The key, from the environment alone; None where there is none, as for a server of one's own.

    Raises DataError, which does not tell it, for one that no header can hold.
    """
    for name in KEYS:
        key = environment.get(name, "").strip()  # key files end with a line
        if key and not (key.isascii() and key.isprintable()):
            raise DataError(f"The key in {name} holds characters that no key has: copy it once more.")
        if key:
            return key
    return None


class Endpoint:
    """A place that answers chats with pictures. Threads may share it."""

    def __init__(self, config: CaptionConfig, key: str | None, sleep: Callable[[float], object] | None = None) -> None:
        self._closing = threading.Event()
        self._config, self._key, self._sleep = config, key, sleep or self._closing.wait
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._client = httpx.Client(headers=headers, timeout=config.timeout_s, follow_redirects=False)
        self._answered, self._refused = 0, 0

    def close(self) -> None:
        """Let go of the connections; threads that still wait for an answer, or to ask again, give up."""
        self._closing.set()
        self._client.close()

    def ask(self, content: list[dict[str, Any]]) -> str:
        """The answer as one line of text.

        Raises NoCaptionError after the last try, RefusedError for what no further try would change.
        """
        config, why = self._config, ""
        question = {
            "model": config.model,
            "messages": [{"role": "user", "content": content}],
            "max_tokens": config.max_tokens,
            "temperature": config.temperature,
        }
        for attempt in range(config.retries + 1):
            wait = min(LONGEST_WAIT_S, config.wait_s * 2**attempt)
            try:
                status, headers, body = self._post(question)
            except httpx.HTTPError as error:
                why = f"{type(error).__name__}: {error}"
            else:
                if status == 200:
                    self._answered += 1
                    text, why = read_answer(body)
                    if text:
                        return self._hidden(text)
                elif status == 429 or status >= 500:
                    why = f"status {status}"
                    wait = retry_after(headers, wait)
                else:
                    raise self._refusal(status, body)
            if self._closing.is_set():
                break
            if attempt < config.retries:
                self._sleep(wait)
        raise NoCaptionError(self._hidden(f"no caption after {config.retries + 1} tries ({why})"))

    def _post(self, question: dict[str, Any]) -> tuple[int, httpx.Headers, bytes]:
        """(status, headers, at most MOST_BYTES of the body), within `timeout_s` in all."""
        ends, body = time.monotonic() + self._config.timeout_s, bytearray()
        with self._client.stream("POST", f"{self._config.endpoint}/chat/completions", json=question) as answer:
            for piece in answer.iter_bytes():
                body += piece
                if len(body) > MOST_BYTES:
                    break
                if time.monotonic() > ends:
                    raise httpx.ReadTimeout(f"no whole answer within {self._config.timeout_s:g} s")
            return answer.status_code, answer.headers, bytes(body)

    def _refusal(self, status: int, body: bytes) -> DataError:
        said = self._hidden(body[:200].decode("utf-8", "replace").replace("\n", " "))
        if status in OF_THE_CLIP:
            self._refused += 1
            if self._answered or self._refused <= self._config.parallel:
                return NoCaptionError(f"refused with status {status} ({said})")
        about = f"{self._config.endpoint} answers with status {status} ({said}): "
        if status in (401, 403):
            return RefusedError(about + f"put its key into the environment variable {KEYS[0]}.")
        return RefusedError(about + f"check the address, and that it serves the vision model {self._config.model!r}.")

    def _hidden(self, text: str) -> str:
        """The text without the key, which a server may echo."""
        return text.replace(self._key, "***") if self._key else text


def retry_after(headers: httpx.Headers, otherwise: float) -> float:
    """Seconds that the server asks to wait, at most a minute."""
    try:
        return min(LONGEST_WAIT_S, max(0.0, float(headers["retry-after"])))
    except (KeyError, ValueError):
        return otherwise


def read_answer(body: bytes) -> tuple[str, str]:
    """(the caption in one line, or why there is none)."""
    if len(body) > MOST_BYTES:
        return "", f"an answer of more than {MOST_BYTES} bytes"
    try:
        content = json.loads(body)["choices"][0]["message"]["content"]
        if isinstance(content, list):  # parts, as some servers send them
            content = " ".join(part["text"] for part in content if part.get("type") == "text")
        text = " ".join(content.replace("\0", " ").split())
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
        return "", f"an answer that is no chat completion: {type(error).__name__}"
    if not text:
        return "", "an empty answer"
    if len(text) > MOST_CHARACTERS:
        return "", f"an answer of {len(text)} characters"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "", "an answer that is not text in UTF-8"
    return text, ""
