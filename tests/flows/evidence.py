"""What training, scoring and generating leave in the catalog, for tests of the page: rows, files and hostile names."""

import json
import math
import shutil
from datetime import datetime
from pathlib import Path
from typing import Any

from data_catalog.connection import open_catalog
from data_catalog.writes import merge_checkpoints, merge_losses, merge_rollouts, merge_runs, merge_versions
from pipeline.layout import DataFolder

HOSTILE = "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
CREATED = datetime(2026, 11, 1, 12)


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
        _row(runs["starter"], "run-a", "starter", None, "all"),
        _row(runs["extrapolation"], "run-b", "extrapolation", None, "all", init=f"run:{runs['starter']}"),
        _row(runs["forked"], "run-c", "starter", "run-a", "pruned-10", learning_rate=3e-5),
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
        merge_rollouts(con, [_rollout("first", video, 1.0), _rollout(HOSTILE, None, 2.0)])
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
        "status": "finished", "step": 200, "created": CREATED.replace(hour=ord(run[-1]) - 90),
    }  # fmt: skip


def _loss(key: str, number: int, k: int) -> dict[str, Any]:
    value = 0.2 + 0.1 * math.sin(number) + 0.01 * k
    return {
        "sample_key": key, "run": "run-a", "checkpoint": "step-00000200", "stage": "starter", "bank": "bank-0",
        "window": 0, "bin": k, "k": k, "log_snr": 1.0 * k, "loss": value,
    }  # fmt: skip


def _rollout(name: str, video: Path | None, dose: float) -> dict[str, Any]:
    def curve(rate: float) -> list[float | None]:
        return [dose * rate * i / 181 + 0.02 * math.sin(i / 3) if i % 50 else None for i in range(181)]

    metrics = {
        "generated": {"colour": curve(0.5), "sharpness": curve(-0.3)}, "real": {"colour": curve(0.05)},
        "flicker": curve(0.1), "slopes": {"colour": 0.01 * dose}, "dancer_found": 0.83, "note": HOSTILE,
    }  # fmt: skip
    return {
        "rollout": name, "path": str(video) if video else "/nowhere/made.mp4", "plan": "origin", "seed": 7,
        "runs": ["run-a", "run-b"], "metrics": metrics, "config": {"steps": 30}, "created": CREATED.replace(day=3),
    }  # fmt: skip


def copy_video(source: Path, out: Path) -> Path:
    """A video for a rollout."""
    shutil.copyfile(source, out)
    return out
