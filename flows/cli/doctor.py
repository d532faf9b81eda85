"""`longdance doctor`: what is needed, what was found, what to do. Nothing is downloaded, and nothing
changed, but that Prefect's folder is made where there is none."""

import ctypes
import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from pathlib import Path

import psutil
from packaging.requirements import Requirement

from data_catalog.base.disk import explain_disk_error
from data_catalog.base.errors import LongdanceError
from flows.cli.doctor_tools import (
    Check,
    check_catalog,
    check_ffmpeg,
    check_hand_model,
    check_pose_model,
    check_prefect,
    check_store,
    check_text_model,
    run_tool,
)

COLUMNS = ["state", "what", "found", "do"]
GIB = 1 << 30
OLDEST_PYTHON = (3, 11)
# The same as in tools/system-packages.sh, which installs them.
LIBRARIES = {
    "libGLESv2.so.2": "libgles2", "libEGL.so.1": "libegl1", "libGL.so.1": "libgl1",
    "libgthread-2.0.so.0": "libglib2.0-0",
}  # fmt: skip


def examine(data: Path | str | None = None) -> list[Check]:
    """All checks, in the order in which a mistake is best fixed."""
    checks: list[Callable[[], Iterator[Check]]] = [
        check_python, check_packages, check_libraries, check_ffmpeg, check_pose_model, check_hand_model,
        check_text_model, check_gpu, check_memory, check_shared_memory,
        lambda: check_disk(data if isinstance(data, Path) else None), check_prefect,
    ]  # fmt: skip
    if isinstance(data, Path):
        checks.append(lambda: check_catalog(data))
    elif data is not None:
        checks.append(lambda: check_store(data))
    return [line for check in checks for line in check()]


def examine_cluster(data: Path | str | None) -> list[Check]:
    """What each host of the Ray cluster has, and whether that is the same as here.

    Raises:
        LongdanceError: Ray is not installed, or no cluster answers.
    """
    try:
        from pipeline.workers.ray_cluster import ask_hosts
    except ImportError as error:
        raise LongdanceError("--cluster asks a Ray cluster: pip install 'longdance[cluster]' first.") from error
    from pipeline.workers.hosts import difference

    lines = []
    for host, told in ask_hosts(examine_host, data if isinstance(data, str) else None):
        if isinstance(told, Exception):
            first = str(told).strip().splitlines()[-1][:200]
            lines.append(Check("missing", host, first, "install the same longdance there, with Ray"))
            continue
        facts, checks = told
        differs = difference(host, facts)
        lines += [Check("missing", f"{host} versions", differs)] if differs else []
        lines += [Check(check.state, f"{host} {check.what}", check.found, check.do) for check in checks]
    return lines


def examine_host(url: str | None) -> tuple[dict[str, str], list[Check]]:
    """(versions, checks) of the host that this runs on: what a worker needs there."""
    from pipeline.video.raw_source import scratch
    from pipeline.workers.hosts import facts_here

    checks: list[Callable[[], Iterator[Check]]] = [
        check_python, check_packages, check_libraries, check_ffmpeg, check_pose_model, check_hand_model,
        check_text_model, check_gpu, check_memory, check_shared_memory, lambda: check_disk(scratch()),
    ]  # fmt: skip
    if url is not None:
        checks.append(lambda: check_store(url))
    return facts_here(), [line for check in checks for line in check()]


def healthy(checks: list[Check]) -> bool:
    """Whether nothing that is needed is missing."""
    return all(check.state != "missing" for check in checks)


def check_python() -> Iterator[Check]:
    """Python 3.11 or newer."""
    found = f"{platform.python_version()} at {sys.executable}"
    if tuple(sys.version_info) >= OLDEST_PYTHON:
        yield Check("ok", "python", found)
    else:
        yield Check("missing", "python", found, "install Python 3.11 or newer: make PYTHON=python3.12")


def check_packages() -> Iterator[Check]:
    """Every package that longdance names is there, in a version that it allows."""
    try:
        wanted = [Requirement(text) for text in importlib.metadata.requires("longdance") or []]
    except importlib.metadata.PackageNotFoundError:
        yield Check("missing", "packages", "longdance itself is not installed", "pip install -e . -c constraints.txt")
        return
    wrong = []
    needed = [r for r in wanted if r.marker is None or r.marker.evaluate({"extra": ""})]
    for requirement in needed:
        try:
            version = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            wrong.append(f"{requirement.name} is not installed")
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            wrong.append(f"{requirement.name} {version}, wanted {requirement.specifier}")
    if wrong:
        yield Check("missing", "packages", "; ".join(wrong), "pip install -e . -c constraints.txt")
    else:
        yield Check("ok", "packages", f"{len(needed)} packages, longdance {importlib.metadata.version('longdance')}")


def check_libraries() -> Iterator[Check]:
    """The shared libraries that mediapipe and OpenCV load."""
    if sys.platform != "linux":
        return
    lacking = []
    for library, package in LIBRARIES.items():
        try:
            ctypes.CDLL(library)
        except OSError:
            lacking.append(package)
    if lacking:
        yield Check("missing", "libraries", f"not there: {', '.join(lacking)}", f"apt-get install {' '.join(lacking)}")
    else:
        yield Check("ok", "libraries", ", ".join(LIBRARIES))


def check_gpu() -> Iterator[Check]:
    """NVIDIA's GPUs and driver, and whether torch was built for them; neither is needed to build a data set."""
    torch_version = importlib.metadata.version("torch") if _installed("torch") else None
    if shutil.which("nvidia-smi") is None:
        yield Check(
            "note", "GPU", "none: no nvidia-smi", "nothing; the preset tiny trains on the CPU, sd15 needs a GPU"
        )
        return
    query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    try:
        lines = [line.strip() for line in run_tool(query).splitlines() if line.strip()]
    except (OSError, subprocess.SubprocessError) as error:
        yield Check(
            "warn", "GPU", f"nvidia-smi fails: {error}", "install the driver that fits the kernel, then restart"
        )
        return
    if not lines:
        yield Check("warn", "GPU", "nvidia-smi lists no GPU", "look at nvidia-smi and CUDA_VISIBLE_DEVICES")
    for line in lines:
        if torch_version and "+cpu" in torch_version:
            yield Check("warn", "GPU", f"{line}; torch {torch_version} cannot use it", "sh tools/torch.sh cuda")
        else:
            yield Check("ok", "GPU", f"{line}; torch {torch_version}")


def _installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def check_memory() -> Iterator[Check]:
    """A worker with its ffmpeg takes up to 0.8 GiB (`bench/build.py`)."""
    memory, cores = psutil.virtual_memory(), os.cpu_count() or 1
    found = f"{memory.available / GIB:.1f} GiB free of {memory.total / GIB:.1f}, {cores} cores"
    if memory.available < 1.5 * GIB:
        yield Check("missing", "memory", found, "free 1.5 GiB at least")
    elif memory.available < cores * GIB:
        yield Check("warn", "memory", found, f"build with --workers {max(1, int(memory.available / GIB))}")
    else:
        yield Check("ok", "memory", found)


def check_shared_memory() -> Iterator[Check]:
    """Room for the locks that processes share."""
    try:
        get_context("spawn").Lock()
    except OSError as error:
        cause, _, mend = (explain_disk_error(error) or f"No lock can be made ({error}): mend that").partition(": ")
        yield Check("missing", "shared memory", cause, mend.rstrip("."))
    else:
        yield Check("ok", "shared memory", "processes can share locks")


def check_disk(data: Path | None) -> Iterator[Check]:
    """Room where the data set is to lie, and the right to write there."""
    folder = (data or Path()).expanduser().absolute()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free / GIB
    found = f"{free:.1f} GiB free at {folder}"
    if not os.access(folder, os.W_OK):
        yield Check("missing", "disk", f"{folder} cannot be written", "choose another folder with --data")
    elif free < 1:
        yield Check("missing", "disk", found, "free 1 GiB at least, or choose another disk")
    elif free < 20:
        yield Check("warn", "disk", found, "enough to try; an hour of footage takes about 3 GiB with two variants")
    else:
        yield Check("ok", "disk", found)
