"""The top-level boxes of an mp4 or mov (ISO/IEC 14496-12, 4.2): whether the file is whole."""

import os

from data_catalog.base.errors import RejectedError

FIRST = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"styp")
FILM = (b"moov", b"mdat", b"moof", b"styp", b"sidx")  # boxes without which something of the film is missing
HEADER = 8  # bytes of a box's length and kind


def refuse_cut_short(descriptor: int) -> None:
    """Walk the boxes: all that the film needs must lie within the file.

    What some cameras and editors append after the last box is no box; read as one, it may well end beyond the file.

    Raises:
        RejectedError: `truncated`.
    """
    size, offset = os.fstat(descriptor).st_size, 0
    if os.pread(descriptor, HEADER, 0)[4:] not in FIRST:
        return
    whole: set[bytes] = set()
    while offset + HEADER <= size:
        header = os.pread(descriptor, 16, offset)
        length, kind = int.from_bytes(header[:4], "big"), header[4:8]
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        if length < HEADER:  # 0: to the end of the file; else no box
            return
        offset += length
        if offset > size and (kind in FILM or not whole.issuperset((b"moov", b"mdat"))):
            raise RejectedError("truncated", f"The file has {size} bytes; its own index promises {offset}.")
        whole.add(kind)
