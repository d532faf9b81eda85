"""What `build` would do, in lines for the eye. Nothing is written, hashed or decoded."""

from collections.abc import Sequence

from data_catalog.base.files import names_in
from data_catalog.base.paths import DataFolder
from data_catalog.connection import open_catalog
from flows.catalog.wanted import wanted_clips
from pipeline.batches.prepare_sources import build_keys
from pipeline.batches.sources import SourceFile
from pipeline.config import BuildConfig

MOST_NAMES = 20
GIB = 1 << 30


def build_lines(data: DataFolder, config: BuildConfig, files: Sequence[SourceFile]) -> list[str]:
    """The files that were found, and how many of each step's are not done yet. Raises CatalogError."""
    known, waiting = _in_catalog(data, config)
    files, others = [file for file in files if file.regular], [file for file in files if not file.regular]
    ids = [known.get((file.path, file.size, file.mtime_ns, file.inode)) for file in files]
    fresh = [file for file, source_id in zip(files, ids, strict=True) if source_id is None]
    names = build_keys(config)
    sources = {source_id for source_id in ids if source_id}
    uncut = sources - names_in(data.clip_set(names.clip_set), ".json")
    unanalysed = {one for one in uncut if not data.analysis(one, names.analysis).with_suffix(".json").is_file()}
    lines = [f"found: {_files(len(files))}, {sum(file.size for file in files) / GIB:.2f} GiB"]
    lines += [f"refused, links or devices: {_files(len(others))}, {others[0].shown} among them"] if others else []
    lines += [f"  new: {file.shown}" for file in fresh[:MOST_NAMES]]
    lines += [f"  and {len(fresh) - MOST_NAMES} more that are new"] if len(fresh) > MOST_NAMES else []
    steps = {
        "hash": len(fresh), "analyse": len(fresh) + len(unanalysed), "cut into clips": len(fresh) + len(uncut),
    }  # fmt: skip
    would = [f"{step} {_files(count)}" for step, count in steps.items() if count]
    if would:
        return [*lines, f"would {', '.join(would)}, then encode the clips that come of them and are good"]
    waits = f"would encode {waiting} clips that wait" if waiting else "would do nothing but look: all of it is done"
    return [*lines, f"{waits} (a changed threshold may let others in)"]


def _files(count: int) -> str:
    return f"{count} file{'s' * (count != 1)}"


def _in_catalog(data: DataFolder, config: BuildConfig) -> tuple[dict[tuple[bytes, int, int, int], str], int]:
    """(source id of each file as it was last seen, how many clips wait for a shard)."""
    if not data.catalog.is_file():
        return {}, 0
    with open_catalog(data.catalog, read_only=True) as con:
        seen = con.execute("SELECT path, size, mtime_ns, inode, source_id FROM paths").fetchall()
        waiting = len(wanted_clips(con, config, build_keys(config).sample_set))
    return {(bytes(path), size, mtime, inode): source for path, size, mtime, inode, source in seen}, waiting
