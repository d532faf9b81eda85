"""Losses of a data set measured by a cluster's workers, a shard a task, to the same fragments as one machine's."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_catalog.base.at_work import scoring
from data_catalog.base.errors import LongdanceError
from data_catalog.base.files import remove_temps
from data_catalog.base.store import Store
from flows.storage.home import Home
from pipeline.workers.workers import Workers, as_completed, work_through

if TYPE_CHECKING:
    from model.hosts.score_shards import LentRun, ScoreShard

LENT = "work/runs"
"""Where a store holds runs for the time of a scoring."""


def score_on_hosts(
    home: Home, jobs: Sequence[Mapping[str, Any]], workers: Workers, say: Callable[[int, int], None]
) -> int:
    """Measure what is not measured yet; how many samples were looked at in all.

    Raises:
        LongdanceError: another process is scoring, two workers died at a shard, or what scoring raises.
    """
    from model.hosts.score_shards import ScoreShard, score_shards
    from model.scoring.job import ScoreJob, wanted_files

    root = home.folder.root
    home.keep()  # workers read the catalog and the ledger where they last
    with scoring(root).alone(), _lent(home, sorted({Path(job["run"]) for job in jobs})) as lent:
        remove_temps(home.folder.ledger)
        todo: list[tuple[ScoreShard, int]] = []
        for given in jobs:
            job = ScoreJob.model_validate({**given, "data": root})
            text, run = job.model_dump_json(), lent.get(job.run)
            todo += [(ScoreShard(text, name, run), count) for name, count in wanted_files(job)]
        total = sum(count for _, count in todo)

        def measure(one: tuple["ScoreShard", int]) -> list[str]:
            worked = work_through(workers, score_shards, [one[0]], home.root)
            if worked.killers:
                raise LongdanceError(
                    f"Two workers died at the losses of {one[0].latents}: give them memory, then run the command again."
                )
            return [path for paths in worked.results for path in paths]

        done = 0
        for (_, count), made in as_completed(measure, todo, workers.count):
            home.arrived(root / path for path in made)
            done += count
            say(done, total)
    return total


@contextmanager
def _lent(home: Home, runs: Sequence[Path]) -> Iterator[dict[Path, "LentRun"]]:
    """Runs of this host, in the store within the block; none for a folder, in which all hosts see them."""
    if not isinstance(home.root, str):
        yield {}
        return
    from model.hosts.score_shards import LentRun, files_of_run
    from model.runs.run import Run

    store, lent = Store.at(home.root), {}
    try:
        for run in runs:
            lent[run] = LentRun(f"{LENT}/{Run.open(run).checkpoint.sha256[:16]}", files_of_run(run))
            for name in lent[run].files:
                store.replace(f"{lent[run].folder}/{name}", run / name)
        yield lent
    finally:  # with what a head that was killed has left
        store.delete(*[info.key for info in store.listed(LENT)])
