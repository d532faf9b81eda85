"""Full and read-only disks and shared memory, real ones in a mount namespace: each is named as what it is."""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from data_catalog.base.disk import disk_errors, explain_disk_error
from data_catalog.base.errors import LongdanceError

MAY_MOUNT = (
    shutil.which("unshare") is not None
    and not subprocess.run(
        ["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, check=False
    ).returncode
)
needs_mounts = pytest.mark.skipif(not MAY_MOUNT, reason="only root may mount a small disk")


def longdance(mounts: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """The command line where these shell commands have mounted something; nobody else sees those mounts."""
    script = f'set -e; {mounts}; exec "$@"'
    command = ["unshare", "--mount", "sh", "-c", script, "sh", sys.executable, "-m", "flows.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


SHARED = {
    "full": "mount -t tmpfs -o size=4k tmpfs /dev/shm; head -c 4096 /dev/zero > /dev/shm/fill",
    "read-only": "mount -t tmpfs -o ro tmpfs /dev/shm",
}


@needs_mounts
@pytest.mark.parametrize("mounts", SHARED.values(), ids=SHARED)
def test_shared_memory_that_is_full_or_read_only_is_named_and_no_disk_is_blamed(mounts: str, tmp_path: Path) -> None:
    done = longdance(mounts, "synth", str(tmp_path / "raw"), "--videos", "1", "--workers", "1")
    assert done.returncode == 2
    assert done.stderr.startswith("longdance: Shared memory (/dev/shm)")
    assert "--shm-size" in done.stderr
    assert "disk" not in done.stderr
    assert done.stderr.count("\n") == 1


@needs_mounts
def test_doctor_names_shared_memory_that_is_read_only() -> None:
    done = longdance(SHARED["read-only"], "doctor")
    assert done.returncode == 1
    [line] = [line for line in done.stdout.splitlines() if "shared memory" in line]
    assert line.split()[0] == "missing"
    assert "--shm-size" in line


DISKS = {
    "full": ("size=64k", "is full (No space left on device"),
    "read-only": ("ro", "takes no files (Read-only file system): mount it writable or name another place"),
}


@needs_mounts
@pytest.mark.parametrize(("options", "words"), DISKS.values(), ids=DISKS)
def test_a_disk_that_is_full_or_read_only_is_told_apart(options: str, words: str, tmp_path: Path) -> None:
    mounts = f"mount -t tmpfs -o {options} tmpfs {tmp_path}"
    done = longdance(mounts, "synth", str(tmp_path / "raw"), "--videos", "1", "--workers", "1")
    assert done.returncode == 2, done.stderr
    assert words in done.stderr.splitlines()[-1]


def error_of(number: int, *names: str) -> OSError:
    return OSError(number, os.strerror(number), *names)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_explained_with_its_cause_its_room_and_where_one_goes_on(number: int, tmp_path: Path) -> None:
    with pytest.raises(LongdanceError) as caught, disk_errors(tmp_path / "new", LongdanceError, "it continues"):
        raise error_of(number)
    sentence = str(caught.value)
    assert sentence.startswith(f"The disk of {tmp_path / 'new'} is full ({os.strerror(number)}, ")
    assert sentence.endswith("GiB free): make room and run the same command again, it continues.")


def test_what_rust_says_in_its_text_alone_is_understood() -> None:
    said = explain_disk_error(RuntimeError("I/O error: No space left on device (os error 28)"))
    assert said == "The disk is full (No space left on device): make room and run the same command again."


def test_the_disk_is_that_of_the_file_that_the_error_names(tmp_path: Path) -> None:
    said = explain_disk_error(error_of(errno.EROFS, str(tmp_path / "file")))
    assert said is not None
    assert said.startswith(f"The disk of {tmp_path} takes no files")


@pytest.mark.parametrize(
    "error",
    [
        error_of(errno.ENOENT, "file"),
        error_of(errno.EACCES, "file"),
        OSError("without a number"),
        ValueError("28"),
        LongdanceError("A sentence about os error 28 that is one already."),
    ],
    ids=repr,
)
def test_any_other_error_passes_as_it_is(error: Exception, tmp_path: Path) -> None:
    with pytest.raises(type(error)) as caught, disk_errors(tmp_path, LongdanceError):
        raise error
    assert caught.value is error
