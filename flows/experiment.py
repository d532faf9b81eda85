"""The flow `experiment-prune`: does pruning help? Same start, same compute, several seeds, a control."""

from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.runtime import flow_run

from data_catalog.base.errors import LongdanceError
from data_catalog.base.files import read_json, write_bytes, write_json
from data_catalog.base.paths import RunFolder
from flows.folds import COMPARED
from flows.runners import TASK_OPTIONS
from flows.score_and_prune import prune, score_stage, train_to_end
from flows.server.outlive import show_in_prefect
from flows.storage.home import built_home
from flows.storage.places import name_of, place_of
from model.scoring.policy import policy
from model.scoring.request import PruneRequest
from model.sources import OtherRun


@task(name="evaluate", task_run_name="evaluate {run.name}", **TASK_OPTIONS)
def evaluate(root: Path, run: Path, windows: int, generated: int) -> dict[str, Any]:
    """A run's losses and picture quality on the hold-out, kept beside it."""
    from dataclasses import asdict

    from model.runs.run import Run
    from model.scoring.experiment import evaluate_run

    kept, checkpoint = RunFolder(run).evaluation, Run.open(run).checkpoint.sha256
    settings = {"checkpoint": checkpoint, "windows": windows, "generated": generated}
    if kept.is_file():
        before = read_json(kept)
        if {name: before[name] for name in settings} == settings:
            return dict(before)
    found = {**settings, **asdict(evaluate_run(root, run, windows, generated))}
    write_json(kept, found)
    return found


def keep_settings(out: Path, settings: dict[str, Any]) -> None:
    """Note what all trainings in `out` share. Raises LongdanceError if it holds an experiment of something else."""
    from model.runs.record import differences

    path = out / "settings.json"
    changed = differences(read_json(path), settings) if path.is_file() else []
    if changed:
        raise LongdanceError(f"{out} holds another experiment ({'; '.join(changed)}): name another --out.")
    out.mkdir(parents=True, exist_ok=True)
    write_json(path, settings)


def _run_name() -> str:
    """`experiment on`, and the data set's name."""
    return f"experiment on {name_of(flow_run.parameters['data'])}"


@flow(name="experiment-prune", flow_run_name=_run_name, persist_result=False)
def experiment_prune(
    data: Path | str,
    run: Path,
    out: Path,
    seeds: int = 3,
    steps: int = 100,
    fraction: float = 0.1,
    windows: int = 32,
    generated: int = 8,
    fit: dict[str, Any] | None = None,
) -> str:
    """Train one stage on from one checkpoint on the full data and on versions; run it again to resume.

    Args:
        data: Folder of a built data set, or its address in object storage.
        run: The run from whose checkpoint every training starts, and whose losses are scored.
        out: Folder of the trainings and of the result.
        seeds: Trainings of each version.
        steps: Of each training: the same compute for all.
        fraction: Share that each policy drops.
        windows: Windows of the hold-out that are judged by loss.
        generated: Windows of the hold-out that are generated.
        fit: Settings of the cross-fit models that differ from the run's.
    """
    from model.config import train_config
    from model.runs.run import Run
    from model.scoring.experiment import Evaluation, experiment_table, verdict

    run, out = run.expanduser().resolve(), out.expanduser().resolve()
    target = Run.open(run)
    config = target.config
    with built_home(place_of(data)) as home:
        start = {"run": target.run_id, "checkpoint": target.checkpoint.sha256}
        settings = {**start, "data": str(home.root), "steps": steps, "fraction": fraction, "fit": fit or {}}
        keep_settings(out, settings)
        asked = PruneRequest(data=home.root, runs=(run,), policy=policy(score="rho", fraction=fraction), fit=fit or {})
        evidence = score_stage(home, asked, run)
        versions: dict[str, str | None] = {"full": None}
        for name in COMPARED:
            how = asked.model_copy(update={"policy": policy(score=name, fraction=fraction)})
            versions[name] = prune(home, how, [evidence]).version
        found: dict[str, list[Evaluation]] = {name: [] for name in versions}
        was = config.model_dump(mode="json", exclude={"stage", "preset"})
        for seed in range(seeds):
            for name, version in versions.items():
                one = {**was, "init": str(OtherRun(run)), "seed": 1000 + seed, "steps": steps, "version": version}
                child = out / f"{name}-seed{seed}"
                train_to_end(home, child, train_config(config.stage, config.preset, **one), None)
                judged = evaluate(home.folder.root, child, windows, generated)
                found[name].append(Evaluation(tuple(judged["bins"]), judged["psnr"]))
        home.keep()
    text = "\n".join(
        [f"# Pruning {fraction:.0%} of {home.name}, {config.stage}, {steps} steps from {run.name}", "",
         experiment_table(found), verdict(found), ""]
    )  # fmt: skip
    write_bytes(out / "experiment.md", text.encode())
    about = "Versions against the full data"
    show_in_prefect(create_markdown_artifact, key="experiment-prune", markdown=text, description=about)
    get_run_logger().info("%s", text)
    return text
