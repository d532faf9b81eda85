"""Which stream of a file is the video. Nothing else chooses: everybody takes `Probe.stream`."""

import re
from dataclasses import dataclass

from data_catalog.base.errors import RejectedError
from pipeline.config import LimitsConfig
from pipeline.video.ffmpeg import CODECS
from pipeline.video.packets import PacketCount, count_packets

# ffmpeg's names of the codecs that its decoders in CODECS are for.
ACCEPTED = {{"flv": "flv1", "msmpeg4": "msmpeg4v3", "libdav1d": "av1"}.get(name, name) for name in CODECS.split(",")}
ATTACHED = {"attached pic", "still image", "timed thumbnails"}
STREAM = re.compile(
    r"^\[info\]   Stream #0:(?P<index>\d+)(?:\[0x[0-9a-f]+\])?(?:\([^\n]*?\))?: "
    r"(?:Video: (?P<codec>\w+)(?P<rest>[^\n]*))?",
    re.M,
)
COMPARED_S = 60.0  # streams are told apart by so much of them
AS_LONG = 0.9  # a stream is no preview if it lasts this share of the longest


@dataclass(frozen=True)
class VideoStream:
    """A video stream as ffmpeg lists it; `text` is all that is said of it."""

    index: int
    codec: str
    pixels: int
    default: bool
    attached: bool
    text: str

    @property
    def accepted(self) -> bool:
        """Whether its codec is decoded."""
        return self.codec in ACCEPTED

    @property
    def codec_name(self) -> str:
        """Its codec's name, or the container's tag of a codec that ffmpeg does not know."""
        tag = re.search(r"Video: none \((\S+) / 0x", self.text)
        return f"{tag[1]!r} (its tag)" if tag else self.codec


def choose_stream(descriptor: int, listing: str, limits: LimitsConfig) -> VideoStream:
    """The film among a file's video streams: never an attached picture or a single one; the default before others,
    the longer before a preview, the larger, the first.

    Args:
        listing: what ffmpeg says of the input, at level info.

    Raises:
        RejectedError: no_video_stream, codec_refused, timeout.
    """
    streams = video_streams(listing)
    films = [stream for stream in streams if not stream.attached]
    if not films:
        raise RejectedError(
            "no_video_stream", f"The file holds no video stream{', only a cover picture' if streams else ''}."
        )
    chosen = films[0]
    if len(films) > 1:
        counts = count_packets(descriptor, limits, [str(film.index) for film in films], COMPARED_S)
        counts.extend(PacketCount() for _ in range(len(counts), len(films)))
        chosen = most_likely(films, counts)
    if not chosen.accepted:
        raise RejectedError(
            "codec_refused",
            f"The picture is coded as {chosen.codec_name}, which is not decoded: convert the file to H.264, say.",
        )
    return chosen


def video_streams(listing: str) -> list[VideoStream]:
    """All video streams of ffmpeg's listing."""
    found = list(STREAM.finditer(listing.partition("\n[info] Stream mapping:")[0]))
    ends = [match.start() for match in found[1:]] + [len(listing)]
    streams = []
    for match, end in zip(found, ends):
        if match["codec"]:
            size = re.search(r", (\d+)x(\d+)", match["rest"])
            words = re.search(r"(?: \([a-z -]+\))*$", match["rest"])
            dispositions = set(re.findall(r"\(([a-z -]+)\)", words[0] if words else ""))
            streams.append(
                VideoStream(
                    index=int(match["index"]), codec=match["codec"],
                    pixels=int(size[1]) * int(size[2]) if size else 0,
                    default="default" in dispositions, attached=bool(dispositions & ATTACHED),
                    text=listing[match.start() : end],
                )
            )  # fmt: skip
    return streams


def most_likely(films: list[VideoStream], counts: list[PacketCount]) -> VideoStream:
    """The film, by what is marked and by the packets of each."""
    longest = max((count.end_s for count in counts), default=0.0)

    def rank(place: int) -> tuple[bool, bool, bool, bool, int, int]:
        film, count = films[place], counts[place]
        moves, long = count.packets > 1, count.end_s >= AS_LONG * longest
        return moves, film.default, long, film.accepted, film.pixels, -place

    return films[max(range(len(films)), key=rank)]
