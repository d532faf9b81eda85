"""Shared fixtures: the pose model, one small drawn dancer, and a data set built from it."""

import os
import pickle
import shutil
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import settings

from data_catalog.base.files import read_json
from data_catalog.base.locks import in_turn
from data_catalog.base.paths import DataFolder
from pipeline.analysis.pose import PoseFinder, pose_finder
from pipeline.analysis.pose_model import pose_model_path
from pipeline.batches.pack_shards import encode_clips, pack_shard
from pipeline.batches.prepare_sources import build_keys, prepare_sources
from pipeline.batches.sources import SourceFile, hash_source, walk
from pipeline.config import AnalysisConfig, BuildConfig, ClipConfig, CropConfig, ShardConfig, VariantConfig
from pipeline.synthetic.synth import SynthVideo, write_video
from tests.drawn import build_drawn, draw_raw
from tests.object_store import environment, make_bucket, s3_server

# The same examples every time: a property that fails is a bug to fix, not a gate that sometimes opens.
settings.register_profile("gate", derandomize=True, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "gate"))

SMALL = BuildConfig(
    clips=ClipConfig(frames=25),
    crop=CropConfig(shape=128),
    analysis=AnalysisConfig(proxy_px=256),
    variants=VariantConfig(count=2),
    shards=ShardConfig(samples=6),
)


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that is made once for all processes of a test run: by the first that asks, while others wait for it."""
    base = factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    made = folder.with_name(f"{name}.made")
    with in_turn(folder.with_name(f"{name}.lock")):
        if not made.exists():
            shutil.rmtree(folder, ignore_errors=True)  # of one that failed
            folder.mkdir()
            make(folder)
            made.touch()
    return folder


@pytest.fixture(scope="session")
def pose_model() -> Path:
    """The pose model, cached per user."""
    return pose_model_path()


@pytest.fixture(scope="session")
def finder(pose_model: Path) -> Iterator[PoseFinder]:
    """An open PoseFinder, of masks, too."""
    people, confidence = SMALL.analysis.max_people, SMALL.analysis.min_pose_confidence
    with pose_finder(pose_model, people, confidence, masks=True) as found:
        yield found


@pytest.fixture(scope="session")
def dancer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """55 frames of one drawn dancer, 270x480 at 25 frames per second."""
    spec = SynthVideo(name="dancer", seed=3, width=270, height=480, frames=55, fps="25")
    return next(once(tmp_path_factory, "dancer", lambda folder: write_video(spec, folder)).glob("*.mp4"))


@dataclass(frozen=True)
class Built:
    """A data set: its folder, the one source in it, its config and its only shard's manifest."""

    data: DataFolder
    source: SourceFile
    source_id: str
    config: BuildConfig
    manifest: dict[str, object]

    @property
    def shard(self) -> Path:
        """The tar."""
        return self.data.shards / str(self.manifest["shard"])


def build(root: Path, video: Path, config: BuildConfig, model: Path) -> Built:
    """Prepare, encode and pack one source."""
    data = DataFolder(root)
    source = next(file for file in walk(video.parent) if file.path == os.fsencode(video))
    source_id = hash_source(source)
    prepare_sources(data, [(source_id, source.path)], config, model)
    names = build_keys(config)
    clip_ids = [clip["clip_id"] for clip in read_json(data.clips(source_id, names.clip_set))["clips"]]
    with pose_finder(model, config.analysis.max_people, config.analysis.min_pose_confidence, masks=True) as finder:
        encode_clips(data, source_id, source.path, clip_ids, config, finder)
    manifest = pack_shard(data, clip_ids, config)
    assert manifest is not None
    return Built(data, source, source_id, config, manifest)


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory, dancer: Path, pose_model: Path) -> Built:
    """Two clips of 25 frames at 128x128 with two variants each, in one shard. Only read it."""

    def make(folder: Path) -> None:
        (folder / "built.pickle").write_bytes(pickle.dumps(build(folder / "data", dancer, SMALL, pose_model)))

    made = once(tmp_path_factory, "built", make)
    copy = shutil.copytree(made / "data", tmp_path_factory.mktemp("built") / "data")
    first: Built = pickle.loads((made / "built.pickle").read_bytes())
    return replace(first, data=DataFolder(Path(copy)))


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory, pose_model: Path) -> DataFolder:
    """Three drawn dancers with music, one clip of 25 frames each with a variant, in a catalog. Only read it."""

    def make(folder: Path) -> None:
        build_drawn(draw_raw(folder / "raw", (3, 4, 5)), folder / "data", pose_model)

    made = once(tmp_path_factory, "drawn", make)
    return DataFolder(Path(shutil.copytree(made / "data", tmp_path_factory.mktemp("drawn") / "data")))


@pytest.fixture(scope="session")
def s3_address() -> Iterator[str]:
    """A server that speaks S3."""
    pytest.importorskip("obstore")
    pytest.importorskip("moto")
    with s3_server() as address:
        yield address


@pytest.fixture
def bucket(s3_address: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A new bucket's name; this process and its children can use it."""
    name = f"bucket-{uuid.uuid4().hex[:12]}"
    make_bucket(s3_address, name)
    for variable, value in environment(s3_address).items():
        monkeypatch.setenv(variable, value)
    return name
