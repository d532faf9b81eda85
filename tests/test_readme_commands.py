"""The README's own commands, one after the other, in a clean home: what it says is what a stranger can type."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import pytest
from PIL import Image

from tests.test_readme import COMMANDS

SMALL = " --set encode.picture=48 --set encode.fit_frames=16"
SHORTER = {
    "longdance train": f"{SMALL} --set steps=4 --set batch=2 --set holdout=0.4",
    "longdance encode": SMALL,
    "longdance prune": " --set policy.motion_strata=1 --set fit.steps=2",
    "longdance experiment": " --seeds 1 --steps 2",
    "longdance generate": " --steps 1 --gif-mb 0",
    "longdance calibrate": " --steps 1 --clips 1",
}
"""What is added so that a quarter of an hour is enough; nothing else differs from the page."""
QUERY = "SELECT min(clip_id) FROM samples"


def shell(line: str, home: Path) -> subprocess.CompletedProcess[str]:
    """One line as bash runs it, in the home folder."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    env = {**os.environ, "HOME": str(home), "PATH": path, "PREFECT_HOME": str(home / ".prefect")}
    env.setdefault("XDG_CACHE_HOME", str(Path.home() / ".cache"))
    return subprocess.run(["bash", "-c", line], cwd=home, env=env, capture_output=True, text=True, check=False)


def first_picture(video: Path, picture: Path) -> None:
    with av.open(str(video)) as container:
        Image.fromarray(next(container.decode(video=0)).to_ndarray(format="rgb24")).save(picture)


def serves(line: str, home: Path) -> None:
    """`serve` runs until Ctrl-C, so it is given one."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    env = {**os.environ, "HOME": str(home), "PATH": path, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        ["bash", "-c", f"exec {line} --port 0"], cwd=home, env=env, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert "http://127.0.0.1" in process.stdout.readline()
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) in (0, 130)


@pytest.mark.soak
def test_all_commands_of_the_readme_run_in_order_in_a_clean_home(tmp_path):
    drawn = shell("longdance synth ~/videos --videos 6 --seed 3", tmp_path)
    assert drawn.returncode == 0, drawn.stderr
    first_picture(tmp_path / "videos" / "synth_3_0000.mp4", tmp_path / "me.png")
    clip = ""
    for line in COMMANDS:
        started = time.monotonic()
        typed = line.replace("CLIP_ID", clip)
        if typed.startswith("longdance serve"):
            serves(typed, tmp_path)
            continue
        added = next((more for start, more in SHORTER.items() if typed.startswith(start)), "")
        done = shell(typed + added, tmp_path)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        print(f"{time.monotonic() - started:6.1f} s  {line}", flush=True)
        if typed.startswith("longdance build"):
            found = shell(f'longdance sql "{QUERY}" --data ~/dance --format csv', tmp_path)
            clip = found.stdout.splitlines()[1]
