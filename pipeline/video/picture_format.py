"""What changes within a stream: size, pixel format and the pixels' shape, as `showinfo` says them of every frame."""

import re
from dataclasses import dataclass
from fractions import Fraction

from data_catalog.base.errors import RejectedError
from pipeline.video.pixel_shapes import pixels_change

FRAME = re.compile(rb"\[Parsed_showinfo\S+ @ \S+\] \[info\] n: *\d+ .* fmt:(\w+) .*sar:(\d+)/(\d+) s:(\d+)x(\d+) i:")
MAX_SIZES = 6  # each costs a decode
MAX_CHANGES = 100


@dataclass(frozen=True)
class PictureFormat:
    """How frames come out of the decoder."""

    width: int
    height: int
    pix_fmt: str


@dataclass(frozen=True)
class FormatSpan:
    """Frames [start, end) of one format."""

    start: int
    end: int
    format: PictureFormat

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        return self.format.height, self.format.width


class FormatWatch:
    """Watches `showinfo`'s words: counts frames and notes those that begin another format."""

    def __init__(self) -> None:
        self.frames = 0
        self.shapes: set[tuple[int, int]] = set()  # (width, height) of a pixel
        self.starts: list[tuple[int, PictureFormat]] = []

    def __call__(self, line: bytes) -> bool:
        """Take a line; false for an error, which others want to read."""
        if found := FRAME.match(line):
            self.shapes.add((int(found[2]), int(found[3])) if found[2] != b"0" else (1, 1))  # 0: it does not say
            format_ = PictureFormat(int(found[4]), int(found[5]), found[1].decode())
            if (not self.starts or self.starts[-1][1] != format_) and len(self.starts) <= MAX_CHANGES:
                self.starts.append((self.frames, format_))
            self.frames += 1
            return True
        return re.search(rb"\[(error|fatal|panic)\]", line) is None

    @property
    def changed(self) -> bool:
        """Whether more than one format was seen so far."""
        return len(self.starts) > 1 or len(self.shapes) > 1

    def sizes(self) -> list[tuple[int, int, int]]:
        """(first frame, height, width) wherever the size changes; formats within a kept graph are not told apart."""
        changes: list[tuple[int, int, int]] = []
        for start, format_ in self.starts:
            if not changes or changes[-1][1:] != (format_.height, format_.width):
                changes.append((start, format_.height, format_.width))
        return changes

    def spans(self, rotated: bool) -> list[FormatSpan]:
        """The frames between changes, all of them.

        Raises:
            RejectedError: `size_changes`, in a way that cannot be followed.
        """
        sizes = {(format_.width, format_.height) for _, format_ in self.starts}
        if len(self.shapes) > 1:
            raise RejectedError("size_changes", pixels_change(Fraction(*shape) for shape in self.shapes))
        square = self.shapes <= {(1, 1)}
        if rotated or not square or len(sizes) > MAX_SIZES or len(self.starts) > MAX_CHANGES:
            also = "; its pixels are not square" if not square else "; it is stored turned" if rotated else ""
            raise RejectedError(
                "size_changes",
                f"The picture's size or pixel format changes {len(self.starts) - 1} times, among {len(sizes)} "
                f"sizes{also}: convert the file to one size.",
            )
        ends = [start for start, _ in self.starts[1:]] + [self.frames]
        return [FormatSpan(start, end, format_) for (start, format_), end in zip(self.starts, ends)]
