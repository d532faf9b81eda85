"""Width x height, in one word: how large a picture is, as people write it and as code needs it."""

import re
from typing import NamedTuple, Self

_TEXT = re.compile(r"(\d{1,5})(?:x(\d{1,5}))?")


class PictureSize(NamedTuple):
    """Pixels. Its text is `384x640`."""

    width: int
    height: int

    @classmethod
    def parse(cls, text: str | int) -> Self:
        """`384x640`, or `512` for a square.

        Raises:
            ValueError: it is neither.
        """
        found = _TEXT.fullmatch(str(text).strip())
        if found is None or "0" in (found[1], found[2]):
            raise ValueError(f"write width x height as 384x640, or 512 for a square: {text!r} is neither")
        return cls(int(found[1]), int(found[2] or found[1]))

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"

    @property
    def short(self) -> int | str:
        """A number where it is a square, as it was written before there were other shapes; else its text."""
        return self.width if self.width == self.height else str(self)

    @property
    def aspect(self) -> float:
        """Width over height."""
        return self.width / self.height

    @property
    def area(self) -> int:
        """Width times height."""
        return self.width * self.height

    def resembles(self, other: "PictureSize") -> bool:
        """Whether the two have exactly the same aspect."""
        return self.width * other.height == self.height * other.width
