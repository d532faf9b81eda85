"""Bytes made from other bytes: cut, doubled, flipped, spliced, and with words that a parser might act on."""

import json
import random
from collections.abc import Callable, Sequence
from typing import Any

NUMBERS = (0, 1, 127, 128, 255, 256, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63)
VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 1, 10**30, -(2**63), 1e308, "", "x" * 5000, "\x00", "\ud800", "../..", [], {}, [[]], {"a": {}},
    [None], float("nan"), float("inf"),
)  # fmt: skip


class Mutator:
    """Draws mutants; the same seed draws the same ones."""

    def __init__(self, seeds: Sequence[bytes], words: Sequence[bytes], seed: int) -> None:
        self.seeds, self.words, self.random = list(seeds), list(words), random.Random(seed)
        self.ways: tuple[Callable[[bytearray], None], ...] = (
            self._flip, self._flip, self._cut, self._remove, self._double, self._number, self._word, self._splice,
            self._zero,
        )  # fmt: skip

    def draw(self) -> bytes:
        """One mutant: of a JSON seed every third time another value in its place."""
        content = self.random.choice(self.seeds)
        if self.random.random() < 0.35 and (changed := self._json(content)) is not None:
            return changed
        mutant = bytearray(content)
        for _ in range(self.random.choice((1, 1, 1, 2, 4, 16))):
            self.random.choice(self.ways)(mutant)
        return bytes(mutant)

    def _at(self, content: bytearray) -> int:
        """A place; the first bytes, where headers are, as often as all others."""
        near = min(len(content), 600) if self.random.random() < 0.5 else len(content)
        return self.random.randrange(near + 1)

    def _flip(self, content: bytearray) -> None:
        at = self._at(content)
        if at < len(content):
            content[at] ^= 1 << self.random.randrange(8)

    def _cut(self, content: bytearray) -> None:
        del content[self._at(content) :]

    def _remove(self, content: bytearray) -> None:
        at = self._at(content)
        del content[at : at + self.random.choice((1, 4, 16, 512))]

    def _double(self, content: bytearray) -> None:
        at = self._at(content)
        content[at:at] = content[at : at + self.random.choice((1, 4, 64, 512))] * self.random.choice((1, 2, 50))

    def _number(self, content: bytearray) -> None:
        at, size = self._at(content), self.random.choice((1, 2, 4, 8))
        value = self.random.choice(NUMBERS) % 2 ** (8 * size)
        content[at : at + size] = value.to_bytes(size, self.random.choice(("little", "big")))

    def _word(self, content: bytearray) -> None:
        at, word = self._at(content), self.random.choice(self.words)
        content[at : at + self.random.choice((0, len(word)))] = word

    def _splice(self, content: bytearray) -> None:
        other = self.random.choice(self.seeds)
        at, place = self._at(content), self.random.randrange(len(other) + 1)
        content[at:] = other[place:]

    def _zero(self, content: bytearray) -> None:
        at = self._at(content)
        content[at : at + 256] = bytes(len(content[at : at + 256]))

    def _json(self, content: bytes) -> bytes | None:
        """A JSON text with one value or name changed; None if it is none."""
        try:
            value = json.loads(content)
        except ValueError:
            return None
        holders = [one for one in _holders(value) if one]
        if not holders:
            return None
        holder = self.random.choice(holders)
        key = self.random.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
        if self.random.random() < 0.3:
            del holder[key]
        else:
            holder[key] = self.random.choice(VALUES)
        return json.dumps(value).encode()


def _holders(value: Any) -> list[Any]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    here = [value] if isinstance(value, dict | list) else []
    return here + [holder for one in inner for holder in _holders(one)]
