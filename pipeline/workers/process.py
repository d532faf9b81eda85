"""One worker process: how it is set up, and how a piece of work answers from it."""

import logging
import os
import pickle
import queue
import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from logging.handlers import QueueHandler
from typing import Any

from data_catalog.base.processes import mute_stderr_at_exit

PACKAGES = ("pipeline", "model", "data_catalog")
"""Whose log lines go to the head."""


@dataclass
class Answer:
    """What a piece of work gave back or raised, and what it said."""

    value: Any = None
    error: BaseException | None = None
    said: list[logging.LogRecord] = field(default_factory=list)

    def result(self) -> Any:
        """Say here what was said there, then return or raise."""
        for record in self.said:
            logger = logging.getLogger(record.name)
            if logger.isEnabledFor(record.levelno):
                logger.handle(record)
        if self.error is not None:
            raise self.error
        return self.value


def set_up() -> None:
    """Once in a worker's life: mediapipe's C++ does not talk, OpenCV starts no threads of its own, Ctrl-C is deaf."""
    mute_stderr_at_exit()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the head ends its workers
    os.environ["GLOG_minloglevel"] = "2"  # noqa: SIM112 (its real name)
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    import cv2

    cv2.setNumThreads(1)


def answer(work: Callable[..., Any], arguments: tuple[Any, ...]) -> Answer:
    """Do a piece of work. Errors come back as values: they then read the same from a process and from a cluster."""
    with _heard() as said:
        try:
            return Answer(work(*arguments), said=said)
        except Exception as error:
            return Answer(error=_portable(error), said=said)


@contextmanager
def _heard() -> Iterator[list[logging.LogRecord]]:
    """Within the block our packages' log lines are kept and not written."""
    said: list[logging.LogRecord] = []
    keeper = _Keeper(said)
    loggers = [logging.getLogger(name) for name in PACKAGES]
    before = [(logger.level, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.addHandler(keeper)
        logger.setLevel(logging.INFO)
        logger.propagate = False
    try:
        yield said
    finally:
        for logger, (level, propagate) in zip(loggers, before, strict=True):
            logger.removeHandler(keeper)
            logger.setLevel(level)
            logger.propagate = propagate


class _Keeper(QueueHandler):
    """Keeps records as the text that crosses processes, tracebacks written out."""

    def __init__(self, said: list[logging.LogRecord]) -> None:
        super().__init__(queue.SimpleQueue())  # which nothing fills: `enqueue` keeps them here
        self._said = said

    def enqueue(self, record: logging.LogRecord) -> None:
        self._said.append(record)


def _portable(error: Exception) -> Exception:
    """The error as it crosses processes, with where it was raised; one that cannot cross becomes its own text."""
    text = "".join(traceback.format_exception(error))
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(text)
    error.add_note(f"In a worker:\n{text}")
    return error
