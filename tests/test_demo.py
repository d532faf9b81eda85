"""The demo is nothing but commands that a user types, and goes on wherever it was stopped."""

import os
import random
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flows.cli import main

ROOT = Path(__file__).parents[1]
DEMO = [sys.executable, str(ROOT / "tools" / "demo.py")]


def commands() -> list[str]:
    done = subprocess.run([*DEMO, "--dry-run"], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_every_step_of_the_demo_is_a_command_that_longdance_takes():
    names = []
    for command in commands():
        program, name, *arguments = shlex.split(command)
        assert program == "longdance"
        with main.commands[name].make_context(name, arguments, resilient_parsing=False):
            names.append(name)
    assert names == ["synth", "build", "verify", "train", "train", "train", "prune", "generate", "report"]


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
    assert "</html>" in (out / "data" / "report.html").read_text()
