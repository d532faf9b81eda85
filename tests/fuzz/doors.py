"""Where bytes come in. A door is fed one mutant; what it may not do is raise anything but what its docstring allows."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from data_catalog.base.errors import KilledError, LongdanceError, RejectedError
from data_catalog.base.paths import DataFolder
from flows.catalog.decisions import decide, merge_recorded, recorded
from flows.catalog.manifests import repair_catalog
from model.data.captions import read_captions
from model.data.versions import Version, VersionSample, read_version, version_path, write_version
from model.errors import CheckpointError, DataError, VersionError
from model.runs.checkpoint import inspect_checkpoint, load_checkpoint, newest_checkpoint, save_checkpoint
from pipeline.analysis import sound_pass, source_pass
from pipeline.config import AnalysisConfig, LimitsConfig
from pipeline.shards.verify import verify_shards
from pipeline.video.ffmpeg import open_source
from pipeline.video.probe import probe
from tests.flows.shown import serving
from tests.pipeline.videos import ffmpeg
from tests.power_loss.build_points import CONFIG, KEYS, StandingDancer, merge_here, prepare_here
from tests.power_loss.model_points import Windows, state_at
from tests.power_loss.point import World
from tests.power_loss.record import IMPORTS_HERE

LIMITS = LimitsConfig(wall_s=10)


class Door(ABC):
    """One way in."""

    name: str
    wall_s = 30.0
    """A mutant that takes longer hangs."""

    def __init__(self, folder: Path, template: Path, world: World) -> None:
        self.folder, self.template, self.world = folder, template, world
        self.closing = ExitStack()

    @abstractmethod
    def seeds(self) -> list[bytes]:
        """Good inputs."""

    @abstractmethod
    def feed(self, mutant: bytes) -> None:
        """Open it as the product would."""


class Video(Door):
    """A source: probed, decoded and listened to, or a RejectedError; ffmpeg itself may crash (KilledError)."""

    name = "video"

    def seeds(self) -> list[bytes]:
        """Every container that the door lets in with what ffmpeg can write here."""
        found = []
        for name, codecs in {
            "mp4": "libx264 aac", "mov": "mjpeg pcm_s16le", "mkv": "libx264 flac", "webm": "libvpx libvorbis",
            "avi": "mpeg4 mp3", "ts": "mpeg2video mp2", "flv": "flv mp3", "gif": "gif", "mpg": "mpeg1video mp2",
            "nut": "ffv1 pcm_s16le", "ogv": "libtheora libvorbis",
        }.items():  # fmt: skip
            path = self.folder / f"seed.{name}"
            codec, *sound = codecs.split()
            tone = ("-f", "lavfi", "-i", "sine=d=1", "-c:a", *sound) if sound else ()
            inputs = ("-f", "lavfi", "-i", "testsrc=s=64x96:r=25:d=1", *tone[:4])
            with contextlib.suppress(RuntimeError):  # this ffmpeg was built without that codec
                ffmpeg(*inputs, "-c:v", codec, *tone[4:], "-strict", "-2", str(path))
                found.append(path.read_bytes())
        assert len(found) >= 6
        return found

    def feed(self, mutant: bytes) -> None:
        """As a worker does."""
        path = self.folder / "mutant.mp4"
        path.write_bytes(mutant)
        with contextlib.suppress(RejectedError, KilledError):
            descriptor = open_source(bytes(path))
            try:
                found = probe(descriptor, LIMITS)
                config = AnalysisConfig(proxy_px=256)
                source_pass.analyse(descriptor, found, StandingDancer(), config, LIMITS)  # type: ignore[arg-type]
                sound_pass.listen(descriptor, 1.0, LIMITS)
            finally:
                os.close(descriptor)


class Tar(Door):
    """A shard: `verify` says what is wrong with it."""

    name = "tar"

    def seeds(self) -> list[bytes]:
        """A shard of the template."""
        [first, *_] = sorted(DataFolder(self.template).shards.glob("*.tar"))
        shutil.copytree(first.parent, self.folder / "shards", dirs_exist_ok=True)
        self.path = self.folder / "shards" / first.name
        return [first.read_bytes()]

    def feed(self, mutant: bytes) -> None:
        """Sizes and hashes differ; with the size as it was, members are read and decoded, too."""
        whole = self.seeds()[0]
        self.path.write_bytes((mutant + whole[len(mutant) :])[: len(whole)])
        assert any(problems for _, problems in verify_shards(self.path.parent, decode=True)) or (
            self.path.read_bytes() == whole
        ), "a changed shard passes for whole"


class Manifest(Door):
    """A manifest of a data set, of a source or of a shard: the next build goes on, or a LongdanceError."""

    name = "manifest"

    def seeds(self) -> list[bytes]:
        """One of each."""
        shutil.copytree(self.template, self.folder / "data", dirs_exist_ok=True)
        data = DataFolder(self.folder / "data")
        self.paths = [*sorted(data.shards.glob("*.json"))[:1], *data.clip_set(KEYS.clip_set).glob("*.json")]
        analysis = data.analysis(self.world.source_id, KEYS.analysis)
        self.paths += [data.paths_record, analysis, analysis.with_suffix(".json")]
        self.paths += [data.sound(self.world.source_id, str(KEYS.sound))]
        self.turn = 0
        return [path.read_bytes() for path in self.paths]

    def feed(self, mutant: bytes) -> None:
        """In the place of one after the other; the catalog is made again, and the source prepared again."""
        data = DataFolder(self.folder / "data")
        path = self.paths[self.turn % len(self.paths)]
        self.turn += 1
        before = path.read_bytes()
        path.write_bytes(mutant)
        try:
            for name in ("catalog.duckdb", "catalog.duckdb.wal", "catalog.duckdb.needs-rebuild"):
                (data.root / name).unlink(missing_ok=True)
            with contextlib.suppress(LongdanceError):
                repair_catalog(data, CONFIG, KEYS)
                merge_here(data.root, self.world)
            with contextlib.suppress(LongdanceError):
                data.clips(self.world.source_id, KEYS.clip_set).unlink()
                prepare_here(data.root, self.world)
        finally:
            shutil.copytree(self.template, data.root, dirs_exist_ok=True)
            path.write_bytes(before)


class Checkpoint(Door):
    """A part of a checkpoint: it is whole, or another one is taken, or a CheckpointError."""

    name = "checkpoint"

    def seeds(self) -> list[bytes]:
        """Every part of one."""
        self.root = self.folder / "run" / "checkpoints"
        self.info = save_checkpoint(self.root, state_at(10, 0), keep=2)
        self.parts = sorted(self.info.path.iterdir())
        self.turn = 0
        return [path.read_bytes() for path in self.parts]

    def feed(self, mutant: bytes) -> None:
        """In the place of one part after the other."""
        self.turn = (self.turn + 1) % len(self.parts)
        path = self.parts[self.turn]
        before = path.read_bytes()
        path.write_bytes(mutant)
        try:
            info, _ = inspect_checkpoint(self.info.path)
            assert info is None or mutant == before, "a changed checkpoint passes for whole"
            with contextlib.suppress(CheckpointError):
                newest = newest_checkpoint(self.root, lambda _: None)
                if newest:
                    load_checkpoint(newest)
        finally:
            path.write_bytes(before)


class Captions(Door):
    """`captions.csv`: captions of clips that exist, or a DataError."""

    name = "captions"

    def seeds(self) -> list[bytes]:
        """Both columns, quotes, a byte order mark."""
        return [
            b'clip_id,caption\nc1,a dancer\nc2,"one, two"\n',
            b"\xef\xbb\xbfsource_id,clip_id,caption,note\ns,,both turn,x\n,c1,jumps,\n",
        ]

    def feed(self, mutant: bytes) -> None:
        """As a training reads it."""
        path = self.folder / "captions.csv"
        path.write_bytes(mutant)
        with contextlib.suppress(DataError):
            found = read_captions(path, {"c1": "s", "c2": "s"})
            assert found.keys() <= {"c1", "c2"}


class Decisions(Door):
    """A file of decisions: a record, or passed over. The catalog takes what is one."""

    name = "decisions"

    def seeds(self) -> list[bytes]:
        """What `decide` writes."""
        shutil.copytree(self.template, self.folder / "data", dirs_exist_ok=True)
        self.data = DataFolder(self.folder / "data")
        decide(self.data, prepare_here(self.data.root, self.world)[:1], "drop", "ann", "feet")
        [self.path] = self.data.decisions.glob("*.json")
        return [self.path.read_bytes()]

    def feed(self, mutant: bytes) -> None:
        """As `serve` and a build read it."""
        self.path.write_bytes(mutant)
        if recorded(self.data):
            with contextlib.suppress(LongdanceError):
                merge_recorded(self.data)


class Versions(Door):
    """A version's file: it is what it was, or a VersionError."""

    name = "version"

    def seeds(self) -> list[bytes]:
        """One version."""
        version = Version(
            "v", None, {"fraction": 0.1}, (VersionSample("k", "0" * 64), VersionSample("l", "1" * 64, 0.5))
        )
        self.hash = version.hash
        return [write_version(self.folder, version).read_bytes()]

    def feed(self, mutant: bytes) -> None:
        """As a training names it."""
        version_path(self.folder, "v").write_bytes(mutant)
        with contextlib.suppress(VersionError):
            read_version(self.folder, "v")


class Window(Door):
    """A rollout's latents: whole, or made again."""

    name = "rollout window"

    def seeds(self) -> list[bytes]:
        """One window."""
        from model.rollout.store import RolloutStore

        self.store, (self.step, latents) = RolloutStore(self.folder), Windows().steps()[0]
        self.store.put(self.step, latents)
        self.whole = self.store.path(self.step).read_bytes()
        return [self.whole]

    def feed(self, mutant: bytes) -> None:
        """As a rollout goes on."""
        self.store.path(self.step).write_bytes(mutant)
        self.store.has(self.step)


class Serve(Door):
    """A request to `serve`: an answer below 500 or a closed connection, and the server goes on."""

    name = "serve"

    def seeds(self) -> list[bytes]:
        """Every route, with and without the token."""
        shutil.copytree(self.template, self.folder / "data", dirs_exist_ok=True)
        data = DataFolder(self.folder / "data")
        clip_id = prepare_here(data.root, self.world)[0]
        self.address, token = self.closing.enter_context(serving(data))
        host = self.address.removeprefix("http://")
        self.place = ("127.0.0.1", int(host.rpartition(":")[2]))
        head = f"Host: {host}\r\nOrigin: {self.address}\r\n"
        body = f'{{"clips": ["{clip_id}"], "decision": "drop", "why": "a"}}'
        post = f"{head}X-Longdance-Token: {token}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
        paths = ["/", "/api/stamp", f"/media/posters/{clip_id[:2]}/{clip_id}.jpg", "/media/rollouts/a.mp4"]
        paths += [f"/media/videos/{clip_id[:2]}/{clip_id}.mp4", f"/media/frames/{clip_id[:2]}/{clip_id}.jpg"]
        gets = [f"GET {path} HTTP/1.1\r\n{head}Range: bytes=0-99\r\n\r\n" for path in paths]
        return [text.encode() for text in (*gets, f"POST /api/decisions HTTP/1.1\r\n{post}\r\n\r\n{body}")]

    def feed(self, mutant: bytes) -> None:
        """Raw bytes over a socket; then a good request is answered."""
        with socket.create_connection(self.place, timeout=20) as connection:
            connection.sendall(mutant)
            connection.shutdown(socket.SHUT_WR)
            status = connection.makefile("rb").readline(1000)
        assert not status.startswith(b"HTTP/1.1 5"), status
        with socket.create_connection(self.place, timeout=20) as connection:
            connection.sendall(f"GET /api/stamp HTTP/1.1\r\nHost: {self.address[7:]}\r\n\r\n".encode())
            assert connection.makefile("rb").readline(1000).startswith(b"HTTP/1.1 200"), "it answers no more"


DOORS: tuple[type[Door], ...] = (
    Video, Tar, Manifest, Checkpoint, Captions, Decisions, Versions, Window, Serve
)  # fmt: skip


def in_a_child(names: Sequence[str], seconds: float, seed: int, folder: Path) -> subprocess.CompletedProcess[str]:
    """Fuzz some doors in a process of its own: a crash of it is a finding."""
    command = [sys.executable, "-m", "tests.fuzz.run", ",".join(names), str(seconds), str(seed), str(folder)]
    return subprocess.run(
        command, env=IMPORTS_HERE, capture_output=True, text=True, timeout=len(names) * seconds + 300, check=False
    )
