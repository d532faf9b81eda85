"""Where MPEG transport streams were joined end to end, as `cat a.ts b.ts` and recorders do.

Every packet of a stream carries a counter modulo 16 (ISO/IEC 13818-1, 2.4.3.3). ffmpeg takes any leap of it for lost
data. A joint leaps, too, but nothing is lost there: the tables begin again, and then a picture that needs no other.
"""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass, field

import numpy as np

SYNC, SIZES = 0x47, ((188, 0), (192, 4))
"""A packet's first byte; its size and where in it that byte lies: transport streams, and those of camcorders (.mts)."""
CHUNK = 1 << 16
"""Packets looked at at once: 12 MB."""
TABLES, NULL = 0x20, 0x1FFF
"""Numbers of streams: those below are tables, and this is stuffing."""

BEGINS, KEY, LEAPS = 0x40, 0x40, 0x80
"""Bits: something begins in this packet; decoding can begin with it; its counter may leap."""


@dataclass
class _Packets:
    """What the packets so far have shown."""

    counters: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Stream to (its last counter, number of the packet that had it)."""
    tables_at: int = -1
    """The last packet in which tables began again."""
    with_keys: set[int] = field(default_factory=set)
    """Streams that say where decoding can begin."""
    joints: int = 0
    lost: bool = False


def is_joined(descriptor: int) -> bool:
    """Whether a file is a transport stream with joints, and no packet of it is missing elsewhere."""
    said = os.fstat(descriptor)
    return _is_joined(descriptor, (said.st_dev, said.st_ino, said.st_size, said.st_mtime_ns))


@functools.lru_cache(maxsize=16)
def _is_joined(descriptor: int, file: tuple[int, ...]) -> bool:
    """`file` says which file a descriptor means: the same number may mean another soon."""
    layout = _layout(descriptor)
    if layout is None:
        return False
    (size, offset), seen = layout, _Packets()
    for first in range(0, file[2] // size, CHUNK):
        data = os.pread(descriptor, CHUNK * size, first * size)
        packets = np.frombuffer(data, np.uint8)[: len(data) // size * size].reshape(-1, size)[:, offset : offset + 6]
        _look(packets, first, seen)
        if seen.lost:
            return False
    return seen.joints > 0


def _layout(descriptor: int) -> tuple[int, int] | None:
    """(size of a packet, where its first byte lies); None where the file is no transport stream."""
    head = os.pread(descriptor, 8 * 192, 0)
    for size, offset in SIZES:
        marks = head[offset::size][:4]
        if len(marks) == 4 and set(marks) == {SYNC}:
            return size, offset
    return None


def _look(packets_NB: np.ndarray, first: int, seen: _Packets) -> None:
    """Follow every stream's counter through packets, of which the first 6 bytes are given."""
    if (packets_NB[:, 0] != SYNC).any():
        seen.lost = True
        return
    stream = (packets_NB[:, 1].astype(np.int32) & 0x1F) << 8 | packets_NB[:, 2]
    streams = [int(one) for one in np.unique(stream) if one != NULL]
    anew = [seen.tables_at]
    for one in (one for one in streams if one < TABLES):
        at = np.flatnonzero(stream == one)
        anew += (first + at[_leaps(packets_NB[at], first + at, one, seen)[0]]).tolist()
    tables = np.sort(anew)
    for one in (one for one in streams if one >= TABLES):
        at = np.flatnonzero(stream == one)
        leaps, last_at = _leaps(packets_NB[at], first + at, one, seen)
        since = tables[np.maximum(np.searchsorted(tables, first + at) - 1, 0)]
        key = _flagged(packets_NB[at], KEY)
        seen.with_keys |= {one} if key.any() else set()
        whole = (packets_NB[at, 1] & BEGINS != 0) & (since > last_at) & (key | (one not in seen.with_keys))
        seen.lost |= bool((leaps & ~whole).any())
        seen.joints += int((leaps & whole & key).sum())
    seen.tables_at = int(tables[-1])


def _leaps(packets_NB: np.ndarray, numbers: np.ndarray, one: int, seen: _Packets) -> tuple[np.ndarray, np.ndarray]:
    """(at which of a stream's packets its counter leaps, unannounced; the number of the packet before each)."""
    flags = packets_NB[:, 3]
    counter, payload = flags & 0x0F, flags >> 4 & 1
    before = seen.counters.get(one, ((int(counter[0]) - int(payload[0])) & 0x0F, int(numbers[0])))
    last = np.concatenate([[before[0]], counter[:-1]]).astype(np.uint8)
    seen.counters[one] = int(counter[-1]), int(numbers[-1])
    leaps = (counter != ((last + payload) & 0x0F)) & ~_flagged(packets_NB, LEAPS)
    return leaps, np.concatenate([[before[1]], numbers[:-1]])


def _flagged(packets_NB: np.ndarray, flag: int) -> np.ndarray:
    """Which packets have a bit set in their adaptation field."""
    return (packets_NB[:, 3] & 0x20 != 0) & (packets_NB[:, 4] > 0) & (packets_NB[:, 5] & flag != 0)
