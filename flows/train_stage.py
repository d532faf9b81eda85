"""The flow `train-stage`: latents for what has none, then one stage's training, to its end.

Training runs in a process of its own (`python -m model.training.train`, or `accelerate launch` for several), which
reports by JSON lines; checkpoints make it exact to run again, whatever was killed.
"""

import logging
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Literal, get_args

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_link_artifact
from prefect.runtime import flow_run

from data_catalog.base.files import make_folder, write_json
from data_catalog.base.paths import RunFolder
from data_catalog.base.processes import at_stop
from data_catalog.connection import open_catalog
from data_catalog.writes import merge_latents
from flows.catalog.kept_rows import keep_and_merge
from flows.children import TRAINING, Ranks, child_events, launch_command
from flows.progress import Progress
from flows.runners import TASK_OPTIONS, is_on_cluster, open_ranks, open_workers
from flows.server.outlive import show_in_prefect
from flows.storage.home import Home, built_home, keep_catalog
from flows.storage.latents import encode_by_shards
from flows.storage.places import name_of, place_of
from model.choreography.config import choreographer_config
from model.config import EncodeConfig, StageName, TrainConfig, absolute_folders, train_config
from model.errors import ConfigError, UnknownNameError
from model.loop_config import CHOREOGRAPHER, LoopConfig
from model.presets import Preset
from pipeline.workers.workers import Workers

LearntStage = StageName | Literal["choreographer"]
STOPPED = 143  # 128 + SIGTERM, after a checkpoint


@task(name="encode latents", task_run_name="encode latents of {home.name}", **TASK_OPTIONS)
def encode_latents(home: Home, config: EncodeConfig, device: str) -> dict[str, int]:
    """Latents for every sample that has none; all of them are then in the catalog."""
    from model.data.latents import encode_dataset, latent_rows
    from model.devices import resolve_device

    cluster = is_on_cluster()
    if not cluster:  # its hosts have the GPUs
        resolve_device(device)  # one sentence now, not torch's own words after the first shard

    def opened() -> AbstractContextManager[Workers | None]:
        return open_workers(0, home.shared, gpus=int(device == "cuda")) if cluster else nullcontext()

    with Progress(f"encode {home.name}") as progress, progress.growing("latents") as grow:
        if isinstance(home.root, Path) and not cluster:
            result = encode_dataset(home.root, config, grow, device)
        else:
            result = encode_by_shards(home, config, grow, device, "cpu" if cluster else device, opened)
    rows = [row for manifest in result.manifests for row in latent_rows(manifest)]
    with open_catalog(home.folder.catalog) as con:
        merge_latents(con, rows)
    home.keep()
    return {"samples": result.samples, "shards_encoded": result.encoded_shards, "shards_there": result.skipped_shards}


@task(name="train", task_run_name="train {run.name}", **TASK_OPTIONS)
def train_run(
    home: Home, run: Path, config: LoopConfig, processes: int, fork: Path | None, until: int | None = None
) -> dict[str, Any]:
    """Train until the run is finished or told to stop; the catalog follows its checkpoints."""
    logger, root = get_run_logger(), home.folder.root
    ended: dict[str, Any] = {"status": "failed", "step": 0}
    with (
        tempfile.TemporaryDirectory() as scratch,
        home.named(),
        at_stop(lambda: register_run(home, run, "stopped")),
        training_ranks(home, config, processes, until) as ranks,
        child_events(
            training_command(root, run, config, 1 if ranks else processes, fork, until, Path(scratch)),
            "Training",
            (0, STOPPED),
            ranks,
        ) as events,
        Progress(f"train {run.name}") as progress,
        progress.growing("train") as grow,
    ):
        for event in events:
            kind, step = event.get("kind"), event.get("step", 0)
            values = event.get("values", {})
            if kind == "step":
                grow(step, event["steps"])
            elif kind == "samples" and "path" in values:
                link = Path(values["path"]).resolve().as_uri()
                show_in_prefect(create_link_artifact, link, key="sample-windows", link_text=f"step {step}")
            elif kind in ("notice", "warning"):
                logger.log(logging.INFO if kind == "notice" else logging.WARNING, "%s", values.get("text", ""))
            elif kind in ("started", "checkpoint", "ended"):
                ended = {"status": values.get("status", "running"), "step": step}
                register_run(home, run, ended["status"], step)
    return ended


@flow(name="train-stage", flow_run_name="train {stage} {run.name}", persist_result=False)
def train_stage(
    stage: LearntStage,
    data: Path | str,
    run: Path,
    preset: Preset = "tiny",
    settings: dict[str, Any] | None = None,
    processes: int = 1,
    fork: Path | None = None,
    until: int | None = None,
) -> dict[str, Any]:
    """Train one stage of the video model, or a choreographer; run it again to resume.

    Args:
        stage: What to train.
        data: Folder of a built data set, or its address in object storage.
        run: Folder of the run; it is created, and it is the run's identity.
        preset: `tiny` trains on two CPU cores, `sd15` is Stable Diffusion 1.5's size.
        settings: What differs from the preset; names as in `model.config.TrainConfig`.
        processes: Processes that train together: of `accelerate launch` here, or over the hosts of a Ray cluster.
        fork: The run that a new run continues from under other settings.
        until: Stop at this step, with a checkpoint; the same run continues from there.
    """
    run, fork = run.expanduser().resolve(), fork and fork.expanduser().resolve()
    place = place_of(data)
    with built_home(place) as home:
        make_folder(run.parent)
        config: LoopConfig
        if stage == CHOREOGRAPHER:
            config = choreographer_config(**(settings or {}))
        else:
            wanted = train_config(stage, preset, **absolute_folders(settings or {}))
            config = fitting_config(home.folder.root, run, wanted, fork)
            get_run_logger().info("latents: %s", encode_latents(home, config.encode, device_of(config)))
        if stage == CHOREOGRAPHER and processes > 1:
            home.keep()  # other hosts read the catalog there
    ended = train_run(home, run, config, processes, fork, until)  # others may work in a store meanwhile
    keep_catalog(place)
    return ended


def fitting_config(root: Path, run: Path, config: TrainConfig, fork: Path | None) -> TrainConfig:
    """The config, with the codec that its first weights bring. Raises CodecError, RunError where they do not fit."""
    from model.training.fitting_codec import as_begun, check_init, with_codec_of_run

    if RunFolder(run).record.is_file():
        return as_begun(run, config)
    config = with_codec_of_run(root, config)
    check_init(root, config, fork)
    return config


def _encode_name() -> str:
    """`encode`, and the data set's name."""
    return f"encode {name_of(flow_run.parameters['data'])}"


@flow(name="encode-latents", flow_run_name=_encode_name, persist_result=False)
def encode_only(data: Path | str, preset: Preset = "tiny", settings: dict[str, Any] | None = None) -> dict[str, int]:
    """Latents for every sample of a data set that has none, without training."""
    config = train_config("starter", preset, **absolute_folders(settings or {}))
    with built_home(place_of(data)) as home:
        return encode_latents(home, config.encode, device_of(config))


def device_of(config: TrainConfig) -> str:
    """Where latents are made."""
    return "cuda" if config.device == "cuda" else "cpu"


def check_stage(stage: str, preset: str, settings: dict[str, Any]) -> None:
    """Refuse settings before a flow begins.

    Raises:
        UnknownNameError, ConfigError: in one sentence.
    """
    if stage == CHOREOGRAPHER:
        if preset != "tiny":
            raise ConfigError(f"A choreographer has one size and --preset is {preset!r}: leave it out.")
        choreographer_config(**settings)
        return
    if stage not in (stages := get_args(StageName)):
        raise UnknownNameError("stage", stage, (*stages, CHOREOGRAPHER))
    train_config(stage, preset, **settings)


def training_command(
    root: Path, run: Path, config: LoopConfig, processes: int, fork: Path | None, until: int | None, scratch: Path
) -> list[str]:
    """The training process, alone or under `accelerate launch`; its config is written into a scratch folder."""
    path = scratch / "config.json"
    write_json(path, config.model_dump(mode="json"))
    arguments = ["--config", str(path), "--data", str(root), "--run", str(run)]
    arguments += ["--fork", str(fork)] if fork else []
    arguments += ["--until", str(until)] if until is not None else []
    return launch_command(TRAINING, arguments, processes)


@contextmanager
def training_ranks(home: Home, config: LoopConfig, processes: int, until: int | None) -> Iterator[Ranks | None]:
    """The processes of a training but for the first, on the hosts of a cluster; None where all are this host's.

    Raises:
        LongdanceError: the cluster has no room for so many, or a host differs from this one.
    """
    if processes == 1 or not is_on_cluster():
        yield None
        return
    from model.devices import resolve_device
    from model.hosts.train_rank import training_words

    gpus = int(resolve_device(config.device) == "cuda")
    shared = [home.folder.catalog] if isinstance(home.root, Path) else []
    with open_ranks(processes, gpus, shared) as ranks:
        ranks.start(TRAINING, training_words, home.root, config.model_dump(mode="json"), until)
        yield ranks


def register_run(home: Home, run: Path, status: str, step: int | None = None) -> None:
    """Bring a run and its checkpoints in the catalog up to date; without a step, at that of the newest checkpoint."""
    from model.runs.checkpoint import newest_step
    from model.runs.lineage import seen_sources
    from model.runs.record import checkpoint_rows, run_row

    row = run_row(run, status, newest_step(RunFolder(run).checkpoints) if step is None else step)
    seen = [{"run": row["run"], "source_id": source} for source in sorted(seen_sources(run) or ())]
    rows = {"runs": [row], "run_sources": seen, "checkpoints": checkpoint_rows(run)}
    home.made([keep_and_merge(home.folder, f"run-{row['run']}", rows)])
