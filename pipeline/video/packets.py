"""What a file's streams hold, by reading their packets and decoding none."""

from collections.abc import Sequence
from dataclasses import dataclass

import ffmpeg
import numpy as np

from data_catalog.base.errors import RejectedError
from pipeline.config import LimitsConfig
from pipeline.video.ffmpeg import Child, hardened_input

WHOLE = 0.9  # a file is cut short where no stream continues to this share of the length that its header promises


@dataclass
class PacketCount:
    """A stream's packets, and when the last of them ends in seconds from the file's beginning."""

    packets: int = 0
    end_s: float = 0.0


def count_packets(
    descriptor: int, limits: LimitsConfig, streams: Sequence[str], first_s: float | None = None
) -> list[PacketCount]:
    """Count the packets of some streams, of the whole file or of its first seconds.

    Args:
        streams: ffmpeg's names of them; a kind that ends in `?` may be missing.

    Returns:
        One count for each stream that was found, in the order of `streams`; one without packets may be missing at the
        end.

    Raises:
        RejectedError: `timeout`.
    """
    source = hardened_input(descriptor, limits, **({} if first_s is None else {"t": first_s}))
    output = ffmpeg.output(
        *[source[s] for s in streams],
        "pipe:1",
        format="framecrc",
        c="copy",
        copy_unknown=None,
        copyts=None,
        start_at_zero=None,
    )
    child = Child(output, (descriptor,), limits, stdout=True)
    counts: list[PacketCount] = []
    try:
        assert child.process.stdout is not None
        bases: dict[int, float] = {}
        while line := child.process.stdout.readline(4096):
            _count(line, bases, counts)
        child.messages()
    finally:
        child.close()
    if child.timed_out:
        raise RejectedError("timeout", f"The packets could not be counted within {limits.wall_s:g} s.")
    return counts


def _count(line: bytes, bases: dict[int, float], counts: list[PacketCount]) -> None:
    """Take one line of ffmpeg's `framecrc`: `#tb STREAM: N/D`, or `STREAM, DTS, PTS, DURATION, SIZE, CHECKSUM`."""
    if line.startswith(b"#tb "):
        stream, base = line[4:].split(b":")
        numerator, denominator = base.split(b"/")
        bases[int(stream)] = int(numerator) / int(denominator)
    elif not line.startswith(b"#"):
        stream, dts, pts, duration = line.split(b",")[:4]
        number = int(stream)
        counts.extend(PacketCount() for _ in range(len(counts), number + 1))
        counts[number].packets += 1
        last = max(int(dts), int(pts)) + int(duration)  # an unknown time is the least number of all
        counts[number].end_s = max(counts[number].end_s, last * bases[number])


def refuse_truncated(descriptor: int, pts: np.ndarray, promised_s: float, limits: LimitsConfig) -> None:
    """Refuse a file that ends before its header says.

    The header's length is that of the longest stream: sound and subtitles may continue where the picture has ended. So
    the file is whole if any stream does.

    Args:
        pts: (frames,) seconds from the file's beginning, of all pictures.
        promised_s: what the header says; 0 where it says nothing.

    Raises:
        RejectedError: truncated, timeout.
    """
    end_s = pts[-1] + float(np.median(np.diff(pts)))
    if end_s >= WHOLE * promised_s:
        return
    counts = count_packets(descriptor, limits, ("v?", "a?", "s?", "d?"))
    if max((count.end_s for count in counts), default=0.0) < WHOLE * promised_s:
        raise RejectedError(
            "truncated",
            f"{end_s:.2f} s of pictures ({len(pts)} frames) were decoded, and no stream is longer; the header promises "
            f"{promised_s:.2f} s.",
        )
