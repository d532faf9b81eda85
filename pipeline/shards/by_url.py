"""Shards by their addresses for webdataset: `webdataset.gopen.gopen_schemes["s3"] = open_shard`, or "gs", "az"."""

import io
from collections.abc import Iterator
from typing import Any

from data_catalog.base.store import Store


def open_shard(url: str, mode: str = "rb", bufsize: int = -1, **more: Any) -> io.BufferedReader:
    """A shard's bytes as they arrive. Raises LongdanceError for no such address, StoreError as it is read."""
    folder, _, name = url.rpartition("/")
    return io.BufferedReader(_Arriving(Store.at(folder).stream(name)))


class _Arriving(io.RawIOBase):
    """Chunks as a file that is read once."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks, self._left = chunks, memoryview(b"")

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer, with less than it takes where a chunk ends; 0 at the end."""
        while not self._left and (chunk := next(self._chunks, None)) is not None:
            self._left = memoryview(chunk)
        count = min(len(buffer), len(self._left))
        buffer[:count], self._left = self._left[:count], self._left[count:]
        return count
