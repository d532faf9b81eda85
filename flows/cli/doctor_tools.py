"""What `longdance doctor` asks of the tools: ffmpeg, the pose model, Prefect's server, the catalog."""

import hashlib
import importlib.metadata
import os
import re
import subprocess
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from data_catalog.base.errors import LongdanceError
from data_catalog.base.paths import DataFolder
from pipeline.model_files import ModelFile

State = Literal["ok", "note", "warn", "missing"]
# Oldest ffmpeg with the `fd:` protocol and `-stats_enc_pre`, both in its Changelog under 6.0.
OLDEST_FFMPEG = (6, 0)
# What is known to be bad about those that would run: (before this version, why).
BAD_FFMPEG = [((8, 1), "CVE-2026-40962: out-of-bounds write in mov.c, the container of most phone videos")]
# The bundles that `longdance pose-model` makes with the versions in constraints.txt.
POSE_SHA256 = "50880d42629bc49e845d4f00c8826ca758aacc99f669a9b0c7930f182a6d2d6b"
HAND_SHA256 = "b679e2b9b3ff083f82345319f4c8ad7944d8dbe299af5c586c255160d94e7217"
TEXT_SHA256 = "cbd6ce577939d902d3ec3e1a543d5e846519cec7441a46575df6d761ecc47cdb"


@dataclass(frozen=True)
class Check:
    """One line. `missing` is what longdance cannot work without; the other states are for information."""

    state: State
    what: str
    found: str
    do: str = ""

    def row(self) -> tuple[str, str, str, str]:
        """As a row of COLUMNS."""
        return self.state, self.what, self.found, self.do


def check_ffmpeg() -> Iterator[Check]:
    """ffmpeg runs, can do what is asked of it, and is not known to be bad."""
    from pipeline.video.ffmpeg import ffmpeg_exe

    unset = "unset LONGDANCE_FFMPEG, so that the one of imageio-ffmpeg is taken, or name a newer one in it"
    try:
        exe = ffmpeg_exe()
        said = run_tool([exe, "-hide_banner", "-version"])
        protocols, encoders = (
            run_tool([exe, "-hide_banner", "-protocols"]),
            run_tool([exe, "-hide_banner", "-encoders"]),
        )
    except (LongdanceError, OSError, RuntimeError, subprocess.SubprocessError) as error:
        yield Check("missing", "ffmpeg", f"cannot be run: {error}", unset)
        return
    number = re.match(r"ffmpeg version n?(\d+)\.(\d+)", said)
    name = f"{said.split('Copyright')[0].removeprefix('ffmpeg version').strip()[:60]} at {exe}"
    lacking = [what for what, there in (("fd: protocol", re.search(r"^\s*fd$", protocols, re.M)),
                                        ("encoder libx264", "libx264" in encoders)) if not there]  # fmt: skip
    version = (int(number[1]), int(number[2])) if number else None
    if lacking or (version and version < OLDEST_FFMPEG):
        lacking = lacking or ["-stats_enc_pre"]
        yield Check("missing", "ffmpeg", f"{name}: it is missing {', '.join(lacking)}; 6.0 or newer is needed", unset)
        return
    faults = [why for before, why in BAD_FFMPEG if version and version < before]
    if faults:
        yield Check("warn", "ffmpeg", f"{name}: {'; '.join(faults)}", f"build from footage that you trust, or {unset}")
    elif version is None:
        yield Check("note", "ffmpeg", f"{name}: its version says no number", "nothing, if you know how new it is")
    else:
        yield Check("ok", "ffmpeg", name)


def run_tool(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, timeout=20, check=True, stdin=subprocess.DEVNULL)
    return done.stdout.decode("utf-8", "replace")


def check_text_model() -> Iterator[Check]:
    """The model that finds text is there, and the one that it should be."""
    from pipeline.analysis.editing.text_model import MODEL_FILE

    yield _check_file(MODEL_FILE, TEXT_SHA256)


def check_hand_model() -> Iterator[Check]:
    """The model that finds hands is there, and the one that it should be."""
    from pipeline.analysis.hands.hand_model import MODEL_FILE

    yield _check_file(MODEL_FILE, HAND_SHA256)


def _check_file(model: ModelFile, expected: str) -> Check:
    """A model's file, which longdance makes with this sha256."""
    chosen = os.environ.get(model.variable)
    path = Path(chosen) if chosen else model.cached()
    named = f"name a {path.suffix} file in {model.variable} or unset it"
    if not path.is_file():
        return Check("missing", model.what, f"not at {path}", named if chosen else "longdance pose-model")
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    if sha256 == expected or chosen:
        return Check("ok", model.what, f"{path}, sha256 {sha256[:16]}" + (", your own" if chosen else ""))
    damaged = f"{path} is damaged: sha256 {sha256[:16]}, expected {expected[:16]}"
    return Check("missing", model.what, damaged, f"rm -f {path}; longdance pose-model")


def check_pose_model() -> Iterator[Check]:
    """The pose model is there and whole; the one that longdance makes has a known sha256."""
    from pipeline.analysis.pose_model import MODELS, cached_model

    chosen = os.environ.get("LONGDANCE_POSE_MODEL")
    path = Path(chosen) if chosen else cached_model()
    again = "name a .task file in LONGDANCE_POSE_MODEL or unset it" if chosen else f"rm -f {path}; longdance pose-model"
    if not path.is_file():
        yield Check("missing", "pose model", f"not at {path}", again if chosen else "longdance pose-model")
        return
    try:
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        with zipfile.ZipFile(path) as bundle:
            broken = bundle.testzip() or next((name for name in MODELS if not _is_model(bundle, name)), None)
    except (zipfile.BadZipFile, OSError) as error:
        yield Check("missing", "pose model", f"{path} is damaged: {error}", again)
        return
    if broken:
        yield Check("missing", "pose model", f"{path} is damaged: {broken} is missing or wrong", again)
    elif chosen or sha256 == POSE_SHA256:
        yield Check("ok", "pose model", f"{path}, sha256 {sha256[:16]}" + (", your own" if chosen else ""))
    else:
        yield Check("warn", "pose model", f"{path}: sha256 {sha256[:16]}, expected {POSE_SHA256[:16]}", again)


def _is_model(bundle: zipfile.ZipFile, name: str) -> bool:
    """Whether a member is there and is a TFLite model, by its file identifier."""
    return name in bundle.namelist() and bundle.read(name)[4:8] == b"TFL3"


def check_prefect() -> Iterator[Check]:
    """The user's folder, database and configured server are sound. Where they are not, runs go on without them."""
    from flows.server.choose import reasons
    from flows.server.faults import database_fault, home_fault, server_fault, server_version
    from flows.server.own_server import never_proxied

    never_proxied()
    fault = home_fault()  # before Prefect is imported, which complains at length
    if fault is None:
        try:
            from prefect.settings import get_current_settings

            settings = get_current_settings()
        except Exception as error:  # whatever is wrong with the user's profile
            yield Check(
                "missing", "Prefect", f"its settings cannot be read: {reasons(error)}", "mend or unset what is named"
            )
            return
        url = settings.api.url
        fault = server_fault(url) if url else database_fault(settings)
    if fault:
        yield Check("missing", "Prefect", fault.cause, fault.mend)
    elif not url:
        yield Check("ok", "Prefect", "no server configured: each run starts its own")
    else:
        version, own = server_version(), importlib.metadata.version("prefect")
        if version is None or version.split(".")[:2] == own.split(".")[:2]:
            yield Check("ok", "Prefect", f"server {version or 'in the cloud'} at {url}")
        else:
            yield Check("warn", "Prefect", f"server {version} at {url}, here {own}", "use the same minor version")


def check_catalog(root: Path) -> Iterator[Check]:
    """A data set's catalog opens and needs no rebuild."""
    from data_catalog.connection import open_catalog
    from data_catalog.errors import CatalogError
    from data_catalog.quarantine import read_mark

    data = DataFolder.at(root)
    if not data.catalog.is_file():
        yield Check("note", "catalog", f"no data set in {data.root}", f"longdance build RAW --data {root}")
        return
    try:
        with open_catalog(data.catalog, read_only=True, timeout_s=5) as con:
            rows = con.execute("SELECT (SELECT count(*) FROM clips), (SELECT count(*) FROM samples)").fetchall()
    except CatalogError as error:
        yield Check("missing", "catalog", str(error), f"longdance catalog rebuild --data {root}")
        return
    if mark := read_mark(data.catalog):
        yield Check("warn", "catalog", mark, f"longdance catalog rebuild --data {root}")
    else:
        yield Check("ok", "catalog", "{} clips, {} samples".format(*rows[0]))


def check_store(url: str) -> Iterator[Check]:
    """Object storage can be listed with the credentials that are found here."""
    from data_catalog.base.store import Store

    try:
        next(iter(Store.at(url).listed()), None)
    except LongdanceError as error:
        yield Check("missing", "storage", str(error), "see docs/operations.md: the library finds credentials itself")
    else:
        yield Check("ok", "storage", f"{url} can be listed")
