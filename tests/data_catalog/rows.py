"""Rows and child processes for the tests of the catalog."""

import subprocess
import sys
from pathlib import Path
from typing import Any

from data_catalog.connection import open_catalog

ROOT = Path(__file__).resolve().parents[2]


def source(number: int = 0, **columns: Any) -> dict[str, Any]:
    row = {"source_id": f"source-{number}", "path_bytes": f"{number}.mp4".encode(), "status": "ok", "duration_s": 60.0}
    return row | columns


def clip(number: int = 0, **columns: Any) -> dict[str, Any]:
    row = {"clip_id": f"clip-{number}", "source_id": "source-0", "start_s": 6.0 * number, "end_s": 6.0 * (number + 1)}
    return row | columns


def sample(number: int = 0, variant: int = 0, shard: str = "a.tar", **columns: Any) -> dict[str, Any]:
    row = {"sample_key": f"clip-{number}-v{variant}", "clip_id": f"clip-{number}", "variant": variant, "shard": shard}
    return row | {"recipe": {"flip": variant > 0}, "mp4_offset": 512 + 1000 * number, "mp4_length": 900} | columns


def threshold(score: str, op: str, value: float, reason: str = "camera_motion", rank: int = 1) -> dict[str, Any]:
    return {"reason": reason, "score": score, "op": op, "value": value, "rank": rank}


def table(path: Path, sql: str) -> list[tuple[Any, ...]]:
    """All rows of a query, sorted."""
    with open_catalog(path, read_only=True) as con:
        return sorted(con.execute(sql).fetchall(), key=repr)


def spawn(code: str, *arguments: object) -> "subprocess.Popen[str]":
    """A child Python that can import the package and whose output can be read line by line."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)


def heard(child: "subprocess.Popen[str]") -> str:
    """The child's next line."""
    assert child.stdout is not None
    return child.stdout.readline().strip()


# Opens the catalog for writing, says so, and holds it until its input is closed.
HOLD = """
import sys
from data_catalog.connection import open_catalog
with open_catalog(sys.argv[1]):
    print("open", flush=True)
    sys.stdin.read()
"""

# Writes batches of ten clips, each in its own transaction, without ever closing the catalog.
WRITE_BATCHES = """
import sys
from data_catalog.connection import open_catalog
from data_catalog.writes import merge_clips
with open_catalog(sys.argv[1]) as con:
    for batch in range(int(sys.argv[2])):
        merge_clips(con, [{"clip_id": f"clip-{10 * batch + i}", "start_s": float(batch)} for i in range(10)])
        print(batch, flush=True)
    sys.stdin.read()
"""
