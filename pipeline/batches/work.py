"""What the head gives to a worker, batch by batch: small values go there, small values come back."""

from collections import Counter
from pathlib import Path

from data_catalog.base.errors import RejectedError
from data_catalog.base.files import write_sealed
from data_catalog.base.paths import DataFolder
from pipeline.analysis.pose import pose_finder
from pipeline.analysis.pose_model import pose_model_path
from pipeline.batches.jobs import EncodeJob
from pipeline.batches.pack_shards import encode_clips
from pipeline.batches.prepare_sources import build_keys, prepare_sources, record_rejected
from pipeline.batches.sources import SourceFile, hash_source, nameless_id
from pipeline.config import BuildConfig

Hashed = tuple[SourceFile, str, str | None, str]  # file, source id, reject code or None, detail
KILLED = "killed_worker"
KILLED_DETAIL = "Its worker died twice while it was at work on it: killed, out of memory, or crashed."


def hash_files(files: list[SourceFile]) -> list[Hashed]:
    """The source id of each file, or why it cannot be read."""
    found: list[Hashed] = []
    for file in files:
        try:
            found.append((file, hash_source(file), None, ""))
        except RejectedError as error:
            found.append((file, nameless_id(file.path), error.code, error.detail))
    return found


def prepare(batch: list[tuple[str, bytes]], root: Path, config: BuildConfig, model: Path) -> Counter[str]:
    """Analyse and tile each (source id, path)."""
    return prepare_sources(DataFolder(root), batch, config, pose_model(model))


def encode(jobs: list[EncodeJob], root: Path, config: BuildConfig, model: Path) -> Counter[str]:
    """Stage the samples of some clips."""
    done: Counter[str] = Counter()
    people, confidence = config.analysis.max_people, config.analysis.min_pose_confidence
    with pose_finder(pose_model(model), people, confidence, config.landmarks.masks) as finder:
        for source_id, path, clip_ids in jobs:
            done += encode_clips(DataFolder(root), source_id, path, clip_ids, config, finder)
    return done


def pose_model(head_has: Path) -> Path:
    """The model that the head found, or on another host its own, made once for its user."""
    return head_has if head_has.is_file() else pose_model_path()


def reject_killer(data: DataFolder, source_id: str, path: bytes, config: BuildConfig) -> None:
    """Write down a source that killed its workers. Other `limits` give it another chance."""
    record_rejected(data, source_id, path, config, KILLED, KILLED_DETAIL)


def fail_killers(data: DataFolder, jobs: list[EncodeJob], config: BuildConfig) -> Counter[str]:
    """Write down clips that killed their workers."""
    clip_ids = [clip_id for _, _, clip_ids in jobs for clip_id in clip_ids]
    for clip_id in clip_ids:
        failure = {"clip_id": clip_id, "code": KILLED, "detail": KILLED_DETAIL}
        write_sealed(data.failure(clip_id, build_keys(config).sample_set), failure)
    return Counter(clips_failed=len(clip_ids)) if clip_ids else Counter()
