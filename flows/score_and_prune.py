"""The flow `score-and-prune`: losses under a fixed bank, irreducible losses by cross-fit, a policy, a version.

Nothing is deleted. Every step finds what is there already, so the same command continues, and ends with the same
version. With `then_train` each run is forked onto its version and trained on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect import flow, get_run_logger
from prefect.runtime import flow_run

from data_catalog.base.errors import LongdanceError
from data_catalog.base.paths import DataFolder, RunFolder
from data_catalog.connection import open_catalog
from data_catalog.writes import merge_tables
from flows.catalog.decisions import merge_recorded
from flows.catalog.kept_rows import keep_and_merge
from flows.catalog.scoring_rows import merge_version_files
from flows.folds import FOLDS, fold_of, needs_folds
from flows.report.prune_report import prune_artifact, prune_markdown
from flows.scoring import score_runs
from flows.storage.home import Home, built_home
from flows.storage.places import name_of, place_of
from flows.train_stage import register_run, train_run
from model.scoring.policy import ScoreConfig
from model.scoring.request import PruneRequest

if TYPE_CHECKING:
    from model.config import TrainConfig
    from model.runs.run import Run
    from model.scoring.score_table import ScoreTable

LEAKS = """
WITH used AS (
    SELECT DISTINCT unnest(irreducible_runs) AS run, source_id
    FROM worth_rows JOIN (SELECT DISTINCT sample_key, clip_id FROM sample_rows) USING (sample_key)
        JOIN clip_rows USING (clip_id)
    WHERE evidence = ?
)
SELECT run, count(*) AS sources FROM used JOIN run_sources USING (run, source_id) GROUP BY run
"""
"""Sources that a run's weights have seen and whose irreducible loss it gave: there must be none."""


@flow(name="score", flow_run_name="score {run.name}", persist_result=False)
def score_only(
    data: Path | str, run: Path, config: ScoreConfig = ScoreConfig(), select: str = "all", processes: int = 1  # noqa: B008
) -> int:  # fmt: skip
    """Measure the losses of a run under a bank, for every sample that has none; how many samples there are."""
    job = {"run": run.expanduser().resolve(), "config": config.model_dump(mode="json"), "select": select}
    with built_home(place_of(data)) as home:
        count = score_runs(home, [job], 1, processes)
        home.keep()
    return count


def _run_name() -> str:
    """`prune`, and the data set's name."""
    return f"prune {name_of(flow_run.parameters['request'].data)}"


@flow(name="score-and-prune", flow_run_name=_run_name, persist_result=False)
def score_and_prune(request: PruneRequest) -> dict[str, Any]:
    """Score runs, fit what is irreducible, prune; run it again to resume.

    Args:
        request: Data set, runs, policy and all settings of the version.
    """
    with built_home(place_of(request.data)) as home:
        return prune_in(home, request)


def prune_in(home: Home, request: PruneRequest) -> dict[str, Any]:
    """The same in a data set that is open."""
    root, paths, parent = home.folder.root, request.runs, request.parent
    check_name(root, request.name)
    check_stages(paths)
    merge_recorded(home.folder)
    tables = [score_stage(home, request, run) for run in paths]
    groups = [[one] for one in tables] if request.policy.combine == "each" else [tables]
    pruned = [prune(home, request, group, len(groups)) for group in groups]
    home.keep()
    versions = [one.version for one in pruned]
    result = {"versions": versions, "evidence": [one.id for one in tables], "stage": tables[0].stage}
    markdown = prune_markdown(root, home.name, tables, versions, parent, [one.note for one in pruned if one.note])
    prune_artifact(markdown)
    get_run_logger().info("%s", markdown)
    if request.then_train:
        chosen = versions if len(versions) == len(paths) else versions * len(paths)
        result["runs"] = [train_on(home, run, version, request.then_steps) for run, version in zip(paths, chosen)]
        home.keep()
    return result | {"markdown": markdown}


def score_stage(home: Home, request: PruneRequest, run: Path) -> "ScoreTable":
    """Score one run and what its irreducible losses come from, with more losses near the cut."""
    from model.runs.run import Run
    from model.scoring.irreducible import check_irreducible
    from model.scoring.rounds import score_in_rounds
    from model.scoring.scored_losses import require_holdout, scored_samples
    from model.scoring.selection import check_early

    root, policy, scoring, parent = home.folder.root, request.policy, request.scoring, request.parent
    target = Run.open(run)
    samples = scored_samples(root, target.config, parent)
    check_early(root, policy, samples.keys, target.config.stage)
    others: list[Path] = list(request.irreducible)
    if not others and needs_folds(policy):
        require_holdout(root, target.config)
        others = [fit_fold(home, target, fold, request.fit) for fold in range(FOLDS)]
    folds = [Run.open(other) for other in others]
    check_irreducible(target, folds, samples)
    for other in others:
        register_sources(home, other)

    def measure(k: int, keys: Sequence[str] | None) -> None:
        jobs = score_jobs(run, others, scoring.model_copy(update={"k": k}), keys, parent)
        score_runs(home, jobs, len(jobs), request.processes)

    _, found = score_in_rounds(root, target, folds, scoring, policy, samples, measure)
    store_score_table(root, found)
    return found


def check_name(root: Path, name: str | None) -> None:
    """Raise VersionError for a name that no version can have, before anything is measured."""
    from model.data.versions import version_path

    if name is not None:
        version_path(root, name)


def check_stages(runs: Sequence[Path]) -> None:
    """Raise LongdanceError if two runs are of one stage: their samples' scores could not be told apart."""
    from model.runs.run import Run

    stages: dict[str, Path] = {}
    for run in runs:
        other = stages.setdefault(Run.open(run).config.stage, run)
        if other != run or runs.count(run) > 1:
            raise LongdanceError(f"Runs {other} and {run} are of one stage: name one run a stage.")


def score_jobs(
    run: Path,
    others: Sequence[Path],
    config: ScoreConfig,
    keys: Sequence[str] | None = None,
    version: str | None = None,
) -> list[dict[str, Any]]:
    """The run on every sample (of a version), the others on what they never saw."""
    same = {"config": config.model_dump(mode="json"), "keys": keys, "version": version}
    return [{**same, "run": run}, *({**same, "run": other, "select": "unseen"} for other in others)]


def fit_fold(home: Home, target: "Run", fold: int, settings: dict[str, Any]) -> Path:
    """Train the target's config on one fold of the sources, a normal run beside it; its folder."""
    from model.data.versions import write_version

    root = home.folder.root
    one = fold_of(root, target, fold, settings)
    write_version(root, one.version)
    merge_version_files(root, [one.version.name])
    train_to_end(home, one.run, one.config, None)
    return one.run


def train_to_end(home: Home, run: Path, config: "TrainConfig", fork: Path | None) -> None:
    """Train, unless exactly that is done already. Raises LongdanceError if it was stopped."""
    from model.runs.checkpoint import newest_checkpoint
    from model.runs.record import differences, read_record

    if RunFolder(run).record.is_file():
        was = read_record(run)["identity"]["config"]
        info = newest_checkpoint(RunFolder(run).checkpoints)
        if info and info.step >= config.steps and not differences(was, config.model_dump(mode="json")):
            register_run(home, run, "finished", config.steps)
            return
    ended = train_run(home, run, config, 1, fork)
    if ended["status"] != "finished":
        raise LongdanceError(f"Training {run} was stopped at step {ended['step']}: run the same command to resume.")


def register_sources(home: Home, run: Path) -> None:
    """Bring what a run's weights have seen into the catalog. Raises RunError where that is not on record."""
    from model.runs.lineage import read_sources
    from model.runs.run import Run

    run_id = Run.open(run).run_id
    rows = [{"run": run_id, "source_id": source} for source in sorted(read_sources(run))]
    home.made([keep_and_merge(home.folder, f"sources-{run_id}", {"run_sources": rows})])


def store_score_table(root: Path, evidence: "ScoreTable") -> None:
    """Write the scores of worth, bring them into the catalog, and check there that nothing leaked.

    Raises:
        LongdanceError: a run gave the irreducible loss of a source that it was trained on.
    """
    from model.scoring.score_table import write_score_table

    write_score_table(root, evidence)
    with open_catalog(DataFolder(root).catalog) as con:
        merge_tables(con, {"worth": evidence.rows.replace_schema_metadata(None)})
    check_leaks(root, evidence.id)


def check_leaks(root: Path, evidence: str) -> None:
    """Raise LongdanceError if a run judged a source that its weights have seen."""
    with open_catalog(DataFolder(root).catalog, read_only=True) as con:
        leaks = con.execute(LEAKS, [evidence]).fetchall()
    if leaks:
        run, sources = leaks[0]
        raise LongdanceError(
            f"Run {run} has seen {sources} of the sources whose irreducible loss it gave: that is a leak, so "
            "nothing was pruned; give runs trained on other sources."
        )


@dataclass(frozen=True)
class Pruned:
    """A version that was made."""

    version: str
    note: str
    """Why fewer samples were chosen than the fraction asks for; empty if none are missing."""


def prune(home: Home, request: PruneRequest, evidence: Sequence["ScoreTable"], of: int = 1) -> Pruned:
    """Carry the policy out, as one of `of` versions."""
    from model.data.samples import read_samples
    from model.data.versions import Version, VersionSample, bytes_hash, write_version
    from model.scoring.score_table import policy_record, version_samples
    from model.scoring.selection import decide_in_catalog, shortfall, weights_of

    root, policy, parent, name = home.folder.root, request.policy, request.parent, request.name
    with open_catalog(DataFolder(root).catalog, read_only=True) as con:
        chosen, sql = decide_in_catalog(con, policy, [one.id for one in evidence])
    judged = sorted({key for one in evidence for key in one.keys})
    stored = read_samples(root)
    kept = version_samples(root, parent, stored, judged, chosen, policy)
    rho = dict(zip(evidence[0].keys, evidence[0].valuation.columns["rho"]))
    weights = weights_of(policy, [sample.key for sample in kept], rho)
    samples = tuple(VersionSample(s.key, bytes_hash(s), weights[s.key]) for s in kept)
    version = Version("", parent, policy_record(policy, sql, evidence, stored), samples)
    stage = evidence[0].stage if len(evidence) == 1 else policy.combine
    chosen_name = f"{stage}-{policy.score}-{version.hash[:8]}"
    if name:
        chosen_name = name if of == 1 else f"{name}-{stage}"
    write_version(root, Version(chosen_name, parent, version.policy, samples))
    merge_version_files(root, [chosen_name])
    return Pruned(chosen_name, shortfall(policy, len(judged), len(chosen)) if len(evidence) == 1 else "")


def train_on(home: Home, run: Path, version: str, steps: int | None) -> str:
    """Fork a run onto a version and train it; the new run's folder."""
    from model.config import train_config
    from model.runs.run import Run

    config = Run.open(run).config
    was = config.model_dump(mode="json", exclude={"stage", "preset"})
    settings = {**was, "version": version, "steps": config.steps + (steps or config.steps)}
    child = run.with_name(f"{run.name}-{version}")
    train_to_end(home, child, train_config(config.stage, config.preset, **settings), run)
    return str(child)
