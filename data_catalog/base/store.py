"""Objects in a bucket: fetched and put whole, and never over another's. S3, GCS and Azure are spoken alike.

By obstore, because its conditional put ("create only", "replace only what I read") holds on all three, and for large
bodies, too. Credentials are its own business: the usual variables, files and roles. Nothing that a store answers is
repeated in a sentence of ours, since it may hold an address that was signed.
"""

import hashlib
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_catalog.base.errors import LongdanceError
from data_catalog.base.files import atomic

if TYPE_CHECKING:
    from obstore import GetOptions
    from obstore.store import ObjectStore

SCHEMES = ("s3://", "gs://", "az://")
_CHUNK = 8 << 20
_TIMEOUTS = {"s3": "AWS_TIMEOUT", "gs": "GOOGLE_TIMEOUT", "az": "AZURE_TIMEOUT"}
_making = threading.Lock()
_REGULAR = re.compile(r"(?:s3|gs|az)://[A-Za-z0-9][A-Za-z0-9._-]*(?:/[^?#\s]*)?")


class StoreError(LongdanceError):
    """The store did not do what it was asked for, after the library's retries."""


class MissingError(StoreError):
    """There is no such object."""


@dataclass(frozen=True)
class ObjectInfo:
    """An object as it is listed; `key` is below the store's address, `tag` changes with its bytes."""

    key: str
    size: int
    tag: str
    modified_ns: int


def is_url(place: object) -> bool:
    """Whether a path or text names object storage."""
    text = os.fsdecode(place) if isinstance(place, bytes) else str(place)
    return text.startswith(SCHEMES)


@dataclass(frozen=True)
class Store:
    """A bucket, or what lies below a prefix in it."""

    url: str
    timeout: str = "5 minutes"
    """Of a request, be it for a whole shard on a slow line: the library's own is half a minute."""

    @classmethod
    def at(cls, url: str) -> "Store":
        """The store of an address. Raises LongdanceError for one that is none, or that holds a credential."""
        if not _REGULAR.fullmatch(url):
            raise LongdanceError(
                "An address in object storage was given with more than a bucket and a prefix in it: expected "
                "s3://BUCKET/PREFIX (or gs://, az://); credentials belong into the environment."
            )
        return cls(url.rstrip("/"))

    def __str__(self) -> str:
        return self.url

    @cached_property
    def _objects(self) -> "ObjectStore":
        try:
            from obstore.store import from_url
        except ImportError as error:
            raise LongdanceError(f"{self.url} is object storage: pip install 'longdance[cluster]' first.") from error
        with self._asked(""), _default_environment(_TIMEOUTS[self.url.partition(":")[0]], self.timeout):
            return from_url(self.url)

    def listed(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Every object below a prefix."""
        import obstore

        objects = self._objects
        with self._asked(prefix):
            for batch in obstore.list(objects, prefix or None):
                for info in batch:
                    modified = int(info["last_modified"].timestamp()) * 10**9
                    yield ObjectInfo(info["path"], info["size"], info["e_tag"] or "", modified)

    def read(self, key: str) -> tuple[bytes, str]:
        """(an object's bytes, its tag). Raises MissingError."""
        import obstore

        objects = self._objects
        with self._asked(key):
            found = obstore.get(objects, key)
            return bytes(found.bytes()), found.meta["e_tag"] or ""

    def read_range(self, key: str, offset: int, length: int, tag: str = "") -> bytes:
        """A part of an object; of the one with this tag, if one is given.

        Raises MissingError, and StoreError where it is another by now.
        """
        import obstore
        from obstore.exceptions import PreconditionError

        objects = self._objects
        part: GetOptions = {"range": (offset, offset + length)}
        if tag:
            part["if_match"] = tag
        try:
            with self._asked(key, PreconditionError):
                return bytes(obstore.get(objects, key, options=part).bytes())
        except PreconditionError:
            raise StoreError(f"{self.url}/{key} has changed since it was listed: run the same command again.") from None

    def stream(self, key: str) -> Iterator[bytes]:
        """An object's bytes as they arrive. Raises MissingError."""
        import obstore

        objects = self._objects
        with self._asked(key):
            yield from (bytes(chunk) for chunk in obstore.get(objects, key).stream(min_chunk_size=_CHUNK))

    def has(self, key: str) -> bool:
        """Whether there is such an object."""
        import obstore

        objects = self._objects
        try:
            with self._asked(key):
                obstore.head(objects, key)
        except MissingError:
            return False
        return True

    def sha256(self, key: str) -> str:
        """Hex sha256 of an object; nothing is kept of it. Raises MissingError."""
        digest = hashlib.sha256()
        for chunk in self.stream(key):
            digest.update(chunk)
        return digest.hexdigest()

    def fetch(self, key: str, path: Path) -> None:
        """Copy an object to a file, which is whole or not there. Raises MissingError."""
        with atomic(path) as temp, temp.open("wb") as file:
            for chunk in self.stream(key):
                file.write(chunk)

    def create(self, key: str, body: bytes | Path) -> bool:
        """Put an object whole; False where there is one already, which stays."""
        from obstore.exceptions import AlreadyExistsError

        try:
            self._put(key, body, "create")
        except AlreadyExistsError:
            return False
        return True

    def replace(self, key: str, body: bytes | Path) -> None:
        """Put an object whole, over any that was there: for the few that change, by who holds the lease."""
        self._put(key, body, "overwrite")

    def swap(self, key: str, body: bytes, tag: str) -> str | None:
        """Put an object over the one with this tag; the new one's tag, None where it is another's by now."""
        from obstore.exceptions import NotFoundError, PreconditionError

        try:
            return str(self._put(key, body, {"e_tag": tag})["e_tag"])
        except (PreconditionError, NotFoundError, FileNotFoundError):
            return None

    def delete(self, *keys: str) -> None:
        """Remove objects; those that are gone already do not matter."""
        import obstore

        objects = self._objects
        with self._asked(keys[0] if keys else ""):
            for key in keys:
                obstore.delete(objects, key)

    def _put(self, key: str, body: bytes | Path, mode: Any) -> Any:
        import obstore
        from obstore.exceptions import AlreadyExistsError, NotFoundError, PreconditionError

        objects = self._objects
        with self._asked(key, AlreadyExistsError, PreconditionError, NotFoundError, FileNotFoundError):
            return obstore.put(objects, key, body, mode=mode)

    @contextmanager
    def _asked(self, key: str, *passed: type[BaseException]) -> Iterator[None]:
        """Say in a sentence what a store failed at; but for some errors, which mean something to the caller."""
        try:
            yield
        except passed:
            raise
        except (GeneratorExit, LongdanceError):
            raise
        except FileNotFoundError:
            raise MissingError(f"{self.url}/{key} is not there: see whether its name is right.") from None
        except Exception as error:
            if type(error).__name__ == "InvalidPathError":
                raise StoreError(
                    f"{self.url} holds a name with an empty part, `..` or a control character, which cannot be asked "
                    "for: rename or remove it."
                ) from None
            if not type(error).__module__.startswith("obstore") and not isinstance(error, ValueError):
                raise
            raise StoreError(
                f"{self.url} cannot be used ({_kind(error)}): see that it is there and that you may, then run the same "
                "command again."
            ) from None


@contextmanager
def _default_environment(name: str, value: str) -> Iterator[None]:
    """Within the block a variable has this value, unless it has one. As an option the value would undo all that the
    environment says of the connection."""
    with _making:
        if name in os.environ:
            yield
            return
        os.environ[name] = value
        try:
            yield
        finally:
            del os.environ[name]


def _kind(error: BaseException) -> str:
    """What went wrong, without the words of a store: the status that it answered with, or the kind of error."""
    status = re.search(r"status code: (\d{3} [A-Za-z ]+)", str(error))
    return status[1].strip() if status else type(error).__name__
