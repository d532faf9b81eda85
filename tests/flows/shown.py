"""A data set worth looking at: two real clips of a source with a hostile name, and many rows with drawn scores."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_catalog.base.files import write_json
from data_catalog.base.paths import DataFolder
from data_catalog.connection import open_catalog
from data_catalog.writes import merge_clips, merge_sources
from flows.catalog.manifests import rebuild_from_record
from flows.catalog.path_rows import record_paths
from tests.conftest import SMALL, build
from tests.flows.evidence import add_evidence

NAME = "<img src=x onerror=document.title='owned'>&amp;\"'.mp4"
DRAWN = 90


@dataclass(frozen=True)
class Shown:
    """The data set, its evidence, and the ids of its two real clips."""

    data: DataFolder
    evidence: dict[str, Any]
    real: list[str]

    def ids(self, sql: str) -> list[str]:
        """The first column of a query."""
        with open_catalog(self.data.catalog, read_only=True) as con:
            return [str(row[0]) for row in con.execute(sql).fetchall()]


def make_shown(folder: Path, dancer: Path, model: Path) -> Shown:
    """Build it in a folder of its own."""
    raw = folder / "raw"
    raw.mkdir()
    video = Path(shutil.copy(dancer, raw / NAME))
    built = build(folder / "data", video, SMALL, model)
    stat = video.stat()
    write_json(built.data.build_record, {"raw": str(raw), "config": SMALL.model_dump(mode="json")})
    seen = {"path": os.fsencode(video), "source_id": built.source_id, "size": stat.st_size}
    with open_catalog(built.data.catalog):
        pass
    record_paths(built.data, [seen | {"mtime_ns": stat.st_mtime_ns, "inode": stat.st_ino}])
    rebuild_from_record(built.data)
    real = sorted({str(row["clip_id"]) for row in built.manifest["samples"]})  # type: ignore[index]
    with open_catalog(built.data.catalog) as con:
        merge_sources(con, [_source(n) for n in range(3)])
        merge_clips(con, drawn_clips(DRAWN))
    return Shown(built.data, add_evidence(built.data, folder / "runs", None), real)


def _source(number: int) -> dict[str, Any]:
    rejected = (
        {"status": "rejected", "reason": "damaged", "detail": f"Cut off: {NAME}"} if number == 2 else {"status": "ok"}
    )
    return {"source_id": f"drawn-{number}", "path_bytes": f"/somewhere/{number}/{NAME}".encode()} | rejected


def drawn_clips(count: int, seed: int = 3) -> list[dict[str, Any]]:
    """Rows without a video: scores around their thresholds, ties, and some that were not measured."""
    rng = np.random.default_rng(seed)
    rows = []
    for n in range(count):
        row: dict[str, Any] = {
            "clip_id": f"drawn-{n:05d}", "source_id": f"drawn-{n % 2}", "start_s": 6.0 * n, "end_s": 6.0 * n + 6,
            "first_frame": 180 * n, "step": 1, "frames": 181, "fps": 30.0,
            "cam_translation": float(rng.exponential(1.2)), "blur": round(float(rng.random()), 1),
            "visibility": float(rng.random()), "motion_energy": float(rng.exponential(2)), "brightness": 0.5,
        }  # fmt: skip
        row |= {"blur": None} if n % 9 == 0 else {}
        rows.append(row | ({"align_reason": "too_small"} if n % 17 == 0 else {}))
    return rows


@contextmanager
def serving(data: DataFolder) -> Iterator[tuple[str, str]]:
    """`longdance serve` as a user starts it: (address, token)."""
    command = [
        sys.executable,
        "-m",
        "flows.cli",
        "serve",
        "--data",
        str(data.root),
        "--port",
        "0",
        "--who",
        "ann <b>",
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("Open http://127.0.0.1:"), line + (process.stderr.read() if process.stderr else "")
        address, _, token = line.split()[1].partition("/?token=")
        yield address, token
    finally:
        process.terminate()
        process.wait(timeout=20)


@pytest.fixture(scope="session")
def shown(tmp_path_factory: pytest.TempPathFactory, dancer: Path, pose_model: Path) -> Shown:
    """Only read it, but for decisions that are taken back."""
    return make_shown(tmp_path_factory.mktemp("shown"), dancer, pose_model)
