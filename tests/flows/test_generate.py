"""The flow `generate` as a user runs it: killed and run again it ends with the same video, page, row and numbers."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image

from data_catalog.base.paths import DataFolder
from data_catalog.connection import open_catalog
from flows.cli.main import explain
from flows.report.stored_clip import stored_member
from model.config import train_config
from model.data.latents import encode_dataset
from model.training.train import train
from pipeline.shards.cut_sound import read_flac

FRAMES = 30


@pytest.fixture(scope="module")
def data(undisturbed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A built data set, for this module alone."""
    return Path(shutil.copytree(undisturbed, tmp_path_factory.mktemp("generate") / "data"))


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two steps of training of stage `any`."""
    quiet = {"checkpoint_every": 2, "validate_every": 9, "sample_every": 9, "workers": 0, "holdout": 0}
    config = train_config("any", steps=2, batch=2, encode={"picture": 48, "fit_frames": 16}, **quiet)
    encode_dataset(data, config.encode)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return train(data, tmp_path_factory.mktemp("runs") / "any", config).run_dir
    finally:
        torch.set_num_threads(before)


def command(run: Path, out: Path, *more: str) -> list[str]:
    """`longdance generate` at a size that takes seconds."""
    fixed = ["--runs", str(run), "--out", str(out), "--frames", str(FRAMES), "--steps", "4", "--plan", "streaming"]
    return [sys.executable, "-m", "flows.cli", "generate", *fixed, *more]


def to_end(arguments: list[str], env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run one command of longdance."""
    return subprocess.run(arguments, env=env, capture_output=True, text=True, check=False)


def clip_of(data: Path) -> str:
    """A stored clip of the data set."""
    with open_catalog(data / "catalog.duckdb", read_only=True) as con:
        [(clip,)] = con.execute("SELECT min(clip_id) FROM samples").fetchall()
    return str(clip)


def test_a_killed_rollout_run_again_ends_with_the_same_video_and_is_in_the_catalog(data, run, server, tmp_path):
    env, clip = server | {"OMP_NUM_THREADS": "1"}, clip_of(data)
    whole, killed = tmp_path / "whole.mp4", tmp_path / "killed.mp4"
    more = ["--clip", clip, "--data", str(data), "--gif-mb", "0.2", "--pngs"]
    done = to_end(command(run, whole, *more), env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {"colour", "picture_motion", "psnr", "found"} <= {
        line.split()[0] for line in done.stdout.splitlines() if line
    }
    process = subprocess.Popen(command(run, killed, *more), env=env, stdout=subprocess.DEVNULL, start_new_session=True)
    latents, deadline = tmp_path / "killed.rollout" / "latents", time.monotonic() + 240
    while len(list(latents.glob("call-*"))) < 2 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    again = to_end(command(run, killed, *more), env)
    assert again.returncode == 0, again.stdout + again.stderr
    assert killed.read_bytes() == whole.read_bytes()
    assert same_sound(whole, data, clip)
    numbers = [json.loads((tmp_path / f"{n}.rollout" / "metrics.json").read_text()) for n in ("whole", "killed")]
    assert numbers[0] == numbers[1]
    assert whole.with_suffix(".gif").stat().st_size <= 200_000
    assert len(list((tmp_path / "whole.rollout" / "frames").glob("*.png"))) == FRAMES
    check_page(whole.with_suffix(".html").read_text())
    with open_catalog(data / "catalog.duckdb", read_only=True) as con:
        rows = con.execute("SELECT plan, seed, path, (metrics->>'frames')::INTEGER FROM rollouts ORDER BY path")
        assert rows.fetchall() == [("streaming", 0, str(path), FRAMES) for path in (killed, whole)]


def same_sound(video: Path, data: Path, clip: str) -> bool:
    """Whether a video plays the sound of a clip from its beginning."""
    flac = stored_member(DataFolder(data), clip, "flac")
    assert flac is not None
    stored, _ = read_flac(flac)
    with av.open(str(video)) as container:
        played = np.concatenate([frame.to_ndarray().mean(0) for frame in container.decode(audio=0)])
    length = min(len(stored), len(played)) - 1024
    return bool(np.corrcoef(stored[:length, 0], played[:length])[0, 1] > 0.98)


def check_page(page: str) -> None:
    """Every curve is in it, and its policy lets it ask for nothing from anywhere."""
    [data] = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    assert len(json.loads(data)["curves"]) >= 10
    assert 'src="data:video/mp4;base64,' in page
    assert "default-src &#39;none&#39;" in page
    assert not re.search(r"""(src|href)\s*=\s*["'](?!data:)|url\(|@import|https?://(?!www\.w3)""", page)


def test_a_picture_without_a_person_is_one_sentence_and_exit_code_2(run, server, tmp_path):
    Image.new("RGB", (300, 300), (90, 90, 90)).save(tmp_path / "wall.png")
    done = to_end(command(run, tmp_path / "out.mp4", "--image", str(tmp_path / "wall.png")), server)
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.startswith("longdance: No person was found")
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.glob("out*"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"image": None, "clip": "waltz"}, "no stored clip 'waltz'"),
        ({"image": None, "clip": "waltz", "data": None}, "name it with --data"),
        ({"image": None}, "Give either a picture"),
        ({"plan": "spiral"}, "'plan' is 'spiral'.*'origin', 'streaming', 'tree' or 'star'"),
        ({"fvd": Path("i3d.pt")}, "no FVD weights"),
        ({"redo": "4:8"}, "is not finished"),
        ({"sampling": {"steps": -1}}, "'steps'"),
        ({"data": Path("/nowhere")}, "holds no data set"),
        ({"runs": [Path("/nowhere")]}, "is not a run"),
        ({"fps": 0.0}, "'fps' is 0.0"),
        ({"fps": float("nan")}, "'fps' is nan"),
        ({"gif_mb": -1.0}, "'gif_mb' is -1.0"),
        ({"gif_mb": float("inf")}, "'gif_mb' is inf"),
        ({"sampling": {"seed": 2**63}}, "'seed'"),
        ({"sampling": {"prompt": "a cat"}}, "trained without text: leave it out"),
        ({"out": Path("/tmp") / ("x" * 300 + ".mp4")}, "name too long"),
    ],
)
def test_mistakes_are_found_before_anything_begins(changes, words, data, run, tmp_path):
    from flows.generate_request import generate_request, open_request

    Image.new("RGB", (300, 300), (90, 90, 90)).save(tmp_path / "wall.png")
    given = {
        "runs": [run], "out": tmp_path / "out.mp4", "image": tmp_path / "wall.png", "data": data,
        "frames": FRAMES, "plan": "streaming", "align": False,
    }  # fmt: skip
    assert open_request(generate_request(**given)).prepared.serving
    with pytest.raises(Exception, match=words) as caught:
        open_request(generate_request(**{**given, **changes}))
    sentence = explain(caught.value)
    assert sentence is not None
    assert "\n" not in sentence
    assert not list(tmp_path.glob("out*"))


def test_a_dry_run_says_which_run_serves_which_stage_and_makes_nothing(run, tmp_path):
    done = to_end(command(run, tmp_path / "out.mp4", "--dry-run"), dict(os.environ))
    assert done.returncode == 0, done.stderr
    assert f"interpolation: {run} (step 2)" in done.stdout
    assert "depth at most" in done.stdout
    assert not list(tmp_path.iterdir())
