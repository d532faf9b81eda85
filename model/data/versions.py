"""Versions: named, hashed, immutable sets of samples. Nothing is deleted; a version says what a training sees.

`DATA/versions/NAME.json` is the truth; the catalog's `versions` and `version_samples` are made from it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from data_catalog.base.files import read_json, sha256_json, write_json
from data_catalog.base.paths import DataFolder
from model.data.samples import Sample
from model.errors import VersionError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True)
class VersionSample:
    """A sample of a version: its bytes are part of what the version is."""

    key: str
    sha256: str
    weight: float = 1.0


@dataclass(frozen=True)
class Version:
    """A set of samples and where it comes from. `policy` holds its config, SQL and evidence as JSON values."""

    name: str
    parent: str | None
    policy: Mapping[str, Any]
    samples: tuple[VersionSample, ...]

    @property
    def hash(self) -> str:
        """Hex sha256 of the samples' keys, bytes and weights, and of the policy. Not of names: `runs` (their ids are
        drawn again by every machine) and the version's own."""
        samples = sorted([s.key, s.sha256, s.weight] for s in self.samples)
        policy = {name: value for name, value in self.policy.items() if name != "runs"}
        return sha256_json({"samples": samples, "policy": policy})

    def check(self, stored: Mapping[str, str | None]) -> None:
        """Raise VersionError unless every sample is stored (key to sha256) with the bytes that it had."""
        for sample in self.samples:
            if sample.key not in stored:
                raise VersionError(
                    f"Version {self.name!r} names sample {sample.key}, which this data set no longer holds: build it "
                    "again with the settings of then, or make a new version."
                )
            if stored[sample.key] != sample.sha256:
                raise VersionError(
                    f"The bytes of sample {sample.key} have changed since version {self.name!r} was made: make a new "
                    "version with `longdance prune`."
                )


def version_path(data: Path, name: str) -> Path:
    """Where a version lies. Raises VersionError for a name that is not a plain file name."""
    if not _NAME.fullmatch(name):
        raise VersionError(f"The version name {name!r} is not one: use letters, digits, dots, dashes and underscores.")
    return DataFolder(data).versions / f"{name}.json"


def write_version(data: Path, version: Version) -> Path:
    """Write a version. The same again changes nothing; another one of that name is refused (VersionError)."""
    path = version_path(data, version.name)
    if path.is_file() and read_version(data, version.name).hash != version.hash:
        raise VersionError(f"There is another version {version.name!r}, and versions never change: use another name.")
    record = {
        "name": version.name,
        "parent": version.parent,
        "policy": version.policy,
        "hash": version.hash,
        "samples": [[s.key, s.sha256, s.weight] for s in sorted(version.samples, key=lambda s: s.key)],
    }
    if not path.is_file():
        write_json(path, record)
    return path


def read_version(data: Path, name: str) -> Version:
    """A version of the data set. Raises VersionError if there is none of that name, or its file was altered."""
    path = version_path(data, name)
    if not path.is_file():
        known = ", ".join(version_names(data)) or "there are none yet, `longdance prune` makes them"
        raise VersionError(f"Unknown version {name!r} in {data}: choose one of its versions ({known}).")
    try:
        record = read_json(path)
        samples = tuple(VersionSample(key, sha256, weight) for key, sha256, weight in record["samples"])
        version = Version(record["name"], record["parent"], record["policy"], samples)
        whole = version.hash == record["hash"]
    except (ValueError, KeyError, TypeError, AttributeError):
        whole = False
    if not whole:
        raise VersionError(f"{path} was altered after it was written: restore it, or make a new version.")
    return version


def version_names(data: Path) -> list[str]:
    """The data set's versions by name."""
    return sorted(path.stem for path in DataFolder(data).versions.glob("*.json") if not path.name.startswith("."))


def version_of(name: str, parent: str | None, policy: Mapping[str, Any], samples: Iterable[Sample]) -> Version:
    """A version of these samples, each of weight 1. Raises VersionError for one whose bytes were never hashed."""
    return Version(name, parent, policy, tuple(VersionSample(s.key, bytes_hash(s)) for s in samples))


def bytes_hash(sample: Sample) -> str:
    """The sha256 of a sample's video. Raises VersionError if the build did not record it."""
    if sample.mp4_sha256 is None:
        raise VersionError(f"Sample {sample.key} has no checksum on record: run `longdance catalog rebuild`.")
    return sample.mp4_sha256


def folds_of(sources: Iterable[str], folds: int = 2) -> dict[str, int]:
    """Which fold each source belongs to: dealt out in the order of their hashes, so that folds differ by one source
    at most, however few there are."""
    order = sorted(set(sources), key=lambda source: hashlib.sha256(f"fold/{source}".encode()).digest())
    return {source: place % folds for place, source in enumerate(order)}


def fold_version(samples: Sequence[Sample], held: Iterable[str], fold: int, folds: int = 2) -> Version:
    """The good samples of one fold's sources; held-out sources are in no fold.

    Raises VersionError if the fold has no source.
    """
    held = frozenset(held)
    good = [s for s in samples if s.ok and s.source_id not in held]
    dealt = folds_of((s.source_id for s in good), folds)
    mine = [s for s in good if dealt[s.source_id] == fold]
    if not mine:
        raise VersionError(f"Fold {fold} of {folds} holds no source: cross-fitting needs more sources than that.")
    policy = {"fold": fold, "folds": folds, "held": sorted(held)}
    made = version_of("fold", None, policy, mine)
    return Version(f"fold{fold}of{folds}-{made.hash[:8]}", None, policy, made.samples)


def version_rows(data: Path, names: Sequence[str]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows of the catalog's `versions` and `version_samples`."""
    rows, samples = [], []
    for name in names:
        version = read_version(data, name)
        written = datetime.fromtimestamp(version_path(data, name).stat().st_mtime, UTC).replace(tzinfo=None)
        rows.append(
            {
                "version": name,
                "parent": version.parent,
                "policy": json.dumps(version.policy, sort_keys=True),
                "hash": version.hash,
                "samples": len(version.samples),
                "created": written.replace(microsecond=0),
            }
        )
        samples += [{"version": name, "sample_key": s.key, "weight": s.weight} for s in version.samples]
    return rows, samples
