"""Clips of 384x640 go the whole way: build, train, a kill, prune, generate, report."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from data_catalog.base.files import read_json, sha256_file
from data_catalog.connection import open_catalog
from pipeline.shards.tar import read_member
from pipeline.synthetic.synth import SynthVideo, write_video
from tests.flows.conftest import build

STEPS = 6
ENCODE = {"encode.picture": "48x80", "encode.patch": "4", "encode.channels": "16", "encode.fit_frames": "16"}
TRAIN = ENCODE | {
    "steps": str(STEPS), "batch": "2", "checkpoint_every": "1", "validate_every": "50", "sample_every": "3",
    "sample_steps": "1", "sample_windows": "1", "holdout": "0.4",
}  # fmt: skip
PRUNE = {"policy.motion_strata": "2", "policy.cap": "2", "scoring.k": "4", "scoring.bank.bins": "2"}


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two upright videos whose dancers nearly fill the picture: 384x640 is wider than that."""
    folder = tmp_path_factory.mktemp("upright")
    for number, standing in enumerate((0.78, 0.7)):
        spec = SynthVideo(name=f"upright{number}", seed=21 + number, width=360, height=640, fps="30", frames=60)
        write_video(spec.model_copy(update={"standing": standing}), folder)
    return folder


def longdance(env: dict[str, str], *arguments: str, settings: dict[str, str] | None = None) -> str:
    """What a command that ends well prints."""
    done = subprocess.run(command(*arguments, settings=settings), env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def command(*arguments: str, settings: dict[str, str] | None = None) -> list[str]:
    named = [f"--set={name}={value}" for name, value in (settings or {}).items()]
    return [sys.executable, "-m", "flows.cli", *arguments, *named]


def killed(env: dict[str, str], run: Path, arguments: list[str]) -> None:
    """Start a training and kill all of it once there is a checkpoint."""
    process = subprocess.Popen(arguments, env=env, stdout=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 240
    while not list(run.glob("checkpoints/step-*")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def samples_of(data: Path) -> list[tuple[dict[str, Any], np.ndarray, np.ndarray]]:
    """(json, landmarks, luma of the first frame) of each stored sample."""
    with open_catalog(data / "catalog.duckdb", read_only=True) as con:
        rows = con.execute(
            "SELECT shard, mp4_offset, mp4_length, json_offset, json_length, npy_offset, npy_length FROM samples"
        ).fetchall()
    found = []
    for shard, *places in rows:
        video, meta, points = (read_member(data / "shards" / shard, *places[i : i + 2]) for i in (0, 2, 4))
        with av.open(io.BytesIO(video)) as container:
            frame = next(container.decode(video=0)).to_ndarray(format="gray")
        found.append((json.loads(meta), np.load(io.BytesIO(points), allow_pickle=False), frame))
    return found


def test_384x640_goes_the_whole_way(raw: Path, server: dict[str, str], tmp_path: Path) -> None:
    env, data, runs = server | {"OMP_NUM_THREADS": "1"}, tmp_path / "data", tmp_path / "runs"
    build(raw, data, env, "--set=crop.shape=384x640")
    check_samples(data)
    longdance(env, "train", "any", "--data", str(data), "--run", str(runs / "any"), settings=TRAIN)
    [shape] = {tuple(read_json(path)["shape"]) for path in data.glob("latents/*/*.json")}
    assert shape == (16, 20, 12)
    longdance(env, "verify", "--data", str(data))  # clips and latents
    sheet = cv2.imread(str(next((runs / "any" / "samples").glob("*.png"))))
    assert sheet.shape[0] % 80 == 0

    pruned = ["--run", str(runs / "any"), "--score", "high_loss", "--fraction", "0.3", "--name", "lean"]
    longdance(env, "prune", "--data", str(data), *pruned, settings=PRUNE)
    with open_catalog(data / "catalog.duckdb", read_only=True) as con:
        [(finite, losses, kept)] = con.execute(
            "SELECT bool_and(isfinite(loss)), count(*), (SELECT samples FROM versions WHERE version = 'lean') "
            "FROM losses"
        ).fetchall()
    assert finite
    assert losses >= 4 * kept > 0

    check_generated(env, data, runs / "any", raw, tmp_path)
    longdance(env, "report", "--data", str(data))
    posters = [cv2.imread(str(path)).shape[:2] for path in (data / "report_files" / "posters").rglob("*.jpg")]
    assert set(posters) == {(256, 154)}


@pytest.mark.soak
def test_a_killed_training_on_384x640_ends_with_the_same_weights(raw, server, tmp_path):
    """As `test_train_stage` holds it of square clips."""
    env, data, runs = server | {"OMP_NUM_THREADS": "1"}, tmp_path / "data", tmp_path / "runs"
    build(raw, data, env, "--set=crop.shape=384x640")
    train = {name: command("train", "any", "--data", str(data), "--run", str(runs / name), settings=TRAIN)
             for name in ("any", "killed")}  # fmt: skip
    subprocess.run(train["any"], env=env, check=True, stdout=subprocess.DEVNULL)
    killed(env, runs / "killed", train["killed"])
    subprocess.run(train["killed"], env=env, check=True, stdout=subprocess.DEVNULL)
    last = Path("checkpoints") / f"step-{STEPS:08d}"
    names = sorted(path.name for path in (runs / "any" / last).iterdir())
    assert len(names) > 3
    assert all(len({sha256_file(runs / run / last / name) for run in ("any", "killed")}) == 1 for name in names)


def check_samples(data: Path) -> None:
    """Upright, partly filled, and the json, the catalog, the landmarks and the pixels agree on where."""
    samples = samples_of(data)
    assert len(samples) >= 6
    filled = 0
    for meta, landmarks, frame in samples:
        assert meta["size"] == [384, 640]
        assert frame.shape == (640, 384)
        [[x0, y0, x1, y1]] = meta["picture"]
        assert 0 <= x0 < x1 <= 384
        assert 0 <= y0 < y1 <= 640
        assert meta["filled"] == pytest.approx(1 - (x1 - x0) * (y1 - y0) / (384 * 640), abs=1e-4)
        assert np.median(landmarks[:, 0, 0]) == pytest.approx(192, abs=60)
        filled += meta["filled"] > 0
        if x0 > 8:  # no detail finer than the softened edge's
            outside, inside = frame[y0:y1, :x0].astype(float), frame[y0:y1, x0:x1].astype(float)
            assert np.abs(np.diff(outside, axis=1)).mean() < 0.5 * np.abs(np.diff(inside, axis=1)).mean() + 0.5
    assert filled >= 2
    with open_catalog(data / "catalog.duckdb", read_only=True) as con:
        known = dict(con.execute("SELECT sample_key, picture FROM samples").fetchall())
        scores = con.execute("SELECT filled, crop_width / crop_height FROM clips WHERE verdict = 'ok'").fetchall()
    for meta, *_ in samples:
        told = known[meta["sample_key"]]
        assert (json.loads(told) if told else [[0, 0, 384, 640]]) == meta["picture"]
    assert all(aspect == pytest.approx(0.6, abs=0.01) for _, aspect in scores)
    assert max(share for share, _ in scores) > 0


def check_generated(env: dict[str, str], data: Path, run: Path, raw: Path, folder: Path) -> None:
    """From a picture and from a clip: a video of the encoded shape, whose drift is measured where it is true."""
    with av.open(str(raw / "upright0.mp4")) as container:
        next(container.decode(video=0)).to_image().save(folder / "me.png")
    with open_catalog(data / "catalog.duckdb", read_only=True) as con:
        [(clip,)] = con.execute(
            "SELECT min(s.clip_id) FROM samples s JOIN clips c USING (clip_id) WHERE filled > 0"
        ).fetchall()
    fixed = ["--runs", str(run), "--data", str(data), "--frames", "9", "--steps", "1", "--gif-mb", "0"]
    for name, given in (("picture", ["--image", str(folder / "me.png")]), ("clip", ["--clip", clip])):
        out = folder / f"{name}.mp4"
        longdance(env, "generate", *fixed, "--plan", "streaming", "--out", str(out), *given)
        with av.open(str(out)) as container:
            frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        assert {frame.shape for frame in frames} == {(80, 48, 3)}
        x0, y0, x1, y1 = read_json(out.with_name(f"{name}.rollout") / "metrics.json")["region"]
        assert (x1 - x0) * (y1 - y0) < 48 * 80
        assert re.search(r"Measured are pixels \d+ to", out.with_suffix(".html").read_text())
