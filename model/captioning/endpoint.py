"""One question to an OpenAI-compatible endpoint: tried again where that can help, and the key shown to nobody else."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from model.captioning.config import CaptionConfig
from model.errors import DataError

KEYS = ("LONGDANCE_API_KEY", "OPENAI_API_KEY")
LONGEST_WAIT_S = 60.0
MOST_CHARACTERS = 4000


class NoCaptionError(DataError):
    """No caption of one clip, after every try; the others go on."""


class RefusedError(DataError):
    """The endpoint will not answer any clip: the same question again is no use."""


def api_key(environment: Mapping[str, str] = os.environ) -> str | None:
    """The key, from the environment alone; None where there is none, as for a server of one's own."""
    return next((environment[name] for name in KEYS if environment.get(name)), None)


class Endpoint:
    """A place that answers chats with pictures. Threads may share it."""

    def __init__(self, config: CaptionConfig, key: str | None, sleep: Callable[[float], None] = time.sleep) -> None:
        self._config, self._key, self._sleep = config, key, sleep
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._client = httpx.Client(headers=headers, timeout=config.timeout_s, follow_redirects=False)

    def close(self) -> None:
        """Let go of the connections."""
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
                answer = self._client.post(f"{config.endpoint}/chat/completions", json=question)
            except httpx.HTTPError as error:
                why = f"{type(error).__name__}: {error}"
            else:
                if answer.status_code == 200:
                    text, why = read_answer(answer)
                    if text:
                        return text
                elif answer.status_code == 429 or answer.status_code >= 500:
                    why = f"status {answer.status_code}"
                    wait = retry_after(answer, wait)
                else:
                    raise RefusedError(self._refusal(answer))
            if attempt < config.retries:
                self._sleep(wait)
        raise NoCaptionError(self._hidden(f"no caption after {config.retries + 1} tries ({why})"))

    def _refusal(self, answer: httpx.Response) -> str:
        said = self._hidden(answer.text[:200].replace("\n", " "))
        about = f"{self._config.endpoint} answers with status {answer.status_code} ({said}): "
        if answer.status_code in (401, 403):
            return about + f"put its key into the environment variable {KEYS[0]}."
        return about + f"check the address, and that it serves the vision model {self._config.model!r}."

    def _hidden(self, text: str) -> str:
        """The text without the key, which a server may echo."""
        return text.replace(self._key, "***") if self._key else text


def retry_after(answer: httpx.Response, otherwise: float) -> float:
    """Seconds that the server asks to wait, at most a minute."""
    try:
        return min(LONGEST_WAIT_S, max(0.0, float(answer.headers["retry-after"])))
    except (KeyError, ValueError):
        return otherwise


def read_answer(answer: httpx.Response) -> tuple[str, str]:
    """(the caption in one line, or why there is none)."""
    try:
        content = answer.json()["choices"][0]["message"]["content"]
        if isinstance(content, list):  # parts, as some servers send them
            content = " ".join(part["text"] for part in content if part.get("type") == "text")
        text = " ".join(content.replace("\0", " ").split())
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
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
