"""The base of every config: immutable, strict, named by its content; old names work, mistakes read plainly."""

from __future__ import annotations

import difflib
import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from data_catalog.base.files import sha256_json

logger = logging.getLogger(__name__)


class Settings(BaseModel):
    """Frozen, an unknown name is an error, and no number is infinite or NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)

    renamed: ClassVar[dict[str, str]] = {}
    """Names that fields had before, and what they are called now. An old one is taken, with a notice."""

    @model_validator(mode="before")
    @classmethod
    def _take_old_names(cls, values: Any) -> Any:
        if not isinstance(values, dict) or not cls.renamed.keys() & values.keys():
            return values
        values = dict(values)
        for old in sorted(cls.renamed.keys() & values.keys()):
            new = cls.renamed[old]
            if new in values:
                raise ValueError(f"{old!r} is the old name of {new!r}, and both are given: leave {old!r} out")
            values[new] = values.pop(old)
            logger.warning("Setting %r of %s is called %r now: the old name works until 0.3.", old, cls.__name__, new)
        return values

    @property
    def hash(self) -> str:
        """Hex sha256 of every field's value."""
        return sha256_json(self.model_dump(mode="json"))

    def key(self, *more: object) -> str:
        """16 hex digits that name this config together with `more` (ids, code versions)."""
        text = json.dumps([self.model_dump(mode="json"), *more], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def explain_settings(error: ValidationError, kind: type[BaseModel], prefix: str = "") -> str:
    """One sentence for each setting of `kind` that is wrong; `prefix` stands before its name."""
    return " ".join(_sentence(item, setting_names(kind), prefix) for item in error.errors())


def setting_names(kind: type[BaseModel], prefix: str = "") -> list[str]:
    """Every setting's dotted name."""
    names: list[str] = []
    for name, field in kind.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, BaseModel):
            names += setting_names(section, f"{prefix}{name}.")
        else:
            names.append(prefix + name)
    return names


def nearest_name(name: str, known: Sequence[str]) -> str | None:
    """The known dotted name that was most likely meant; None where none is near.

    The whole name counts, then its last part alone: `threshold.blur`, `blur` and `camera.blurr` mean
    `thresholds.blur`.
    """
    whole = difflib.get_close_matches(name, known, 1, 0.8)
    if whole:
        return whole[0]
    leaf = name.rpartition(".")[2]
    of_leaf: dict[str, list[str]] = {}
    for one in known:
        of_leaf.setdefault(one.rpartition(".")[2], []).append(one)
    for near in difflib.get_close_matches(leaf, of_leaf, 1, 0.75):
        return max(of_leaf[near], key=lambda one: difflib.SequenceMatcher(None, name, one).ratio())
    return next(iter(difflib.get_close_matches(name, known, 1)), None)


def _leaves(name: str, value: Any) -> Iterator[str]:
    """The dotted names of what was given under a name that does not exist."""
    if not isinstance(value, dict) or not value:
        yield name
        return
    for key, inner in value.items():
        yield from _leaves(f"{name}.{key}", inner)


def _unknown(name: str, known: list[str], prefix: str) -> str:
    near = nearest_name(name, known)
    advice = f"did you mean {prefix + near!r}?" if near else "remove it or fix its spelling."
    return f"Unknown setting {prefix + name!r}: {advice}"


def _sentence(item: Any, known: list[str], prefix: str) -> str:
    name = ".".join(str(part) for part in item["loc"])
    if item["type"] == "extra_forbidden":
        return " ".join(_unknown(leaf, known, prefix) for leaf in _leaves(name, item["input"]))
    shown = (prefix + name).rstrip(".") or "config"
    parts = [prefix + one for one in known if one.startswith(f"{name}.")]
    if item["type"] == "model_type" and parts:
        return f"Setting {shown!r} has settings of its own: set {' or '.join(parts[:3])}."
    given = "" if isinstance(item["input"], dict) else f" is {item['input']!r}"
    return f"Setting {shown!r}{given}: {item['msg'].removeprefix('Value error, ')}."
