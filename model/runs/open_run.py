"""Opening a run: as a new one, as one that continues, or as a fork of another."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from data_catalog.base.files import remove_temps
from data_catalog.base.paths import RunFolder
from model.data.codec import load_codec
from model.data.dataset import SplitData
from model.errors import RunError
from model.presets import PRESETS
from model.runs.checkpoint import (
    CheckpointInfo,
    list_checkpoints,
    load_checkpoint,
    network_config,
    save_checkpoint,
    step_folder,
)
from model.runs.init_weights import check_codec_of_export, check_codec_of_run
from model.runs.lineage import inherited_sources, write_sources
from model.runs.record import identity_changes, open_run, read_record
from model.runs.run import run_checkpoint
from model.sources import CODEC_FILE, OtherRun, Pretrained, Scratch, parse_init


def open_or_start_run(
    run_dir: Path,
    identity: dict[str, Any],
    fork: Path | None,
    split: SplitData,
    say: Callable[..., None],
    data: Path,
) -> None:
    """Open the run; a new one first gets its codec, and its parent's checkpoint if it is a fork.

    `say` takes a kind of event, a step, and what it tells. Raises RunError if the folder holds another run,
    or the parent is none for this config.
    """
    remove_temps(run_dir)
    parent, init = None, parse_init(identity["config"]["init"])
    if _has_no_checkpoint(run_dir) and _identity_changed(run_dir, identity):
        say("notice", 0, text="Nothing of this run was kept under its earlier settings: it starts over.")
        RunFolder(run_dir).record.unlink()
    if RunFolder(run_dir).record.is_file():
        _check_forked(run_dir, fork)
    elif _foreign_checkpoints(run_dir, fork):
        raise RunError(
            f"{run_dir} holds checkpoints and no run.json, which says whose: put it back, or name a new run."
        )
    else:
        if fork is not None:
            info = run_checkpoint(fork)
            parent = _parent(fork, info, "fork", split)
            check_fork(fork, info, identity["config"])
            shutil.rmtree(
                step_folder(RunFolder(run_dir).checkpoints, info.step), ignore_errors=True
            )  # a killed start's
            _copy_checkpoint(info, RunFolder(run_dir).checkpoints, identity["config"]["keep"])
        elif isinstance(init, OtherRun):
            parent = _parent(init.path, run_checkpoint(init.path), "weights", split)
        elif isinstance(init, Pretrained):
            check_codec_of_export(Path(init.name), split.codec)
        load_codec(split.codec_folder).save(RunFolder(run_dir).codec)
        own = {sample.source_id for sample in split.train.samples}
        write_sources(run_dir, own, inherited_sources(init, fork))
    open_run(run_dir, identity, parent, data)
    if not (RunFolder(run_dir).codec / CODEC_FILE).is_file():  # lost since; its hash is part of what the run is
        load_codec(split.codec_folder).save(RunFolder(run_dir).codec)
    if not split.holdout.samples:
        holdout = identity["config"]["holdout"]
        why = "the data set has one source; add another video" if holdout else "setting 'holdout' is 0"
        say("warning", 0, text=f"Nothing is held out ({why}), so validation does not run.")


def _parent(run_dir: Path, info: CheckpointInfo, kind: str, split: SplitData) -> dict[str, Any]:
    """What a run's record keeps of the run that it begins with, at the checkpoint `info`."""
    check_codec_of_run(run_dir, split.codec)
    run_id = read_record(run_dir)["run_id"]
    return {"run_id": run_id, "kind": kind, "step": info.step, "checkpoint": info.sha256}


def _has_no_checkpoint(run_dir: Path) -> bool:
    """Whether a run was begun and has no checkpoint, nor ever had one: a mistyped setting, mostly."""
    kept = list_checkpoints(RunFolder(run_dir).checkpoints) or RunFolder(run_dir).checkpoint_history.exists()
    return RunFolder(run_dir).record.is_file() and not kept


def _identity_changed(run_dir: Path, identity: dict[str, Any]) -> bool:
    """Whether a run's settings, or the weights of the run that it begins from, are others than those on record."""
    record, init = read_record(run_dir), parse_init(identity["config"]["init"])
    if identity_changes(record["identity"], identity):
        return True
    parent = record["parent"]
    if not parent or parent["kind"] != "weights" or not isinstance(init, OtherRun):
        return False
    return bool(parent["checkpoint"] != run_checkpoint(init.path).sha256)


def _foreign_checkpoints(run_dir: Path, fork: Path | None) -> list[Path]:
    """Checkpoints in a folder without run.json, but for the parent's, which a fork that was killed had copied."""
    copied = step_folder(RunFolder(run_dir).checkpoints, run_checkpoint(fork).step) if fork else None
    return [path for path in list_checkpoints(RunFolder(run_dir).checkpoints) if path != copied]


def _check_forked(run_dir: Path, fork: Path | None) -> None:
    """Raise RunError if a run that is there already is not a fork of `fork`."""
    parent = read_record(run_dir)["parent"] or {}
    if fork is not None and parent.get("run_id") != read_record(fork)["run_id"]:
        raise RunError(f"{run_dir} is a run already, and no fork of {fork}: name a new folder for the fork.")


def check_fork(fork: Path, info: CheckpointInfo, config: dict[str, Any]) -> None:
    """Raise RunError if the network, Adam or position of the parent's checkpoint is of no use to a child so set, or
    the child's record would tell of settings that do nothing."""
    before = read_record(fork)["identity"]["config"]
    if before["network"] != config["network"]:
        raise RunError(
            f"A fork continues with its parent's network ({before['network'] or 'as the preset has it'}), setting "
            f"'network' is {config['network'] or 'as the preset has it'}: give it as the parent had it."
        )
    predicts = network_config(info)["prediction_type"]
    _check_ignored_settings(fork, config, {**before, "prediction": predicts})
    changed = [name for name in ("train", "lora_rank", "optimizer", "mixed_precision") if before[name] != config[name]]
    if changed:
        said = "; ".join(f"{name}: {before[name]!r} before, {config[name]!r} now" for name in changed)
        raise RunError(
            f"A fork continues with its parent's Adam, which these settings would not fit ({said}): keep them, or "
            f"start from the parent's weights alone with init 'run:{fork}'."
        )
    if config["steps"] <= info.step:
        raise RunError(
            f"The run {fork} is at step {info.step} already and setting 'steps' is {config['steps']}: give more."
        )


def _check_ignored_settings(fork: Path, config: dict[str, Any], parents: dict[str, Any]) -> None:
    """Raise RunError for a setting that a fork's record would hold and its training ignore."""
    defaults = {"preset": (), "prediction": (None,), "init": (str(Scratch()), PRESETS[config["preset"]].get("init"))}
    for name, unset in defaults.items():
        if config[name] not in (parents[name], *unset):
            raise RunError(
                f"A fork begins with its parent's network and weights, and setting {name!r} is {config[name]!r}, which "
                f"would do nothing (the parent has {parents[name]!r}): leave it out, or start from the parent's "
                f"weights alone with init 'run:{fork}'."
            )


def _copy_checkpoint(info: CheckpointInfo, root: Path, keep: int) -> None:
    """The parent's state as the child's first checkpoint; its metrics start over."""
    state = load_checkpoint(info)
    state.progress["metrics_bytes"] = 0
    save_checkpoint(root, state, keep)
