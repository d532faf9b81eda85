"""From `git clone` to the contact sheet of a folder of videos, on a machine that has neither pip's cache nor a home.

python bench/first_picture.py ~/videos
"""

import argparse
import os
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def timed(command: list[str], folder: Path, env: dict[str, str]) -> float:
    """Seconds that a command takes. Raises CalledProcessError where it fails."""
    started = time.monotonic()
    subprocess.run(command, cwd=folder, env=env, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - started


def main() -> None:
    """Clone what is committed here, install it, build, and say how long each took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", type=Path)
    videos = parser.parse_args().videos.resolve(strict=True)
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        clone, data = work / "longdance", work / "data"
        env = {"HOME": str(work), "PATH": os.defpath + ":/usr/local/bin", "PWD": str(clone)}
        steps = {
            "clone": (["git", "clone", "--quiet", str(ROOT), str(clone)], work),
            "install": (["make", ".venv/.ready"], clone),
            "build": ([str(clone / ".venv/bin/longdance"), "build", str(videos), "--data", str(data)], clone),
        }
        seconds = {step: timed(command, folder, env) for step, (command, folder) in steps.items()}
        assert (data / "contact_sheet.jpg").is_file()
    print(", ".join(f"{step} {took:.0f} s" for step, took in seconds.items()))
    print(f"from git clone to the contact sheet: {sum(seconds.values()):.0f} s")


if __name__ == "__main__":
    main()
