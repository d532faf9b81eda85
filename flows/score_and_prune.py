"""The flow `score-and-prune`: losses under a fixed bank, irreducible losses by cross-fit, a policy, a version.

Nothing is deleted. Every step finds what is there already, so the same command goes on, and ends with the same
version. With `then_train` each run is forked onto its version and trained on.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger

from data_catalog.connection import open_catalog
from data_catalog.writes import merge_tables
from flows.decisions import merge_recorded
from flows.evidence_rows import merge_version_files
from flows.folds import FOLDS, fold_of, needs_folds
from flows.prune_report import prune_artifact, prune_markdown
from flows.scoring import score_runs
from flows.train_stage import built, register_run, train_run
from model.policy import Policy, ScoreConfig
from pipeline.errors import LongdanceError
from pipeline.layout import DataFolder

LEAKS = """
WITH used AS (
    SELECT DISTINCT unnest(irreducible_runs) AS run, source_id
    FROM worth_rows JOIN (SELECT DISTINCT sample_key, clip_id FROM sample_rows) USING (sample_key)
        JOIN clip_rows USING (clip_id)
    WHERE evidence = ?
), seen AS (
    SELECT DISTINCT run, source_id
    FROM run_rows JOIN version_sample_rows USING (version)
        JOIN (SELECT DISTINCT sample_key, clip_id FROM sample_rows) USING (sample_key) JOIN clip_rows USING (clip_id)
)
SELECT run, count(*) AS sources FROM used JOIN seen USING (run, source_id) GROUP BY run
"""
"""Sources that are both in a run's training set and among those whose irreducible loss it gave: there must be none."""


@flow(name="score", flow_run_name="score {run}", persist_result=False)
def score_only(
    data: Path, run: Path, config: ScoreConfig = ScoreConfig(), select: str = "all", processes: int = 1  # noqa: B008
) -> int:  # fmt: skip
    """Measure the losses of a run under a bank, for every sample that has none; how many samples there are."""
    root, run = built(data).root, run.expanduser().resolve()
    job = {"run": run, "config": config.model_dump(mode="json"), "select": select}
    return score_runs(root, [job], 1, processes)


@flow(name="score-and-prune", flow_run_name="prune {data}", persist_result=False)
def score_and_prune(
    data: Path,
    runs: list[Path],
    policy: Policy = Policy(),  # noqa: B008
    score: ScoreConfig = ScoreConfig(),  # noqa: B008
    irreducible: list[Path] | None = None,
    fit: dict[str, Any] | None = None,
    parent: str | None = None,
    name: str | None = None,
    processes: int = 1,
    then_train: bool = False,
    then_steps: int | None = None,
) -> dict[str, Any]:
    """Score runs, fit what is irreducible, prune; run it again to go on.

    Args:
        data: Folder of a built data set.
        runs: Trained runs whose losses decide, one a stage.
        policy: What goes.
        score: Bank and number of losses.
        irreducible: Runs trained on other sources (versions); without them two are trained, on two halves of them.
        fit: Settings of those two that differ from their run's (half its steps, for a start).
        parent: The version that is pruned further; without one, all good clips.
        name: The new version's name; without one it is made of policy and hash.
        processes: Processes that score.
        then_train: Fork each run onto its version and train it on, in this order.
        then_steps: Steps of that training; without a number, as many as the run has had.
    """
    root, paths = built(data).root, [run.expanduser().resolve() for run in runs]
    if not paths:
        raise LongdanceError("No run was given: name a trained run, for example --run runs/starter.")
    merge_recorded(built(data))
    evidence = [judge_stage(root, run, policy, score, irreducible, fit or {}, parent, processes) for run in paths]
    groups = [[one] for one in evidence] if policy.combine == "each" else [evidence]
    versions = [prune(root, group, policy, parent, name, number, len(groups)) for number, group in enumerate(groups)]
    result = {"versions": versions, "evidence": [one.id for one in evidence]}
    markdown = prune_markdown(root, evidence, versions, parent)
    prune_artifact(markdown)
    get_run_logger().info("%s", markdown)
    if then_train:
        chosen = versions if len(versions) == len(paths) else versions * len(paths)
        result["runs"] = [train_on(root, run, version, then_steps) for run, version in zip(paths, chosen)]
    return result | {"markdown": markdown}


def judge_stage(
    root: Path,
    run: Path,
    policy: Policy,
    score: ScoreConfig,
    irreducible: Sequence[Path] | None,
    fit: dict[str, Any],
    parent: str | None,
    processes: int,
) -> Any:
    """Score one run and what its irreducible losses come from, with more losses near the cut; its Evidence."""
    from model.evidence import weigh
    from model.measured import RunRef, judged_samples, require_holdout
    from model.worth import k_needed

    target = RunRef.of(run)
    samples = judged_samples(root, target.config, parent)
    others: list[Path] = [path.expanduser().resolve() for path in irreducible or []]
    if not others and needs_folds(policy):
        require_holdout(root, target.config)
        others = [fit_fold(root, target, fold, fit) for fold in range(FOLDS)]
    score_runs(root, score_jobs(run, others, score), 1 + len(others), processes)
    folds = [RunRef.of(other) for other in others]
    found, k = weigh(root, target, folds, score, policy, samples), score.k
    while score.adaptive and found.near and found.around_cut < score.reliability and k < score.most_k:
        keys = sorted({*found.near, *found.anchors, *samples.probes})
        wider = score.model_copy(update={"k": min(k_needed(k, found.around_cut, score.reliability), score.most_k)})
        score_runs(root, score_jobs(run, others, wider, k, keys), 1 + len(others), processes)
        k = wider.k
        # The same samples as at first: those that have been placed since are what the measuring was for.
        found = weigh(root, target, folds, score, policy, samples, found.near)
    keep_evidence(root, found)
    return found


def score_jobs(
    run: Path, others: Sequence[Path], config: ScoreConfig, first: int = 0, keys: Sequence[str] | None = None
) -> list[dict[str, Any]]:
    """The run on every sample, the others on what they never saw."""
    same = {"config": config.model_dump(mode="json"), "first": first, "keys": keys}
    return [{**same, "run": run}, *({**same, "run": other, "select": "unseen"} for other in others)]


def fit_fold(root: Path, target: Any, fold: int, settings: dict[str, Any]) -> Path:
    """Train the target's config on one fold of the sources, a normal run beside it; its folder."""
    from model.versions import write_version

    one = fold_of(root, target, fold, settings)
    write_version(root, one.version)
    merge_version_files(root, [one.version.name])
    train_to_end(root, one.run, one.config, None)
    return one.run


def train_to_end(root: Path, run: Path, config: Any, fork: Path | None) -> None:
    """Train, unless exactly that is done already. Raises LongdanceError if it was stopped."""
    from model.checkpoint import newest_checkpoint
    from model.runs import differences
    from pipeline.files import read_json

    if (run / "run.json").is_file():
        was = read_json(run / "run.json")["identity"]["config"]
        info = newest_checkpoint(run / "checkpoints")
        if info and info.step >= config.steps and not differences(was, config.model_dump(mode="json")):
            register_run(root, run, "finished", config.steps)
            return
    ended = train_run(root, run, config, 1, fork)
    if ended["status"] != "finished":
        raise LongdanceError(f"Training {run} was stopped at step {ended['step']}: run the same command to go on.")


def keep_evidence(root: Path, evidence: Any) -> None:
    """Write the scores of worth, bring them into the catalog, and check there that nothing leaked.

    Raises:
        LongdanceError: a run gave the irreducible loss of a source that it was trained on.
    """
    from model.evidence import write_evidence

    write_evidence(root, evidence)
    with open_catalog(DataFolder(root).catalog) as con:
        merge_tables(con, {"worth": evidence.rows.replace_schema_metadata(None)})
    check_leaks(root, evidence.id)


def check_leaks(root: Path, evidence: str) -> None:
    """Raise LongdanceError if a run judged a source of its own training set."""
    with open_catalog(DataFolder(root).catalog, read_only=True) as con:
        leaks = con.execute(LEAKS, [evidence]).fetchall()
    if leaks:
        run, sources = leaks[0]
        raise LongdanceError(
            f"Run {run} was trained on {sources} of the sources whose irreducible loss it gave: that is a leak, so "
            "nothing was pruned; give runs trained on other sources."
        )


def prune(
    root: Path, evidence: Sequence[Any], policy: Policy, parent: str | None, name: str | None, number: int, of: int
) -> str:
    """Carry the policy out; the name of the version."""
    from model.evidence import policy_record, version_samples
    from model.samples import read_samples
    from model.selection import decide_in_catalog, weights_of
    from model.versions import Version, VersionSample, bytes_hash, write_version

    with open_catalog(DataFolder(root).catalog, read_only=True) as con:
        chosen, sql = decide_in_catalog(con, policy, [one.id for one in evidence])
    judged = sorted({key for one in evidence for key in one.keys})
    stored = read_samples(root)
    kept = version_samples(root, parent, stored, judged, chosen, policy)
    rho = dict(zip(evidence[0].keys, evidence[0].worth.columns["rho"]))
    weights = weights_of(policy, [sample.key for sample in kept], rho)
    samples = tuple(VersionSample(s.key, bytes_hash(s), weights[s.key]) for s in kept)
    version = Version("", parent, policy_record(policy, sql, evidence, stored), samples)
    stage = evidence[0].stage if len(evidence) == 1 else policy.combine
    chosen_name = f"{stage}-{policy.score}-{version.hash[:8]}"
    if name:
        chosen_name = name if of == 1 else f"{name}-{stage}"
    write_version(root, Version(chosen_name, parent, version.policy, samples))
    merge_version_files(root, [chosen_name])
    return chosen_name


def train_on(root: Path, run: Path, version: str, steps: int | None) -> str:
    """Fork a run onto a version and train it; the new run's folder."""
    from model.config import train_config
    from model.measured import RunRef

    config = RunRef.of(run).config
    was = config.model_dump(mode="json", exclude={"stage", "preset"})
    settings = {**was, "version": version, "steps": config.steps + (steps or config.steps)}
    child = run.with_name(f"{run.name}-{version}")
    train_to_end(root, child, train_config(config.stage, config.preset, **settings), run)
    return str(child)
