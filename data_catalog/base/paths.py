"""Where everything lies: in a data set's folder, in a run's, in a rollout's. Nobody else spells these names.

Files are immutable; the catalog can be made again from them.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from data_catalog.base.errors import LongdanceError

ROWS = "rows"


@dataclass(frozen=True)
class DataFolder:
    """A data set on disk."""

    root: Path

    @classmethod
    def at(cls, path: Path) -> Self:
        """The folder of that name, absolute, so that workers elsewhere find it; it may not be there yet."""
        return cls(path.expanduser().resolve())

    @classmethod
    def built(cls, path: Path) -> Self:
        """The same, where a data set was built. Raises LongdanceError if it was not."""
        folder = cls.at(path)
        if not folder.catalog.is_file():
            raise no_data_set(path)
        return folder

    @property
    def catalog(self) -> Path:
        """The DuckDB file."""
        return self.root / "catalog.duckdb"

    @property
    def lock(self) -> Path:
        """Held by the one build that is at work here."""
        return self.root / ".lock"

    @property
    def shards(self) -> Path:
        """Webdataset tars with a manifest beside each."""
        return self.root / "shards"

    @property
    def work(self) -> Path:
        """Samples that are encoded and not yet in a shard; empty after a finished build."""
        return self.root / "work"

    @property
    def own_folders(self) -> tuple[Path, ...]:
        """Every folder that a build writes into; anything else below `root` is somebody else's."""
        return self.shards, self.work, *(self.root / name for name in ("analysis", "sound", "clips", "failures"))

    @property
    def build_record(self) -> Path:
        """The config and the paths of the last build."""
        return self.root / "build.json"

    @property
    def last_run(self) -> Path:
        """Counters and seconds of the last finished build."""
        return self.root / "last_run.json"

    @property
    def paths_record(self) -> Path:
        """Which file is which source; names in hex."""
        return self.root / "paths.json"

    @property
    def decisions(self) -> Path:
        """What people decided about clips, a file per act; not made from anything, so kept through a rebuild."""
        return self.root / "decisions"

    @property
    def kept_rows(self) -> Path:
        """Rows of the catalog about runs and rollouts, whose own files may lie anywhere."""
        return self.root / ROWS

    @property
    def captions(self) -> Path:
        """A prompt for each clip that a person wrote one for."""
        return self.root / "captions.csv"

    @property
    def caption_sets(self) -> Path:
        """Captions that a model wrote: a folder for each set, a file for each clip."""
        return self.root / "captions"

    @property
    def measures(self) -> Path:
        """What scorers of the user's own said of clips: a folder for each, a file for each clip."""
        return self.root / "measures"

    @property
    def codecs(self) -> Path:
        """Codecs that were fitted or loaded for this data set, a folder each."""
        return self.root / "codecs"

    @property
    def encoding_lock(self) -> Path:
        """Held for a codec or a shard's latents: two trainings that begin together encode once."""
        return self.codecs / ".lock"

    @property
    def latents(self) -> Path:
        """Latents of every shard, a folder for each codec."""
        return self.root / "latents"

    @property
    def versions(self) -> Path:
        """Named sets of samples, a file each."""
        return self.root / "versions"

    @property
    def rights(self) -> Path:
        """Whose each source is, as `sources.csv` said."""
        return self.root / "rights.json"

    @property
    def forgotten(self) -> Path:
        """Sources that were taken back, a file each."""
        return self.root / "forgotten"

    @property
    def exports(self) -> Path:
        """What was exported to other trainers and where to, a file each."""
        return self.root / "exports"

    @property
    def ledger(self) -> Path:
        """Losses of samples under runs: parquet fragments."""
        return self.root / "ledger"

    @property
    def ledger_lock(self) -> Path:
        """Held by the one process that scores."""
        return self.ledger / ".lock"

    @property
    def scores(self) -> Path:
        """What each sample is worth, a parquet file for each prune."""
        return self.root / "worth"

    @property
    def report(self) -> Path:
        """The page that shows the data set; its pictures lie beside it, in `files_of` it."""
        return self.root / "report.html"

    @property
    def contact_sheet(self) -> Path:
        """One frame of every clip, as a picture."""
        return self.root / "contact_sheet.jpg"

    def analysis(self, source_id: str, key: str) -> Path:
        """What the analysis pass found (npz); its manifest has the suffix .json."""
        return self.root / "analysis" / key / source_id[:2] / f"{source_id}.npz"

    def sound(self, source_id: str, key: str) -> Path:
        """What was heard in a source."""
        return self.root / "sound" / key / source_id[:2] / f"{source_id}.json"

    def clip_set(self, name: str) -> Path:
        """Folder of the clip manifests of one config, a file per source."""
        return self.root / "clips" / name

    def clips(self, source_id: str, name: str) -> Path:
        """The clips of a source under one config."""
        return self.clip_set(name) / f"{source_id}.json"

    def failure(self, clip_id: str, sample_set: str) -> Path:
        """Why a clip could not be encoded."""
        return self.root / "failures" / sample_set / f"{clip_id}.json"

    def latents_of(self, codec: str) -> Path:
        """Folder of the latents of one codec, by its hash."""
        return self.latents / codec[:16]

    def staged(self, sample_key: str, kind: str) -> Path:
        """A member of a sample that waits for its shard; the json is written last."""
        return self.work / f"{sample_key}.{kind}"


@dataclass(frozen=True)
class RunFolder:
    """A training run on disk."""

    root: Path

    @property
    def record(self) -> Path:
        """What the run is made of; written once."""
        return self.root / "run.json"

    @property
    def lock(self) -> Path:
        """Held by the process that trains it."""
        return self.root / "lock"

    @property
    def codec(self) -> Path:
        """The codec of the latents that it is trained on."""
        return self.root / "codec"

    @property
    def sources(self) -> Path:
        """Which sources its weights have seen."""
        return self.root / "sources.json"

    @property
    def checkpoints(self) -> Path:
        """A folder for each step that is kept."""
        return self.root / "checkpoints"

    @property
    def checkpoint_history(self) -> Path:
        """A line for each checkpoint that was ever finished: that all are gone is then told from none yet."""
        return self.root / "checkpoints.jsonl"

    @property
    def metrics(self) -> Path:
        """Numbers of the training, a JSON line each."""
        return self.root / "metrics.jsonl"

    @property
    def samples(self) -> Path:
        """Pictures of what the network makes of held-out windows."""
        return self.root / "samples"

    @property
    def tensorboard(self) -> Path:
        """The numbers again, for tensorboard."""
        return self.root / "tensorboard"

    @property
    def sampling(self) -> Path:
        """Sampling defaults that a calibration found."""
        return self.root / "sampling.json"

    @property
    def evaluation(self) -> Path:
        """What an experiment measured of it."""
        return self.root / "evaluation.json"


@dataclass(frozen=True)
class ChoreographerFolder:
    """An exported choreographer on disk."""

    root: Path

    @property
    def weights(self) -> Path:
        """Its weights, safetensors."""
        return self.root / "choreographer.safetensors"

    @property
    def network(self) -> Path:
        """Its sizes and its layout of landmarks."""
        return self.root / "network.json"

    @property
    def origin(self) -> Path:
        """Of which run it was made."""
        return self.root / "origin.json"


def user_cache() -> Path:
    """The folder of what is made once for this user. Raises RuntimeError for a user without a home."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "longdance"


def mirrors() -> Path:
    """This user's folder of the records and catalogs of data sets in object storage, a folder for each."""
    return user_cache() / "mirrors"


def stored_runs() -> Path:
    """This user's folder of runs that were lent to this host, to be scored with."""
    return user_cache() / "runs"


def stored_blocks() -> Path:
    """This user's folder of parts of objects that were read."""
    return user_cache() / "blocks"


def no_data_set(path: Path) -> LongdanceError:
    """The one sentence for a folder in which nothing was built."""
    return LongdanceError(f"{str(path)!r} holds no data set: run `longdance build RAW --data {path}` first.")
