"""What the tests give to workers."""

import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path

DEADLY = 13


def doubled(items: Sequence[int]) -> list[int]:
    logging.getLogger("pipeline.acts").warning("doubling %s", list(items))
    return [2 * item for item in items]


def doubled_or_dead(items: Sequence[int]) -> list[int]:
    """One number ends the process that meets it, as a segmentation fault would."""
    if DEADLY in items:
        os._exit(11)
    return doubled(items)


def dead_the_first_time(items: Sequence[int], mark: Path) -> list[int]:
    if not mark.exists():
        mark.touch()
        os._exit(11)
    return doubled(items)


def refused(items: Sequence[int]) -> None:
    raise ValueError(f"no {items}")


def sleep_beside(mark: Path) -> None:
    mark.write_text(str(os.getpid()))
    time.sleep(600)


def deaf_and_single() -> tuple[bool, int]:
    import signal

    import cv2

    return signal.getsignal(signal.SIGINT) is signal.SIG_IGN, cv2.getNumThreads()


def where() -> str:
    """The address of the host, slow enough for others to take their turn."""
    from ray.util import get_node_ip_address

    time.sleep(0.3)
    return str(get_node_ip_address())
