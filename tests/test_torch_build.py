"""A machine without a GPU gets torch's CPU build, from an index that may be unreachable; the other one can be had."""

import os
import re
import shutil
import subprocess
import sys
import threading
import venv
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
VERSION = "9.9.0"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def put_wheel(index: Path, version: str) -> None:
    """An index of one package: a torch without code."""
    folder = index / "torch"
    folder.mkdir(parents=True)
    info = f"torch-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: torch\nVersion: {version}\n"
    tag = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    name = f"torch-{version}-py3-none-any.whl"
    with zipfile.ZipFile(folder / name, "w") as wheel:
        wheel.writestr(f"{info}/METADATA", metadata)
        wheel.writestr(f"{info}/WHEEL", tag)
        wheel.writestr(f"{info}/RECORD", f"{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    (folder / "index.html").write_text(f'<a href="{name}">{name}</a>')


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """Two indexes on this machine: /cpu holds the CPU's build, /simple the default one."""
    put_wheel(tmp_path / "indexes" / "cpu", f"{VERSION}+cpu")
    put_wheel(tmp_path / "indexes" / "simple", VERSION)
    with HTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "indexes"))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class Machine:
    """A repository of two files and an environment, with or without a GPU."""

    def __init__(self, folder: Path, address: str, gpu: bool) -> None:
        self.folder = folder
        (folder / "tools").mkdir(parents=True)
        shutil.copy(ROOT / "tools" / "torch.sh", folder / "tools")
        (folder / "constraints.txt").write_text(f"torch=={VERSION}\n")
        venv.create(folder / ".venv", with_pip=True)
        programs = folder / "programs"
        programs.mkdir()
        (programs / "nvidia-smi").write_text(f"#!/bin/sh\n{'echo GPU 0: one' if gpu else 'exit 9'}\n")
        (programs / "nvidia-smi").chmod(0o755)
        clean = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
        path = f"{programs}:{os.environ['PATH']}"
        self.env = clean | {"PATH": path, "PIP_INDEX_URL": f"{address}/simple", "TORCH_INDEX": f"{address}/cpu"}
        self.env |= {"PIP_CONFIG_FILE": os.devnull, "no_proxy": "127.0.0.1"}

    def torch(self, *words: str, **env: str) -> tuple[str, str]:
        """The version that is there after the script, and what it said."""
        done = subprocess.run(
            ["sh", "tools/torch.sh", *words], cwd=self.folder, env=self.env | env, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        code = "import importlib.metadata as m; print(m.version('torch'))"
        found = subprocess.run(
            [self.folder / ".venv/bin/python", "-c", code], capture_output=True, text=True, check=True
        )
        return found.stdout.strip(), done.stdout + done.stderr


pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is one build")


def test_without_a_gpu_the_cpus_build_is_taken_and_stays_and_the_other_can_be_had(address, tmp_path):
    machine = Machine(tmp_path / "machine", address, gpu=False)
    version, said = machine.torch()
    assert version == f"{VERSION}+cpu"
    assert "for an NVIDIA GPU: sh tools/torch.sh cuda" in said
    assert machine.torch() == (f"{VERSION}+cpu", ""), "a second `make` changes nothing"
    assert machine.torch("cuda")[0] == VERSION
    assert machine.torch() == (VERSION, ""), "what was chosen stays"
    assert machine.torch("cpu")[0] == f"{VERSION}+cpu"


def test_with_a_gpu_the_default_indexs_build_is_taken(address, tmp_path):
    version, said = Machine(tmp_path / "machine", address, gpu=True).torch()
    assert version == VERSION
    assert "for the CPU alone: sh tools/torch.sh cpu" in said


def test_where_the_cpus_index_cannot_be_reached_the_default_one_does_and_says_so(address, tmp_path):
    machine = Machine(tmp_path / "machine", address, gpu=False)
    version, said = machine.torch(TORCH_INDEX="http://127.0.0.1:9/whl/cpu")
    assert version == VERSION
    assert "http://127.0.0.1:9/whl/cpu cannot be reached" in said


def test_make_and_the_images_take_it_before_anything_that_would_bring_another():
    for path, place in ((ROOT / "Makefile", "-e '.[dev]'"), (ROOT / "docker" / "install.sh", '-e "$source[cluster]"')):
        text = path.read_text()
        assert text.index("tools/torch.sh", text.index("venv")) < text.index(place)
    assert re.search(
        r"^TORCH_INDEX|TORCH_INDEX=https://download.pytorch.org/whl/cpu", (ROOT / "docker/Dockerfile.cpu").read_text()
    )
