"""From what a user typed to a checked config: one sentence per mistake."""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from data_catalog.base.errors import LongdanceError
from data_catalog.base.settings import explain_settings, nearest_name

Model = TypeVar("Model", bound=BaseModel)


def resolve(model: type[Model], file: Path | None, flags: Mapping[str, Any], settings: Iterable[str]) -> Model:
    """The model's defaults, overlaid by a JSON file, then `--set name=value` settings, then flags that were given.

    Args:
        flags: Dotted field name to value; None means not given.
        settings: Texts like `crop.margin=0.05`.

    Raises:
        LongdanceError: an unknown name or a value that does not fit, in one sentence.
    """
    values: dict[str, Any] = _read(file) if file else {}
    overlay(values, settings)
    for name, value in flags.items():
        if value is not None:
            _put(values, name, value)
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise LongdanceError(explain_settings(error, model)) from error


def overrides(settings: Iterable[str]) -> dict[str, Any]:
    """`--set NAME=VALUE` texts as nested values.

    Raises:
        LongdanceError: a text without "=".
    """
    values: dict[str, Any] = {}
    overlay(values, settings)
    return values


def sections(values: dict[str, Any], names: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """Values of `prune` by their section, each there though empty.

    Raises:
        LongdanceError: a value of no section, or of another one.
    """
    for name, value in values.items():
        if name not in names or not isinstance(value, dict):
            near = nearest_name(name, [row[0] for row in settings_of("prune")])
            meant = f" (did you mean {near!r}?)" if near else ""
            begins = f"it begins with one of {', '.join(names)} and a dot{meant}."
            raise LongdanceError(f"Unknown setting {name!r}: {begins}")
    return {name: values.get(name, {}) for name in names}


def overlay(values: dict[str, Any], settings: Iterable[str]) -> None:
    """Put `--set NAME=VALUE` texts into nested values.

    Raises:
        LongdanceError: a text without "=".
    """
    for text in settings:
        name, separator, value = text.partition("=")
        if not separator:
            raise LongdanceError(f"--set {text!r} has no '=': write --set NAME=VALUE, for example crop.margin=0.05.")
        _put(values, name, _value(name, value))


def _read(file: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(file.read_text()))
    except (OSError, TypeError, ValueError) as error:
        raise LongdanceError(f"{str(file)!r} is not readable JSON config: {error}.") from error


_PLACEHOLDER = re.compile(r"\{\w+\}")


def _value(name: str, text: str) -> Any:
    """A list or an object in JSON, `none`, or the text as it is, which its field will read; text may begin with a
    placeholder, as in `{frames} frames`."""
    if text == "none":
        return None
    if not text.startswith(("[", "{")) or _PLACEHOLDER.match(text):
        return text
    try:
        return json.loads(text)
    except ValueError as error:
        raise LongdanceError(f"--set {name}={text} is not JSON ({error}): write a list as [1, 2].") from error


def _put(values: dict[str, Any], name: str, value: Any) -> None:
    *sections, field = name.split(".")
    for section in sections:
        values = values.setdefault(section, {})
        if not isinstance(values, dict):
            raise LongdanceError(f"--set {name}: {section!r} is a value already, and has no settings of its own.")
    values[field] = value


def defaults_table(model: type[BaseModel], prefix: str = "") -> list[tuple[str, str, str]]:
    """(dotted name, default, meaning) of every setting."""
    rows: list[tuple[str, str, str]] = []
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            rows += defaults_table(field.annotation, f"{prefix}{name}.")
        else:
            default = "" if field.is_required() else _shown(field.get_default(call_default_factory=True))
            rows.append((prefix + name, default, " ".join((field.description or "").split())))
    return rows


def _shown(default: Any) -> str:
    """A default as `--set` takes it."""
    if isinstance(default, tuple):
        return ",".join(str(part) for part in default) or "none"
    return str(default).lower() if isinstance(default, bool) or default is None else str(default) or '""'


def settings_of(command: str) -> list[tuple[str, str, str]]:
    """(name, default, meaning) of everything that `--set` of a command takes."""
    from model.choreography.config import ChoreographerConfig, DanceConfig
    from model.config import EncodeConfig, TrainConfig
    from model.rollout.config import SamplingConfig
    from model.scoring.policy import Policy, ScoreConfig
    from pipeline.config import BuildConfig

    tables: dict[str, list[tuple[str, type[BaseModel]]]] = {
        "build": [("", BuildConfig)],
        "encode": [("encode.", EncodeConfig)],
        "train": [("", TrainConfig)],
        "train choreographer": [("", ChoreographerConfig)],
        "choreograph": [("", DanceConfig)],
        "score": [("", ScoreConfig)],
        "prune": [("policy.", Policy), ("scoring.", ScoreConfig)],
        "generate": [("", SamplingConfig)],
    }
    rows = [row for prefix, model in tables[command] for row in defaults_table(model, prefix)]
    if command == "prune":
        rows.append(("fit.NAME", "", "Any setting of `train`, for the two runs that an irreducible loss comes from."))
    return rows
