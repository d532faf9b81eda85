"""Who may write into object storage: an object that its holder renews, and that is taken from a holder who is dead.

No clock is compared with another host's: a lease is dead if it has not changed for `EXPIRY_S` by the clock of whoever
looks at it.
"""

import json
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from data_catalog.base.errors import LongdanceError
from data_catalog.base.files import canonical_json
from data_catalog.base.store import MissingError, Store, StoreError

KEY = "lease.json"
EXPIRY_S = 60.0
RENEW_S = 10.0
_LOOK_S = 1.0
JOIN_S = 5.0
logger = logging.getLogger(__name__)


class Lease:
    """One that is held; a thread renews it."""

    def __init__(self, store: Store, tag: str, owner: str) -> None:
        self._store, self._tag, self._owner = store, tag, owner
        self._renewed, self._count = time.monotonic(), 0
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._renew, daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raise LongdanceError where it was not renewed in time, so that another may hold it by now."""
        if time.monotonic() - self._renewed > EXPIRY_S - RENEW_S:
            raise LongdanceError(
                f"The lease on {self._store.url} could not be renewed in time, so another may be at work there: run "
                "the same command again."
            )

    def release(self) -> None:
        """Let go of it, where it is still held."""
        self._ends.set()
        self._thread.join(JOIN_S)  # it may wait for a store that does not answer
        try:
            if json.loads(self._store.read(KEY)[0])["owner"] == self._owner:
                self._store.delete(KEY)
        except (StoreError, ValueError, KeyError):  # it expires
            return

    def _renew(self) -> None:
        while not self._ends.wait(RENEW_S):
            self._count += 1
            try:
                tag = self._store.swap(KEY, _body(self._owner, self._count), self._tag)
            except StoreError:
                continue  # the next time, or it is lost
            if tag is None and not self._mine():
                return  # it is another's
            if tag is not None:
                self._tag, self._renewed = tag, time.monotonic()

    def _mine(self) -> bool:
        """Whether a renewal went through though its answer was lost."""
        try:
            body, tag = self._store.read(KEY)
            mine = bool(json.loads(body)["owner"] == self._owner)
        except (StoreError, ValueError, KeyError):
            return False
        if mine:
            self._tag, self._renewed = tag, time.monotonic()
        return mine


@contextmanager
def leased(store: Store) -> Iterator[Lease]:
    """Hold the lease within the block.

    Raises:
        LongdanceError: another command holds it, and renews it.
    """
    lease = _taken(replace(store, timeout="10 seconds"))
    try:
        yield lease
    finally:
        lease.release()


def _taken(store: Store) -> Lease:
    owner = f"{socket.gethostname()} {os.getpid()} {uuid.uuid4().hex[:12]}"
    deadline, seen = time.monotonic() + EXPIRY_S, ""
    while True:
        if store.create(KEY, _body(owner, 0)):
            return Lease(store, store.read(KEY)[1], owner)
        try:
            body, tag = store.read(KEY)
        except MissingError:
            continue  # it was let go of
        if seen and tag != seen:
            raise LongdanceError(
                f"Another command is at work in {store.url} ({_holder(body)}): wait until it has ended."
            )
        if not seen:
            logger.warning("%s leased %s: it is watched for a sign of life.", _holder(body), store.url)
        if time.monotonic() >= deadline and (taken := store.swap(KEY, _body(owner, 0), tag)):
            return Lease(store, taken, owner)
        seen = tag
        time.sleep(_LOOK_S)


def _body(owner: str, count: int) -> bytes:
    return canonical_json({"owner": owner, "renewed": count})


def _holder(body: bytes) -> str:
    try:
        host, pid, _ = str(json.loads(body)["owner"]).split(" ")
    except (ValueError, KeyError):
        return "An unknown process"
    return f"Process {pid} of {host}"
