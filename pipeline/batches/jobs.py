"""What is left to do, as pure data: which batches to prepare, which clips to encode, which shards to pack."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

Item = TypeVar("Item")
MAX_TASKS = 400  # an orchestrator slows down at thousands of tasks
EncodeJob = tuple[str, bytes, list[str]]  # source id, path, clip ids


@dataclass(frozen=True)
class WantedClip:
    """A clip whose samples should be in a shard."""

    clip_id: str
    source_id: str
    path: bytes


def batches(items: Sequence[Item], workers: int, smallest: int = 1) -> list[list[Item]]:
    """Split into enough batches to keep the workers even, but never into more than MAX_TASKS."""
    if not items:
        return []
    size = max(smallest, -(-len(items) // min(MAX_TASKS, max(1, 6 * workers))))
    if len(items) > 6 * workers * 16:  # long builds: small enough for progress to show
        size = max(smallest, min(size, 16), -(-len(items) // MAX_TASKS))
    return [list(items[i : i + size]) for i in range(0, len(items), size)]


def shard_groups(wanted: Sequence[WantedClip], shard_samples: int, samples_per_clip: int) -> list[list[WantedClip]]:
    """Clips per shard, in the order given: the same wanted clips make the same shards, whoever encodes them.

    A shard is full but for the last, so what a killed build leaves to do is again whole shards of the same clips.
    """
    size = max(1, shard_samples // samples_per_clip)
    return [list(wanted[i : i + size]) for i in range(0, len(wanted), size)]


def encode_jobs(clips: Sequence[WantedClip]) -> list[EncodeJob]:
    """Clips of one source together, in order, so that its analysis is read once."""
    jobs: dict[str, EncodeJob] = {}
    for clip in clips:
        jobs.setdefault(clip.source_id, (clip.source_id, clip.path, []))[2].append(clip.clip_id)
    return list(jobs.values())
