"""The flow `build-dataset`: raw videos in, training-ready shards and a catalog out.

The files on disk and the catalog are the truth; Prefect shows progress. Run it again and it resumes
with what is missing, whatever happened to the last run or to Prefect.
"""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from prefect import flow, get_run_logger
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.runtime import flow_run

from data_catalog.base.errors import LongdanceError
from data_catalog.base.files import remove_temps, write_json
from data_catalog.base.paths import DataFolder
from data_catalog.base.store import Store
from data_catalog.connection import open_catalog
from flows.build_steps import Build
from flows.catalog import manifests
from flows.catalog.rights_rows import merge_rights
from flows.catalog.wanted import wanted_clips
from flows.progress import Progress
from flows.report.contact_sheet import write_contact_sheet
from flows.runners import open_workers
from flows.server.outlive import show_in_prefect
from flows.storage.home import Home, open_home
from flows.storage.places import name_of, place_of
from pipeline.batches.forgotten import forgotten_sources
from pipeline.batches.prepare_sources import build_keys
from pipeline.batches.rights import keep_rights
from pipeline.batches.sources import SourceFile, find_sources
from pipeline.config import BuildConfig


def _run_name() -> str:
    """`build`, and the data set's name."""
    return f"build {name_of(flow_run.parameters['data'])}"


@flow(name="build-dataset", flow_run_name=_run_name, persist_result=False)
def build_dataset(raw: Path | str, data: Path | str, config: BuildConfig = BuildConfig()) -> dict[str, int]:  # noqa: B008
    """Build, or continue building, a data set.

    Args:
        raw: Folder of raw videos, or their address in object storage; it is only read.
        data: Folder of the data set, or its address in object storage; it is created.
        config: What differs from the defaults.

    Returns:
        Counters of the work that was done in this run, and of what the data set holds now.
    """
    source, place = place_of(raw), place_of(data)
    files = find_sources(source, place)
    with open_home(place) as home:
        return _run(source, home, files, config)


def _run(raw: Path | Store, home: Home, files: Sequence[SourceFile], config: BuildConfig) -> dict[str, int]:
    """The build, by the only process that writes into the data set."""
    logger, folder = get_run_logger(), home.folder
    forgotten_sources(folder)  # one that is half forgotten is refused before the catalog is repaired
    names, counters = build_keys(config), Counter(temps_removed=remove_temps(*folder.own_folders))
    if reason := manifests.repair_catalog(folder, config, names):
        logger.info("The catalog was made from the manifests on disk: %s", reason)
    manifests.check_thresholds(folder, config)
    write_json(folder.build_record, {"raw": str(raw), "config": config.model_dump(mode="json")})
    shared = [*home.shared, *([Path(os.fsdecode(files[0].path))] if isinstance(raw, Path) else [])]
    with open_workers(config.workers, shared) as pool, Progress("build " + home.name) as progress:
        build = Build(home, config, names, pool, progress, counters)
        sources = build.identify(files)
        keep_rights(folder, raw, build.ids, forgotten_sources(folder))
        merge_rights(folder)
        build.prepare(sources)
        manifests.mark_current(folder, names, config)
        counters["shards_missing"] = manifests.forget_missing_shards(folder, names)
        with open_catalog(folder.catalog) as con:
            wanted = wanted_clips(con, config, names.sample_set)
        build.encode(wanted)
    home.refresh()
    manifests.mark_current(folder, names, config)
    write_contact_sheet(folder)
    counters.update(manifests.totals(folder))
    write_json(folder.last_run, {**counters, "seconds": progress.seconds})
    home.keep()
    show_counts(folder, counters)
    if failed := counters["sources_failed"]:
        raise LongdanceError(f"{failed} sources failed by a fault of longdance (see the log); all others are done.")
    if waiting := counters["shards_waiting"]:
        many = f"{waiting} shard{'s' * (waiting != 1)}"
        raise LongdanceError(f"Workers died at {many}, all else is done: run the same command again.")
    return dict(counters)


def show_counts(folder: DataFolder, counters: Mapping[str, int]) -> None:
    """Tables in Prefect's UI: counts by verdict and reason, and what this run did."""
    with open_catalog(folder.catalog) as con:
        rows = manifests.reasons(con)
    none = [{"what": "clips", "verdict": "none", "reason": "", "count": 0}]
    about = f"Sources and clips of {folder.root}"
    show_in_prefect(create_table_artifact, key="clips-by-verdict", table=rows or none, description=about)
    lines = "\n".join(f"| {name.replace('_', ' ')} | {count} |" for name, count in sorted(counters.items()))
    markdown = (
        f"# {folder.root.name}\n\n| what | count |\n|---|---|\n{lines}\n\n"
        f"Contact sheet: `{folder.contact_sheet}`\n\nCatalog: `{folder.catalog}`\n"
    )
    about = "What this run did and what the data set holds"
    show_in_prefect(create_markdown_artifact, key="build-counters", markdown=markdown, description=about)
