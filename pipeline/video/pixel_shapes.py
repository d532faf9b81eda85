"""The shapes of pixels that a stream's own headers tell, read from its packets; none of them is decoded.

ffmpeg gives every frame the shape that the file's beginning tells, so its `showinfo` does not show a change. Recordings
of television go from 4:3 to 16:9 and back between two frames of one size.
"""

import re
from collections.abc import Iterable
from fractions import Fraction

import ffmpeg

from data_catalog.base.errors import RejectedError
from pipeline.config import LimitsConfig
from pipeline.video.ffmpeg import Child, source_input

HEADERS = {"mpeg2video": 179, "h264": 7, "hevc": 33}
"""By codec the type of the unit that tells the shape: sequence header, sequence parameter set."""
FIELD = re.compile(rb"\] \d+ +(\w+)(?:\[\d+\])? +[01]+ = (\d+)\s*$")
UNIT = re.compile(rb"\] Sequence (?:Header|Parameter Set)\s*$")
LISTED = (
    "1", "1", "12/11", "10/11", "16/11", "40/33", "24/11", "20/11", "32/11", "80/33", "18/11", "15/11", "64/33",
    "160/99", "4/3", "3/2", "2",
)  # fmt: skip
"""ITU-T H.264 and H.265, table E-1: `aspect_ratio_idc` from 0 (it does not say) on."""
EXTENDED = 255
DISPLAYED = {2: Fraction(4, 3), 3: Fraction(16, 9), 4: Fraction(221, 100)}
"""ITU-T H.262, table 6-3: `aspect_ratio_information` of a whole picture; 1: of a square pixel."""


class ShapeWatch:
    """Watches the words of ffmpeg's `trace_headers`."""

    def __init__(self) -> None:
        self._fields: dict[str, int] | None = None
        self._shapes: set[Fraction] = set()

    def __call__(self, line: bytes) -> bool:
        """Take a line; none is kept."""
        if UNIT.search(line):
            self._end_unit()
            self._fields = {}
        elif self._fields is not None and (told := FIELD.search(line)):
            self._fields[told[1].decode()] = int(told[2])
        return True

    def shapes(self) -> set[Fraction]:
        """Width over height of a pixel, each that was told."""
        self._end_unit()
        return self._shapes

    def _end_unit(self) -> None:
        if self._fields:
            self._shapes.add(_shape(self._fields))
        self._fields = None


def _shape(fields: dict[str, int]) -> Fraction:
    """Of the fields of one header; 1 where it does not say."""
    if displayed := DISPLAYED.get(fields.get("aspect_ratio_information", 1)):
        return displayed * fields["vertical_size_value"] / fields["horizontal_size_value"]
    told = fields.get("aspect_ratio_idc", 0)
    if told == EXTENDED:
        width, height = fields["sar_width"], fields["sar_height"]
        return Fraction(width, height) if width and height else Fraction(1)
    return Fraction(LISTED[told]) if told < len(LISTED) else Fraction(1)


def refuse_changing_pixels(descriptor: int, codec: str, stream: int, limits: LimitsConfig) -> None:
    """Refuse a stream whose headers tell pixels of more than one shape.

    Raises:
        RejectedError: size_changes, timeout.
    """
    if codec not in HEADERS:
        return
    told = {"bsf:v": f"filter_units=pass_types={HEADERS[codec]},trace_headers"}
    output = ffmpeg.output(source_input(descriptor, limits, stream), "pipe:1", format="null", c="copy", **told)
    watch = ShapeWatch()
    child = Child(output, (descriptor,), limits, stdout=False, level="level+info", watch=watch)
    try:
        child.messages()
    finally:
        child.close()
    if child.timed_out:
        raise RejectedError("timeout", f"The packets could not be read within {limits.wall_s:g} s.")
    if len(watch.shapes()) > 1:
        raise RejectedError("size_changes", pixels_change(watch.shapes()))


def pixels_change(shapes: Iterable[Fraction]) -> str:
    """What is said of pixels of several shapes, width over height."""
    told = " and ".join(f"{shape.numerator}:{shape.denominator}" for shape in sorted(shapes)[:3])
    return f"The shape of its pixels changes within the stream ({told}): convert the file to one."
