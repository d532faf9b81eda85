"""What training, scoring and generating leave in the catalog, for tests of the page: rows, files and hostile names."""

import hashlib
import json
import math
import shutil
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from data_catalog.base.paths import DataFolder
from data_catalog.connection import open_catalog
from data_catalog.writes import merge_checkpoints, merge_losses, merge_rollouts, merge_runs, merge_versions
from model.drift.metrics import METRICS, TRUTH_METRICS, Measured
from model.drift.report import Drift, catalog_metrics

HOSTILE = "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
CREATED = datetime(2026, 11, 1, 12)
# Names as long as the flows write them: what the page cannot break hangs over its box.
RUN_A, RUN_B, RUN_C = (hashlib.sha256(name.encode()).hexdigest()[:32] for name in "abc")
CHECKPOINT, BANK = hashlib.sha256(b"checkpoint").hexdigest(), hashlib.sha256(b"bank").hexdigest()[:16]
ROLLOUT = hashlib.sha256(b"rollout").hexdigest()[:32]


def add_evidence(data: DataFolder, folder: Path, video: Path | None = None) -> dict[str, Any]:
    """Two versions, three runs with curves, a ledger of one loss per sample and bank entry, and two rollouts."""
    with open_catalog(data.catalog) as con:
        keys = [row[0] for row in con.execute("SELECT sample_key FROM samples ORDER BY 1").fetchall()]
        clips = {row[0] for row in con.execute("SELECT clip_id FROM samples GROUP BY 1 ORDER BY 1").fetchall()[::5]}
        gone = {row[0] for row in con.execute("SELECT sample_key, clip_id FROM samples").fetchall() if row[1] in clips}
    thinned = next(key for key in keys if key not in gone and key.endswith("v1"))
    kept = [key for key in keys if key not in gone and key != thinned]
    runs = {
        name: _run(folder / name, name, number) for number, name in enumerate(("starter", "extrapolation", "forked"))
    }
    rows = [
        _row(runs["starter"], RUN_A, "starter", None, "all"),
        _row(runs["extrapolation"], RUN_B, "extrapolation", None, "all", init=f"run:{runs['starter']}"),
        _row(runs["forked"], RUN_C, "starter", RUN_A, "pruned-10", learning_rate=3e-5),
    ]
    with open_catalog(data.catalog) as con:
        merge_versions(
            con,
            [
                _version("all", None, {"name": "all"}, keys, 1),
                _version("pruned-10", "all", {"name": HOSTILE, "fraction": 0.1}, kept, 2),
            ],
            [_member("all", key) for key in keys] + [_member("pruned-10", key) for key in kept],
        )
        merge_runs(con, rows)
        merge_checkpoints(
            con,
            [
                {"run": row["run"], "step": 200, "path": str(runs[name] / "checkpoints" / "step-00000200"),
                 "verified": True, "bytes": 1000}
                for name, row in zip(runs, rows)
            ],
        )  # fmt: skip
        merge_losses(con, [_loss(key, number, k) for number, key in enumerate(keys) for k in range(4)])
        merge_rollouts(con, [_rollout(ROLLOUT, video, 1.0), _rollout(HOSTILE, None, 2.0)])
    return {"keys": keys, "removed_clips": sorted(clips), "thinned": thinned}


def _version(name: str, parent: str | None, policy: dict[str, Any], keys: list[str], day: int) -> dict[str, Any]:
    row = {"version": name, "parent": parent, "policy": policy, "hash": 64 * name[0], "samples": len(keys)}
    return row | {"created": CREATED.replace(day=day)}


def _member(version: str, key: str) -> dict[str, Any]:
    return {"version": version, "sample_key": key, "weight": 1.0}


def _run(folder: Path, name: str, number: int) -> Path:
    (folder / "checkpoints").mkdir(parents=True)
    lines: list[dict[str, Any]] = []
    for step in range(1, 201):
        loss = 0.9 * math.exp(-step / 80) + 0.1 + 0.05 * math.sin(step * 1.7 + number)
        lines.append({"kind": "step", "step": step, "samples_seen": 4 * step, "loss": loss, "losses": [loss]})
        lines[-1] |= {"learning_rate": min(step / 50, 1) * 1e-4, "grad_norm": 1 + math.cos(step)}
    for step in range(0, 201, 40):
        bins = [0.2 + 0.6 * math.exp(-step / 90) + 0.08 * b for b in range(4)]
        lines.append({"kind": "validation", "step": step, "loss": sum(bins) / 4, "bins": bins})
    text = "\n".join(json.dumps(line) for line in lines)
    (folder / "metrics.jsonl").write_text(text + '\n{"kind": "step", "st')  # what a kill leaves
    return folder


def _row(folder: Path, run: str, stage: str, parent: str | None, version: str, **config: Any) -> dict[str, Any]:
    settings = {"stage": stage, "batch": 4, "learning_rate": 1e-4, "encode": {"picture": 48}} | config
    return {
        "run": run, "stage": stage, "parent": parent, "config": settings, "version": version, "code_hash": "c" * 64,
        "status": "finished", "step": 200, "created": CREATED.replace(hour=7 + (RUN_A, RUN_B, RUN_C).index(run)),
    }  # fmt: skip


def _loss(key: str, number: int, k: int) -> dict[str, Any]:
    value = 0.2 + 0.1 * math.sin(number) + 0.01 * k
    return {
        "sample_key": key, "run": RUN_A, "checkpoint": CHECKPOINT, "stage": "starter", "bank": BANK,
        "window": 0, "bin": k, "k": k, "log_snr": 1.0 * k, "loss": value,
    }  # fmt: skip


def _rollout(name: str, video: Path | None, dose: float) -> dict[str, Any]:
    return {
        "rollout": name, "path": str(video) if video else "/nowhere/made.mp4", "plan": "origin", "seed": 7,
        "runs": {"starter": RUN_A, "extrapolation": RUN_B}, "metrics": drift_metrics(dose), "config": {"steps": 30},
        "created": CREATED.replace(day=3),
    }  # fmt: skip


def drift_metrics(dose: float, frames: int = 361) -> dict[str, Any]:
    """What `longdance generate` keeps of a rollout: of a video longer than the real clip beside it."""
    names = (*METRICS, *TRUTH_METRICS)
    made, real = _measured(names, frames, dose), _measured(tuple(METRICS), 181, 0.1)
    return catalog_metrics(Drift(made, [("clip-0", real)], dict.fromkeys(range(frames), 1)).report())


def _measured(names: Sequence[str], frames: int, dose: float) -> Measured:
    curves = {
        name: [dose * number * i / frames + 0.02 * math.sin(i / 3) if i % 50 else math.nan for i in range(frames)]
        for number, name in enumerate(names)
    }
    return Measured(curves, np.full((frames, 33, 4), np.nan))


def copy_video(source: Path, out: Path) -> Path:
    """A video for a rollout."""
    shutil.copyfile(source, out)
    return out
