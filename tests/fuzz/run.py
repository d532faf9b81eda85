"""`python -m tests.fuzz.run DOOR,DOOR SECONDS SEED FOLDER`: feed each door for a while and print a line of JSON.

FOLDER holds `template`, a data set, `dancer.mp4` that it was made from, and `decoys`, which no door may open. Each
mutant is written to FOLDER/last-DOOR first, so that one that ends the process is known.
"""

import collections
import json
import resource
import signal
import sys
import time
import traceback
from pathlib import Path
from types import FrameType
from typing import Any

from data_catalog.base.files import sha256_file
from tests.fuzz.doors import DOORS
from tests.fuzz.mutate import Mutator
from tests.pipeline.opened import watching
from tests.power_loss.point import World

LEAST = 4  # inputs, however slow a door is


class HangError(Exception):
    """A mutant took longer than it may."""


def fuzz(name: str, seconds: float, seed: int, folder: Path) -> dict[str, Any]:
    """{inputs, slowest_s, grown_mb, opened, findings: {where it was raised: [count, words, file]}}."""
    own = folder / f"door-{name}"
    own.mkdir()
    world = World(folder / "dancer.mp4", sha256_file(folder / "dancer.mp4"))
    [kind] = [door for door in DOORS if door.name == name]
    door, decoys = kind(own, folder / "template", world), folder / "decoys"
    mutator = Mutator(door.seeds(), words(decoys), seed)
    for content in mutator.seeds:  # a good one first: what it needs is not growth
        door.feed(content)
    signal.signal(signal.SIGALRM, _hang)
    before, slowest, inputs = peak_mb(), 0.0, 0
    findings: dict[str, list[Any]] = collections.defaultdict(lambda: [0, "", ""])
    end = time.monotonic() + seconds
    with watching(decoys) as opened:
        while time.monotonic() < end or inputs < LEAST:
            mutant, started = mutator.draw(), time.monotonic()
            (folder / f"last-{name}").write_bytes(mutant)
            signal.setitimer(signal.ITIMER_REAL, door.wall_s)
            try:
                door.feed(mutant)
            except Exception as error:
                frame = traceback.extract_tb(error.__traceback__)[-1]
                found = findings[f"{type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}"]
                if not found[0]:
                    found[1:] = [traceback.format_exc()[-1500:], str(own / f"finding-{len(findings)}")]
                    Path(found[2]).write_bytes(mutant)
                found[0] += 1
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
            inputs, slowest = inputs + 1, max(slowest, time.monotonic() - started)
    grown = peak_mb() - before
    door.closing.close()
    return {
        "door": name, "inputs": inputs, "slowest_s": round(slowest, 2), "grown_mb": round(grown),
        "opened": sorted(opened), "findings": findings,
    }  # fmt: skip


def words(decoys: Path) -> list[bytes]:
    """What a parser might act on: names of files that it must not open, deep nesting, odd characters."""
    named = [f"{prefix}{decoys}/secret.{end}" for prefix in ("", "file:", "concat:") for end in ("mp4", "txt")]
    texts = [
        *named,
        "../decoys/secret.mp4",
        "%2e%2e%2fsecret",
        "\r\n",
        "\r\n\r\n",
        '"',
        "'",
        ",",
        "{",
        "null",
        "NaN",
        "1e999",
    ]
    playlist = f"#EXTM3U\n#EXTINF:1,\n{decoys}/secret.mp4\n"
    concat = f"ffconcat version 1.0\nfile '{decoys}/secret.mp4'\n"
    return [text.encode() for text in (*texts, playlist, concat, "[" * 5000)] + [b"\xff\xfe", b"\xc0\x80", bytes(64)]


def peak_mb() -> float:
    """The most memory that this process and any child of it ever held."""
    return sum(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1024


def _hang(number: int, frame: FrameType | None) -> None:
    raise HangError("no answer within the time that it may take")


if __name__ == "__main__":
    for each in sys.argv[1].split(","):
        print(json.dumps(fuzz(each, float(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))), flush=True)
