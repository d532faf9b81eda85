"""Train one stage. The same call again continues where it stopped; `python -m model.training.train` does the same.

accelerate launch -m model.training.train --config CONFIG.json --data DATA --run RUN [--fork PARENT] [--until STEP]
"""

from __future__ import annotations

import ctypes
import json
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import torch
from accelerate import Accelerator  # type: ignore[import-untyped]
from accelerate.state import AcceleratorState  # type: ignore[import-untyped]

from data_catalog.base.at_work import training
from data_catalog.base.disk import disk_errors
from data_catalog.base.errors import LongdanceError
from data_catalog.base.paths import RunFolder
from data_catalog.base.processes import mute_stderr_at_exit
from model.devices import resolve_device
from model.errors import ConfigError, DeviceError, RunError
from model.loop_config import LoopConfig
from model.runs.checkpoint import TrainingState, load_checkpoint, newest_checkpoint, step_folder
from model.runs.open_run import open_or_start_run
from model.runs.record import read_record, run_identity, threads_of
from model.runs.told import check_same, told, told_state
from model.training.metrics_log import OnTrainEvent, TrainEvent
from model.training.task import Task, begun_task, load_run_data, parse_run_config
from model.training.trainer import Trainer

EXIT_STOPPED = 143
"""Exit status where steps are left, with a checkpoint: 128 + 15, as a shell would say of SIGTERM."""


@dataclass(frozen=True)
class RunResult:
    """How a call of `train` ended."""

    run_dir: Path
    run_id: str
    status: str
    """`finished`, or `stopped`: by SIGTERM, or where it was to stop."""
    step: int
    checkpoint: Path


def train(
    data: Path,
    run_dir: Path,
    config: LoopConfig,
    progress: OnTrainEvent | None = None,
    fork: Path | None = None,
    until: int | None = None,
) -> RunResult:
    """Train `config.stage` on the data set `data` into `run_dir`, from its newest checkpoint if it has one.

    `fork` names the run that a new run continues from, weights, Adam and position alike, under another config.
    `until` stops at that step, as SIGTERM does at any: the same call continues from there.
    Raises ModelError's kinds, each with one sentence: a data set without latents, a changed config, no disk,
    no checkpoint left, an absent GPU.
    """
    device = resolve_device(config.device)
    if config.mixed_precision == "fp16" and device == "cpu":
        raise DeviceError("Setting 'mixed_precision' is 'fp16', which needs a GPU: use 'bf16' or 'no'.")
    AcceleratorState._reset_state()  # accelerate's is the process's: a run before this one may have left another
    accelerator = Accelerator(
        cpu=device == "cpu",
        mixed_precision=config.mixed_precision,
        gradient_accumulation_steps=config.accumulate,
    )
    say = _event_emitter(progress if accelerator.is_main_process else None, config.steps)
    split = load_run_data(data, config)
    identity = run_identity(config, split, accelerator.num_processes, device)
    lock = training(run_dir).alone() if accelerator.is_main_process else nullcontext()
    no_room = disk_errors(run_dir, RunError, "it resumes from its newest checkpoint")
    with no_room, lock, _stop_flag() as stop:
        if accelerator.is_main_process:
            open_or_start_run(run_dir, identity, fork, split, say, data)
        check_same(accelerator, identity)
        record = told(accelerator, read_record(run_dir) if accelerator.is_main_process else None)
        with threads_of(record):
            saved = _newest_state(run_dir, say) if accelerator.is_main_process else None
            state = told_state(accelerator, saved)
            task = begun_task(accelerator, config, split, state, run_dir)
            with _memory_explained(task):
                trainer = Trainer(accelerator, config, task, run_dir, say)
                try:
                    trainer.restore(state)
                    say("started", trainer.step, run_id=record["run_id"], parameters=trainer.parameter_counts())
                    finished = trainer.run(stop, until)
                finally:
                    trainer.close()
    status = "finished" if finished else "stopped"
    say("ended", trainer.step, status=status)
    checkpoint = step_folder(RunFolder(run_dir).checkpoints, trainer.step)
    return RunResult(run_dir, record["run_id"], status, trainer.step, checkpoint)


@contextmanager
def _memory_explained(task: Task) -> Iterator[None]:
    """Raise DeviceError if the GPU's memory is not enough: what takes it, and what would free some."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise DeviceError(task.out_of_memory()) from error


def _newest_state(run_dir: Path, say: Callable[..., None]) -> TrainingState | None:
    """What the newest whole checkpoint holds. None: begin at step 0."""
    info = newest_checkpoint(RunFolder(run_dir).checkpoints, lambda text: say("notice", 0, text=text))
    if info is None:
        return None
    say("notice", info.step, text=f"Going on from checkpoint {info.path.name}.")
    return load_checkpoint(info)


def _event_emitter(progress: OnTrainEvent | None, steps: int) -> Callable[..., None]:
    def say(kind: str, step: int, **values: Any) -> None:
        if progress:
            progress(TrainEvent(kind, step, steps, values))

    return say


@contextmanager
def _stop_flag() -> Iterator[Callable[[], bool]]:
    """Within the block SIGTERM and Ctrl-C only set the flag that is yielded."""
    asked = []
    signals = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(number, lambda number, frame: asked.append(number)) for number in signals]
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)


def stop_with_parent() -> None:
    """Get SIGTERM when the process that started this one is gone, so that nobody trains on unseen (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG, of linux/prctl.h


def _print_event() -> OnTrainEvent:
    """Events as JSON lines on standard output: all but steps, and of these at most five a second."""
    last = 0.0

    def show(event: TrainEvent) -> None:
        nonlocal last
        if event.kind == "step":
            if time.monotonic() - last < 0.2 and event.step < event.steps:
                return
            last = time.monotonic()
        print(json.dumps(asdict(event)), flush=True)

    return show


def _read_config(path: Path) -> LoopConfig:
    try:
        return parse_run_config(json.loads(path.read_bytes()))
    except json.JSONDecodeError as error:
        raise ConfigError(f"{path} is not JSON: {error}.") from error


@click.command()
@click.option("--config", "config_path", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--data", type=click.Path(path_type=Path), required=True)
@click.option("--run", "run_dir", type=click.Path(path_type=Path), required=True)
@click.option("--fork", type=click.Path(path_type=Path))
@click.option("--until", type=int)
def main(config_path: Path, data: Path, run_dir: Path, fork: Path | None, until: int | None) -> None:
    """Train a stage as CONFIG (JSON) says; prints events as JSON lines."""
    stop_with_parent()
    mute_stderr_at_exit()
    try:
        result = train(data, run_dir, _read_config(config_path), _print_event(), fork, until)
    except LongdanceError as error:
        raise click.ClickException(str(error)) from error
    sys.exit(0 if result.status == "finished" else EXIT_STOPPED)


if __name__ == "__main__":
    main()
