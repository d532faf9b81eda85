"""Two hosts on one network, with RAW and DATA on storage that both see."""

import hashlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.synthetic.synth import SynthVideo, write_video
from pipeline.video.ffmpeg import ffmpeg_exe
from tests.two_hosts.hosts import clean_environment, cluster, hosts, need_rights, on_cluster, start_ray

pytest.importorskip("ray")

SMALL = ("--frames", "25", "--variants", "1", "--set", "crop.shape=128", "--set", "analysis.proxy_px=256")
# As a fault of a decoder would: it ends the process that has the file open, on whichever host.
DEADLY = """#!/bin/bash
for file in /proc/$$/fd/*; do
    [ -f "$file" ] && [ "$(tail -c 6 "$file" | tr -d '\\0')" = DEADLY ] && kill -9 $PPID
done
exec {ffmpeg} "$@"
"""


def shards_of(data: Path) -> dict[str, str]:
    """The sha256 of each shard and manifest by name."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (data / "shards").iterdir()}


def build(raw: Path, data: Path) -> list[str]:
    """The command."""
    return [sys.executable, "-m", "flows.cli", "build", str(raw), "--data", str(data), *SMALL]


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Two videos."""
    need_rights()
    (tmp_path / "raw").mkdir()
    for name, seed in (("first", 12), ("second", 14)):
        write_video(
            SynthVideo(name=name, seed=seed, width=360, height=360, fps="25", frames=40, standing=0.5), tmp_path / "raw"
        )
    return tmp_path / "raw"


@pytest.mark.soak
def test_two_hosts_build_what_one_does_and_a_killer_is_left_out(raw, tmp_path):
    alone, together = tmp_path / "alone", tmp_path / "together"
    subprocess.run(build(raw, alone), env=clean_environment(), check=True, capture_output=True, timeout=900)
    (raw / "deadly.mp4").write_bytes((raw / "first.mp4").read_bytes() + b"DEADLY")
    script = tmp_path / "ffmpeg"
    script.write_text(DEADLY.format(ffmpeg=shutil.which(ffmpeg_exe()) or ffmpeg_exe()))
    script.chmod(0o755)
    more = {"LONGDANCE_FFMPEG": str(script)}
    with hosts() as both, cluster(both, more) as address:
        env = on_cluster(both[0], address, more)
        done = both[0].run(*build(raw, together), env=env)
        assert all(host.worked() for host in both)
    assert "A worker died again" in done.stderr
    assert json.loads((together / "last_run.json").read_text())["sources_killed_worker"] == 1
    assert "killed_worker" in done.stdout
    assert shards_of(together) == shards_of(alone)


@pytest.mark.soak
def test_a_host_that_differs_is_refused_in_one_sentence(raw, tmp_path):
    script = tmp_path / "ffmpeg"
    script.write_text("#!/bin/sh\necho ffmpeg version 0.1")
    script.chmod(0o755)
    with hosts() as both, cluster(both[:1]) as address, both[1].ends():
        start_ray(both[1], address, {"LONGDANCE_FFMPEG": str(script)})
        env = on_cluster(both[0], address, {})
        done = both[0].run(*build(raw, tmp_path / "data"), env=env, check=False)
        seen = both[0].run(sys.executable, "-m", "flows.cli", "doctor", "--cluster", env=env, check=False)
    assert done.returncode == 2
    [said] = [line for line in done.stderr.splitlines() if line.startswith("longdance: ")]
    assert f"Host {both[1].address} has ffmpeg ffmpeg version 0.1, here it is" in said
    assert not (tmp_path / "data" / "clips").exists()
    assert seen.returncode == 1
    assert re.search(rf"missing +{re.escape(both[1].address)} versions +Host .* has ffmpeg", seen.stdout)
    assert re.search(rf"ok +{re.escape(both[0].address)} ffmpeg", seen.stdout)
