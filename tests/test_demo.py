"""The demo is nothing but commands that a user types, and continues wherever it was stopped."""

import os
import random
import shlex
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import pytest

from data_catalog.base.files import read_json, sha256_file
from flows.cli.main import main
from model.choreography.choreographer import Choreographer
from model.choreography.compose import DanceOrder, compose
from model.choreography.config import dance_config
from model.choreography.measures import body_of, steadiness
from model.data.codec import load_codec
from model.network.unet import VideoUNet
from pipeline.picture_size import PictureSize
from tests.model.dataset import dancing_joints

ROOT = Path(__file__).parents[1]
DEMO = [sys.executable, str(ROOT / "tools" / "demo.py")]
SHOWCASE = [sys.executable, str(ROOT / "tools" / "showcase.py")]
WEIGHTS = ROOT / "showcase"


@pytest.mark.parametrize(
    ("tool", "expected"),
    [
        (
            DEMO,
            ["synth", "build", "verify", *["train"] * 4, "prune", "generate", "generate", "warp", "generate", "report"],
        ),
        (SHOWCASE, ["synth", "build", "train", "train", "export", "export"]),
    ],
    ids=["demo", "showcase"],
)
def test_every_step_is_a_command_that_longdance_takes(tool, expected):
    done = subprocess.run([*tool, "--dry-run"], capture_output=True, text=True, check=True, cwd=ROOT)
    names = []
    for command in done.stdout.splitlines():
        program, name, *arguments = shlex.split(command)
        assert program == "longdance"
        with main.commands[name].make_context(name, arguments, resilient_parsing=False):
            names.append(name)
    assert names == expected


def test_the_showcase_is_small_whole_and_the_one_that_the_readme_names():
    assert sum(path.stat().st_size for path in WEIGHTS.rglob("*.*")) <= 9 * 2**20
    sha256 = sha256_file(WEIGHTS / "diffusion_pytorch_model.safetensors")
    assert read_json(WEIGHTS / "origin.json")["weights_sha256"] == sha256
    assert sha256[:16] in (ROOT / "README.md").read_text()
    network, codec = VideoUNet.from_pretrained(str(WEIGHTS)), load_codec(WEIGHTS)
    assert network.latent_channels == codec.channels


def test_the_showcase_s_choreographer_is_small_and_dances():
    folder = WEIGHTS / "choreographer"
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 2**20
    choreographer = Choreographer.open(folder)
    assert choreographer.record["checkpoint"] == read_json(folder / "origin.json")["weights_sha256"]
    order = DanceOrder(dancing_joints(1, 128, 5)[0].astype(float), PictureSize(128, 128), 60, Fraction(30))
    dance = compose(choreographer.network, order, dance_config(candidates=1, steps=4))
    assert steadiness(dance, body_of(dance)).speed > 0.05


@pytest.mark.soak
def test_the_demo_killed_at_five_random_moments_ends_with_a_playable_video_and_a_report(tmp_path):
    out, chance = tmp_path / "demo", random.Random(6)
    arguments = [*DEMO, "--out", str(out)]
    for _ in range(5):
        process = subprocess.Popen(arguments, start_new_session=True)
        try:
            process.wait(timeout=chance.uniform(5, 150))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    started = time.monotonic()
    subprocess.run(arguments, check=True)
    print(f"went on to its end in {time.monotonic() - started:.0f} s")
    import av

    with av.open(str(out / "generated.mp4")) as video:
        assert sum(1 for _ in video.decode(video=0)) == 181
    with av.open(str(out / "warped.mp4")) as video:
        assert sum(1 for _ in video.decode(video=0)) == 181
    assert "</html>" in (out / "data" / "report.html").read_text()
    assert read_json(out / "generated.rollout" / "metrics.json")["metrics"]["found"]["mean"] >= 0.5
