"""The dances of a data set as a choreographer learns them: key poses on the beats of each clip, split by source."""

from __future__ import annotations

import json
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path

import numpy as np

from data_catalog.base.files import sha256_json
from data_catalog.base.paths import DataFolder
from model.choreography.beat_grid import USUAL_TEMPO, at_keys, beat_grid
from model.choreography.rig import BONES, body_of_dance, to_numbers
from model.data.dataset import choose_samples
from model.data.landmarks import FIRST_SIZE, read_landmarks
from model.data.samples import Sample
from model.errors import DataError, PoseError
from model.pose.retarget import checked_dance
from pipeline.analysis.pose import JOINTS
from pipeline.shards.tar import read_member

LAYOUT = f"mediapipe-{JOINTS}-2d"
"""What the landmarks are; runs of another layout cannot be used on these."""


@dataclass(frozen=True)
class StoredDance:
    """A clip's landmarks, and what is known of its time and its picture."""

    landmarks: np.ndarray
    """(frames, 33, 4), in pixels of the clip, without gaps."""
    fps: Fraction
    beats: np.ndarray | None
    """Seconds; None for a clip without music."""
    size: tuple[int, int]


@dataclass(frozen=True)
class LearntDance:
    """A clip on the grid of its beats."""

    key: str
    source_id: str
    numbers: np.ndarray
    """(keys, SIZE) key poses."""
    phases: np.ndarray
    """(keys,) place within the beat."""
    tempo: float
    """Beats a minute."""
    heard: bool
    """Whether the tempo is the music's."""
    bones: np.ndarray
    """(34,) lengths of the dancer's bones in her standing heights."""


@dataclass(frozen=True)
class Dances:
    """One side of a data set."""

    samples: tuple[LearntDance, ...]


@dataclass(frozen=True)
class DanceData:
    """A data set as a choreographer sees it."""

    train: Dances
    holdout: Dances
    version: str
    codec: str = LAYOUT
    codec_folder: Path | None = None

    @cached_property
    def usual_bones(self) -> np.ndarray:
        """(34,) mean lengths of bones in standing heights."""
        return np.asarray(np.mean([dance.bones for dance in self.train.samples], 0))

    @cached_property
    def tempi(self) -> tuple[float, ...]:
        """Beats a minute of the training's music, ascending."""
        return tuple(sorted(dance.tempo for dance in self.train.samples if dance.heard)) or (USUAL_TEMPO,)


def stored_dance(data: Path, sample: Sample) -> StoredDance:
    """A sample's landmarks and beats. Raises DataError, PoseError."""
    meta = json.loads(read_member(DataFolder(data).shards / sample.shard, *sample.json_place))
    landmarks = checked_dance(read_landmarks(data, sample.clip_id), sample.clip_id)
    sound = meta.get("sound") or {}
    beats = np.array(sound["beats"]) if sound.get("beats") else None
    width, height = meta.get("size", FIRST_SIZE)
    return StoredDance(landmarks, Fraction(meta.get("fps", 30)), beats, (width, height))


def dance_of(stored: StoredDance, key: str, source_id: str, keys_per_beat: int) -> LearntDance | None:
    """A clip on its grid; None where it is shorter than two beats."""
    seconds = (len(stored.landmarks) - 1) / float(stored.fps)
    grid = beat_grid(stored.beats, seconds, keys_per_beat)
    inside = (grid.seconds >= 0) & (grid.seconds <= seconds)
    if inside.sum() < 2 * keys_per_beat:
        return None
    body = body_of_dance(stored.landmarks, stored.size[0])
    numbers = at_keys(to_numbers(stored.landmarks, body), float(stored.fps), grid)[inside]
    bones = body.bones / body.height
    return LearntDance(key, source_id, numbers, grid.phases[inside], grid.tempo, grid.heard, bones)


def load_dances(data: Path, keys_per_beat: int, holdout: float, version: str | None = None) -> DanceData:
    """Every good clip (v0) of a data set. Raises DataError, and what `choose_samples` raises."""
    chosen = choose_samples(data, holdout, version)
    sides: dict[str, list[LearntDance]] = {"train": [], "holdout": []}
    rows, seen = [], set()
    for sample in chosen.good:
        side = "train" if sample.key in chosen.train else "holdout" if sample.key in chosen.holdout else None
        if side is None or sample.clip_id in seen:
            continue
        seen.add(sample.clip_id)
        try:
            dance = dance_of(stored_dance(data, sample), sample.key, sample.source_id, keys_per_beat)
        except PoseError:
            continue  # a clip in which nobody is known in whole teaches no dance
        if dance is not None:
            sides[side].append(dance)
            rows.append([sample.key, sample.source_id, sample.shard_sha256])
    if not sides["train"]:
        raise DataError(f"No clip of {data} shows a whole dancer for two beats: build it from videos with dancers.")
    assert all(dance.numbers.shape[1] == 2 + 3 * len(BONES) + JOINTS for dance in sides["train"])
    named = [rows, chosen.version.hash] if chosen.version else rows
    return DanceData(Dances(tuple(sides["train"])), Dances(tuple(sides["holdout"])), sha256_json(named))
