"""Where everything lies in a data folder. Files are immutable; the catalog can be made again from them."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class DataFolder:
    """A data set on disk."""

    root: Path

    @property
    def catalog(self) -> Path:
        """The DuckDB file."""
        return self.root / "catalog.duckdb"

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
    def report(self) -> Path:
        """The page that shows the data set; its pictures lie in `report_files` beside it."""
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

    def staged(self, sample_key: str, kind: str) -> Path:
        """A member of a sample that waits for its shard; the json is written last."""
        return self.work / f"{sample_key}.{kind}"


def names_in(folder: Path, suffix: str) -> set[str]:
    """Stems of the finished files with this suffix in a folder, which need not exist."""
    if not folder.is_dir():
        return set()
    with os.scandir(folder) as entries:
        return {e.name[: -len(suffix)] for e in entries if e.name.endswith(suffix) and not e.name.startswith(".")}
