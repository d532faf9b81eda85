"""What can be set about captions, with its defaults."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator

from data_catalog.base.files import sha256_json
from data_catalog.base.settings import Settings, explain_settings
from model.errors import ConfigError

SET_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
PROMPT = (
    "These are {frames} frames of one dance clip of {seconds} seconds, in order. Describe in one or two plain "
    "sentences who dances, how the body moves from beginning to end, the clothes, the place and the light. "
    "Begin with the dancer."
)


class CaptionConfig(Settings):
    """Whom to ask, what, and how hard to try."""

    endpoint: str
    """Address up to and with `/v1`, as http://127.0.0.1:8000/v1 (vLLM) or http://127.0.0.1:11434/v1 (Ollama)."""
    model: str = Field(min_length=1)
    """Name of the model, as the endpoint knows it."""
    prompt: str = PROMPT
    """What is asked; {frames} and {seconds} are filled in."""
    frames: int = Field(8, ge=1, le=64)
    """Frames of a clip that are sent, evenly spaced."""
    longest: int = Field(512, ge=32, le=2048)
    """Longer side of a frame as it is sent, in pixels; a smaller one is not enlarged."""
    max_tokens: int = Field(200, ge=1)
    """Longest answer."""
    temperature: float = Field(0.0, ge=0, le=2)
    parallel: int = Field(4, ge=1, le=64)
    """Requests at a time."""
    retries: int = Field(5, ge=0, le=20)
    """Further tries after 429, a server's error, a lost connection or an answer that is none."""
    wait_s: float = Field(1.0, ge=0)
    """Before the second try; doubled before each further one, at most a minute, unless the server says how long."""
    timeout_s: float = Field(120.0, gt=0)
    """Of one request."""
    name: str | None = None
    """Of the set; without one, made of the model and of what it is asked."""

    @field_validator("endpoint")
    @classmethod
    def _plain(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("an address like http://127.0.0.1:8000/v1 is expected")
        return value.rstrip("/")

    @field_validator("prompt")
    @classmethod
    def _fills(cls, value: str) -> str:
        try:
            value.format(frames=1, seconds=1.0)
        except (KeyError, IndexError, ValueError) as error:
            raise ValueError(f"only {{frames}} and {{seconds}} can be filled in ({error!r})") from error
        return value

    @field_validator("name")
    @classmethod
    def _file_name(cls, value: str | None) -> str | None:
        if value is not None and not SET_NAME.fullmatch(value):
            raise ValueError("use letters, digits, dots, dashes and underscores")
        return value

    @property
    def set_name(self) -> str:
        """The set that the captions go into: another question is another set."""
        plain = re.sub(r"[^A-Za-z0-9.]+", "-", self.model).strip("-.")[:60] or "model"
        asked = self.model_dump(include={"model", "prompt", "frames", "longest", "max_tokens", "temperature"})
        return self.name or f"{plain}-{sha256_json(asked)[:8]}"


def caption_config(**given: Any) -> CaptionConfig:
    """A checked config. Raises ConfigError, in one sentence, which tells no key."""
    address = str(given.get("endpoint"))
    try:
        urlsplit(address).port  # noqa: B018 (it is read when it is asked for)
    except ValueError as error:
        raise ConfigError("The endpoint is no address: write it like http://127.0.0.1:8000/v1.") from error
    if "@" in address or "?" in address or "#" in address:
        raise ConfigError(
            "The endpoint's address holds more than an address: the key comes from the environment (LONGDANCE_API_KEY)."
        )
    try:
        return CaptionConfig.model_validate(given)
    except ValidationError as error:
        raise ConfigError(explain_settings(error, CaptionConfig)) from error
