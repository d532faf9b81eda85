"""Catalog at scale: the example queries, and the registration of one more shard.

    python bench/catalog.py                     # 25,000 clips, 75,000 samples: the limits must hold
    python bench/catalog.py --clips 1000000     # the same figures, stated

Rows are drawn from a seeded generator and loaded through `rebuild`; times are medians.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from data_catalog.connection import open_catalog
from data_catalog.examples import EXAMPLES
from data_catalog.queries import run_query
from data_catalog.rebuild import rebuild
from data_catalog.views import set_thresholds
from data_catalog.writes import merge_tables, register_shards

LOSSES, VERSIONS, GONE = 8, 2, 10
VARIANTS, SHARD_SAMPLES, CLIPS_PER_SOURCE = 3, 128, 40
QUERY_LIMIT_S, REGISTER_LIMIT_S, LIMITS_UP_TO_CLIPS = 0.2, 0.1, 25_000
THRESHOLDS = [
    {"reason": "camera_motion", "score": "cam_translation", "op": ">", "value": 4.0, "rank": 1},
    {"reason": "camera_motion", "score": "cam_shake", "op": ">", "value": 3.0, "rank": 1},
    {"reason": "out_of_frame", "score": "out_of_frame", "op": ">", "value": 0.95, "rank": 2},
    {"reason": "dark", "score": "brightness", "op": "<", "value": 0.02, "rank": 3},
    {"reason": "still", "score": "motion_energy", "op": "<", "value": 0.01, "rank": 4},
]
UNIT_SCORES = (
    "cam_zoom", "cam_rotation", "out_of_frame", "out_of_frame_joints", "out_of_crop_joints", "no_pose",
    "visibility", "blur", "brightness", "motion_energy", "duplicated", "upscale", "pelvis_x", "pelvis_y",
    "body_size", "crop_x", "crop_y", "crop_side",
)  # fmt: skip


def source_rows(sources: int) -> pa.Table:
    """Accepted sources of ten minutes at 30 frames/s."""
    number = np.arange(sources)
    names = [f"folder/{n % 97}/dance {n}.mp4" for n in number]
    return pa.table(
        {
            "source_id": _ids(number, 64),
            "path": names,
            "path_bytes": [name.encode() for name in names],
            "status": ["ok"] * sources,
            "width": pa.array(np.full(sources, 1080, np.int32)),
            "height": pa.array(np.full(sources, 1920, np.int32)),
            "fps": np.full(sources, 30.0),
            "frames": np.full(sources, 18_000),
            "duration_s": np.full(sources, 600.0),
        }
    )


def clip_rows(clips: int, rng: np.random.Generator) -> pa.Table:
    """Clips with every score; one in a hundred has the hash of another one with up to 3 bits flipped."""
    number = np.arange(clips)
    phash = rng.integers(0, 2**64, clips, np.uint64)
    copies = rng.choice(clips, clips // 100, replace=False)
    bits = np.uint64(1) << rng.integers(0, 64, (3, len(copies)), np.uint64)
    phash[copies] = phash[(copies + CLIPS_PER_SOURCE) % clips] ^ bits[0] ^ bits[1] ^ bits[2]
    start_s = (number % CLIPS_PER_SOURCE) * 181 / 30
    return pa.table(
        {
            "clip_id": _ids(number, 32),
            "source_id": _ids(number // CLIPS_PER_SOURCE, 64),
            "start_s": start_s,
            "end_s": start_s + 181 / 30,
            "frames": pa.array(np.full(clips, 181, np.int32)),
            "cam_translation": rng.exponential(1.0, clips),
            "cam_shake": rng.exponential(0.6, clips),
            **{score: rng.random(clips) for score in UNIT_SCORES},
            "phash": phash,
        }
    )


def sample_rows(first: int, count: int, shard: Callable[[int], str]) -> pa.Table:
    """`count` samples from number `first` on, three of each clip, with the offsets of their members."""
    number = np.arange(first, first + count)
    clip_ids = _ids(number // VARIANTS, 32)
    variant = number % VARIANTS
    offset = (number % SHARD_SAMPLES) * 400_000
    return pa.table(
        {
            "sample_key": [f"{clip}-v{v}" for clip, v in zip(clip_ids, variant)],
            "clip_id": clip_ids,
            "variant": pa.array(variant.astype(np.int32)),
            "recipe": [f'{{"flip": {"true" if v else "false"}, "seed": {n}}}' for n, v in zip(number, variant)],
            "shard": [shard(int(n)) for n in number],
            "bytes": np.full(count, 400_000),
            "mp4_offset": offset + 512,
            "mp4_length": np.full(count, 280_000),
            "json_offset": offset + 281_600,
            "json_length": np.full(count, 900),
            "npy_offset": offset + 283_136,
            "npy_length": np.full(count, 95_696),
            "mp4_sha256": _ids(number, 64),
        }
    )


def shard_rows(samples: pa.Table) -> pa.Table:
    """The shards that the samples name, with their counts."""
    counts = samples.group_by("shard").aggregate([("sample_key", "count")])
    count = counts["sample_key_count"].cast(pa.int32())
    return pa.table({"shard": counts["shard"], "samples": count, "sha256": counts["shard"]})


def _ids(numbers: np.ndarray, digits: int) -> list[str]:
    """Distinct, hash-like identifiers of hexadecimal digits."""
    mixed = numbers.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return [f"{value:016x}" * (digits // 16) for value in mixed.tolist()]


def ledger_rows(samples: pa.Table, rng: np.random.Generator) -> dict[str, pa.Table | list[dict[str, object]]]:
    """Eight losses and one judgement of each sample, and two versions that each lack one sample in ten."""
    keys, count = samples["sample_key"].to_pylist(), len(samples)
    k = np.tile(np.arange(LOSSES, dtype=np.int32), count)
    loss = rng.lognormal(size=count * LOSSES)
    one = {"run": "run", "stage": "starter", "bank": "bank"}
    losses = {
        "sample_key": [key for key in keys for _ in range(LOSSES)], "checkpoint": ["step"] * len(k), "k": k,
        "window": k // 2, "bin": k // 2, "loss": loss,
    }  # fmt: skip
    scores = {name: rng.normal(size=count) for name in ("high_loss", "rho", "unlearnable", "certainty")}
    worth = {"evidence": ["evidence"] * count, "sample_key": keys, **scores}
    names = [f"version-{n}" for n in range(VERSIONS)]
    kept = {name: [key for n, key in enumerate(keys) if n % (GONE + 5 * place)] for place, name in enumerate(names)}
    return {
        "losses": pa.table({**losses, **{name: [value] * len(k) for name, value in one.items()}}),
        "worth": pa.table({**worth, **{name: [value] * count for name, value in one.items()}}),
        "versions": [
            {"version": name, "policy": {"config": {"score": "rho"}, "evidence": ["evidence"]}, "hash": name}
            for name in names
        ],
        "version_samples": pa.table(
            {
                "version": [name for name, held in kept.items() for _ in held],
                "sample_key": [key for held in kept.values() for key in held],
                "weight": np.ones(sum(map(len, kept.values()))),
            }
        ),
    }


def fill(path: Path, clips: int, samples: int) -> None:
    """A catalog of so many clips and samples, with thresholds."""
    rng = np.random.default_rng(0)
    stored = sample_rows(0, samples, lambda n: f"shard-{n // SHARD_SAMPLES:06d}.tar")
    sources = source_rows(-(-clips // CLIPS_PER_SOURCE))
    tables = {
        "sources": sources,
        "clips": clip_rows(clips, rng),
        "shards": shard_rows(stored),
        "samples": stored,
    }
    rebuild(path, tables)
    with open_catalog(path) as con:
        merge_tables(con, ledger_rows(stored, rng))
        set_thresholds(con, THRESHOLDS)


def time_queries(path: Path, repeats: int) -> dict[str, tuple[float, int]]:
    """Median seconds of each example (connection open, query, fetch) and its number of rows."""
    times = {}
    for name, (sql, _) in EXAMPLES.items():
        taken = []
        for _ in range(repeats):
            begin = time.perf_counter()
            _, rows = run_query(path, sql)
            taken.append(time.perf_counter() - begin)
        times[name] = (statistics.median(taken), len(rows))
    return times


def _new_shard(repeat: int, _: int) -> str:
    return f"new-{repeat:06d}.tar"


def time_registrations(path: Path, first: int, repeats: int) -> dict[str, float]:
    """Median seconds to open, to register a shard of 128 samples, to close, and of all three."""
    laps = []
    for repeat in range(repeats):
        samples = sample_rows(first + repeat * SHARD_SAMPLES, SHARD_SAMPLES, partial(_new_shard, repeat))
        shards, samples = shard_rows(samples).to_pylist(), samples.to_pylist()
        begin = time.perf_counter()
        with open_catalog(path) as con:
            opened = time.perf_counter()
            register_shards(con, shards, samples)
            written = time.perf_counter()
        closed = time.perf_counter()
        laps.append((opened - begin, written - opened, closed - written, closed - begin))
    names = ("open", "transaction", "close", "register a shard")
    return {name: statistics.median(lap) for name, lap in zip(names, zip(*laps))}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=25_000)
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    samples = options.clips * VARIANTS
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "catalog.duckdb"
        begin = time.perf_counter()
        fill(path, options.clips, samples)
        filled = time.perf_counter() - begin
        queries = time_queries(path, options.repeats)
        steps = time_registrations(path, samples, options.repeats)
        size = path.stat().st_size
    print(f"{options.clips:,} clips, {samples:,} samples: {size / 1e6:.0f} MB, filled in {filled:.1f} s")
    print(f"{'what':<22}{'seconds':>9}{'limit':>8}{'of limit':>10}{'rows':>7}")
    results: list[tuple[str, float, float | None, str]] = [
        (name, seconds, QUERY_LIMIT_S, f"{rows:>7}") for name, (seconds, rows) in queries.items()
    ]
    limits = {"register a shard": REGISTER_LIMIT_S}
    results += [(name, seconds, limits.get(name), "") for name, seconds in steps.items()]
    for name, seconds, limit, rows in results:
        against = f"{limit:>8.2f}{seconds / limit:>10.2f}" if limit else " " * 18
        print(f"{name:<22}{seconds:>9.3f}{against}{rows}")
    broken = [name for name, seconds, limit, _ in results if limit and seconds > limit]
    if broken and options.clips <= LIMITS_UP_TO_CLIPS:
        print(f"over its limit: {', '.join(broken)}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
