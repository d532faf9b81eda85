"""A video of our own and its sound as one mp4 for players: the pictures are copied, the sound becomes AAC."""

from pathlib import Path
from typing import Any, BinaryIO

import av
import numpy as np

RATE = 48000  # AAC knows a dozen rates: others become this one
CHUNK = 4096  # samples


def add_sound(video: BinaryIO, sound: np.ndarray, rate: int, path: Path, bits: int = 128_000) -> None:
    """Write an mp4 again, with a sound track, to `path`; the same video and sound give the same bytes.

    Args:
        sound: int16 (samples, channels) from the video's beginning; what is longer than the video is left out.
        bits: of the sound a second.
    """
    options = {"movflags": "+faststart", "fflags": "+bitexact"}
    with av.open(video) as source, av.open(str(path), "w", format="mp4", options=options) as out:
        pictures = source.streams.video[0]
        copied = out.add_stream_from_template(pictures)
        track: Any = out.add_stream("aac", rate=RATE, options={"flags": "+bitexact"})
        track.layout, track.bit_rate = "stereo" if sound.shape[1] == 2 else "mono", bits
        packets = [packet for packet in source.demux(pictures) if packet.size]
        end = sum(packet.duration * packet.time_base for packet in packets)
        kept = sound[: round(end * rate)]
        written = 0
        for packet in packets:
            # In the order of time, so that a player finds both side by side.
            while written < len(kept) and written <= (packet.dts or 0) * packet.time_base * rate:
                out.mux(track.encode(_frame(kept, written, rate)))
                written += CHUNK
            packet.stream = copied
            out.mux(packet)
        for start in range(written, len(kept), CHUNK):
            out.mux(track.encode(_frame(kept, start, rate)))
        out.mux(track.encode(None))


def _frame(sound: np.ndarray, start: int, rate: int) -> av.AudioFrame:
    part = np.ascontiguousarray(sound[start : start + CHUNK])
    frame = av.AudioFrame.from_ndarray(part.reshape(1, -1), "s16", "stereo" if sound.shape[1] == 2 else "mono")
    frame.sample_rate, frame.pts = rate, start
    return frame
