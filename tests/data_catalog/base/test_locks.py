"""One lock: refused or waited for, let go of by whatever ends its process."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from data_catalog.base.errors import LongdanceError
from data_catalog.base.locks import exclusive, in_turn

BUSY = LongdanceError("another is at work")
HOLD = """
import sys, time
from pathlib import Path
from data_catalog.base.locks import in_turn
with in_turn(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


@contextmanager
def held(path: Path, seconds: float = 60) -> Iterator["subprocess.Popen[str]"]:
    """Another process that holds the lock."""
    command = [sys.executable, "-c", HOLD, str(path), str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "held\n"
            yield child
        finally:
            child.kill()


@pytest.mark.parametrize("name", ["new/lock", "."], ids=["a file", "a folder"])
def test_a_held_lock_is_refused_and_free_again_when_its_process_is_killed(tmp_path: Path, name: str) -> None:
    with held(tmp_path / name) as child:
        with pytest.raises(LongdanceError, match="another is at work"), exclusive(tmp_path / name, BUSY):
            pass
        child.kill()
        child.wait()
        with exclusive(tmp_path / name, BUSY):
            pass


def test_a_folder_is_locked_without_a_file(tmp_path: Path) -> None:
    with exclusive(tmp_path, BUSY):
        assert list(tmp_path.iterdir()) == []


def test_a_lock_file_that_was_left_locks_nothing_and_keeps_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("left by a killed process")
    with exclusive(tmp_path / "lock", BUSY):
        pass
    assert (tmp_path / "lock").read_text() == "left by a killed process"


def test_two_holders_in_one_process_exclude_each_other_too(tmp_path: Path) -> None:
    with exclusive(tmp_path / "lock", BUSY), pytest.raises(LongdanceError), exclusive(tmp_path / "lock", BUSY):
        pass


def test_a_lock_is_waited_for_as_long_as_one_says(tmp_path: Path) -> None:
    with held(tmp_path / "lock", 0.5), exclusive(tmp_path / "lock", BUSY, wait_s=30):
        pass
    with held(tmp_path / "lock"):
        before = time.monotonic()
        with pytest.raises(LongdanceError), exclusive(tmp_path / "lock", BUSY, wait_s=0.3):
            pass
        assert time.monotonic() - before >= 0.3


def test_who_waits_in_turn_goes_on_when_the_holder_ends(tmp_path: Path) -> None:
    with held(tmp_path / "lock", 0.5) as child, in_turn(tmp_path / "lock"):
        assert child.wait(10) == 0
