import random
from pathlib import Path

import pytest

from data_catalog.connection import open_catalog
from data_catalog.examples import EXAMPLES
from data_catalog.queries import run_query
from data_catalog.rebuild import rebuild
from data_catalog.views import set_thresholds
from tests.data_catalog.rows import clip, sample, source, threshold


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_answers_on_an_empty_catalog(path: Path, name: str) -> None:
    assert run_query(path, EXAMPLES[name][0])[1] == []


def answer(path: Path, name: str) -> list[tuple[object, ...]]:
    return run_query(path, EXAMPLES[name][0])[1]


def test_near_duplicates_are_those_that_comparing_all_pairs_finds(path: Path) -> None:
    draw = random.Random(0)
    hashes = [draw.getrandbits(64) for _ in range(12)]
    for origin in range(12):  # copies that are 0 to 5 bits apart
        copy = hashes[origin]
        for bit in draw.sample(range(64), origin % 6):
            copy ^= 1 << bit
        hashes.append(copy)
    rows = [clip(n, source_id=f"source-{n // 3}", phash=value) for n, value in enumerate(hashes)]
    rebuild(path, {"clips": rows})
    expected = set()
    for first in rows:
        for second in rows:
            apart = (first["phash"] ^ second["phash"]).bit_count()
            if first["source_id"] < second["source_id"] and apart <= 3:
                expected.add((first["clip_id"], second["clip_id"], apart))
    assert len(expected) == 8
    assert {row[:3] for row in answer(path, "near-duplicates")} == expected


def test_the_examples_count_what_is_there(path: Path) -> None:
    heard = {"sound": True, "tempo": 120.4, "beats": 12}
    clips = [clip(n, cam_translation=float(n), beat_alignment=n / 10, **(heard if n < 3 else {})) for n in range(4)]
    tables = {
        "sources": [source(0, path="a.mp4", duration_s=3600.0), source(1, path="b.mp4")],
        "clips": clips,
        "shards": [{"shard": "a.tar", "samples": 2}, {"shard": "b.tar", "samples": 1}],
        "samples": [sample(1), sample(0), sample(2, shard="b.tar")],
    }
    rebuild(path, tables)
    with open_catalog(path) as con:
        set_thresholds(con, [threshold("cam_translation", ">", 2.5)])
    assert answer(path, "verdicts") == [("ok", None, 3, 0.3), ("bad", "camera_motion", 1, 0.1)]
    assert answer(path, "worst-camera")[0] == (3.0, "bad", ["camera_motion"], 18.0, 24.0, "a.mp4")
    assert answer(path, "hours-per-source") == [("a.mp4", 4, 3, 0.005, 1.0), ("b.mp4", 0, 0, 0.0, 0.0167)]
    assert [row[:3] for row in answer(path, "on-the-beat")] == [(n / 10, 120, "ok") for n in (2, 1, 0)]
    assert [row[0] for row in answer(path, "shard-offsets")] == ["clip-0-v0", "clip-1-v0"]
