"""The training loop and everything it must remember, saved and restored together or not at all."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator  # type: ignore[import-untyped]

from data_catalog.base.paths import RunFolder
from model.data.loader import BatchPlan
from model.errors import CheckpointError, RunError
from model.loop_config import LoopConfig
from model.runs.checkpoint import (
    Tensors,
    TrainingState,
    pack_optimizer,
    save_checkpoint,
    set_aside_diverged,
    unpack_optimizer,
)
from model.training.loss_range import LossRange, diverged_sentence
from model.training.memory import cap_memory
from model.training.metrics_log import MetricsLog, Pace
from model.training.optimizer import learning_rate_at, make_ema, make_optimizer
from model.training.task import Task


class Trainer:
    """One process of one run. `restore` before `run`."""

    def __init__(
        self,
        accelerator: Accelerator,
        config: LoopConfig,
        task: Task,
        run_dir: Path,
        say: Callable[..., None],
    ) -> None:
        self._accelerator, self._config, self._task = accelerator, config, task
        self._folder, self._say = RunFolder(run_dir), say
        self._device = accelerator.device
        cap_memory(self._device, config.vram_gib)
        self._trained = task.configure(self._device)
        self._network = task.network.to(self._device)
        self._names: dict[torch.Tensor, str] = {parameter: name for name, parameter in self._trained.items()}
        optimizer = make_optimizer(config, list(self._trained.values()), task.splits_weights)
        # The optimizer's state is in its place, and "placing" it would turn all of it into the weights' type.
        self._model, self._optimizer = accelerator.prepare(task.network, optimizer, device_placement=[True, False])
        self._ema = make_ema(config, self._trained, optimizer)
        self._plan = BatchPlan(config.batch, config.accumulate, accelerator.num_processes)
        self._examiner = task.examination(self._ema)
        self._metrics: MetricsLog | None = None
        self._board: Any = None
        self.step, self.samples_seen = 0, 0
        self._loss_range = LossRange()
        torch.manual_seed(config.seed + accelerator.process_index)

    @property
    def _is_main(self) -> bool:
        return self._accelerator.is_main_process

    def parameter_counts(self) -> dict[str, int]:
        """Parameters in all, and those that learn."""
        total = sum(parameter.numel() for parameter in self._network.parameters())
        return {"all": total, "trained": sum(parameter.numel() for parameter in self._trained.values())}

    # --- state ---------------------------------------------------------------------------------

    def state(self) -> TrainingState:
        """All that the next step depends on. Every process calls this; the main one's is whole."""
        moments, numbers = pack_optimizer(self._optimizer.optimizer, self._names)
        scaler = self._accelerator.scaler
        return TrainingState(
            tensors={
                "weights": dict(self._network.state_dict()),
                "ema": self._ema.averages,
                "optimizer": moments,
                "rng": self._gather_rng(),
                **self._gather_task(),
            },
            progress={
                "step": self.step,
                "samples_seen": self.samples_seen,
                "optimizer": numbers,
                "scaler": scaler.state_dict() if scaler else None,
                "loss_range": asdict(self._loss_range),
                "diverged": self._loss_range.left,
                "metrics_bytes": self._metrics.sync() if self._metrics else 0,
            },
            network=dict(self._task.network_config()),
        )

    def restore(self, state: TrainingState | None) -> None:
        """Take over a saved state, or begin; opens the metrics at the place they had then."""
        progress: dict[str, Any] = state.progress if state else {"metrics_bytes": 0}
        if state:
            self._check_trained(state.tensors["ema"])
            self._network.load_state_dict(state.tensors["weights"])
            self._ema.load(state.tensors["ema"])
            unpack_optimizer(self._optimizer.optimizer, self._names, state.tensors["optimizer"], progress["optimizer"])
            if self._is_of_as_many(state.tensors["rng"]):
                self._restore_rng(state.tensors["rng"])
                if rows := state.tensors.get("task"):
                    self._task.restore({name: row[self._accelerator.process_index] for name, row in rows.items()})
            if self._accelerator.scaler and progress["scaler"]:
                self._accelerator.scaler.load_state_dict(progress["scaler"])
            self.step, self.samples_seen = progress["step"], progress["samples_seen"]
            self._loss_range = LossRange(**progress.get("loss_range", {}))
        if self._is_main:
            from torch.utils.tensorboard import SummaryWriter  # a second of import that other ranks do not need

            self._metrics = MetricsLog(self._folder.metrics, progress["metrics_bytes"])
            if self._metrics.lines_are_missing:
                text = "metrics.jsonl is shorter than when the checkpoint was written: lines are missing."
                self._say("notice", self.step, text=text)
            self._board = SummaryWriter(str(self._folder.tensorboard), purge_step=self.step + 1)

    def _check_trained(self, averages: Tensors) -> None:
        if averages.keys() != self._trained.keys():
            name = min(averages.keys() ^ self._trained.keys())
            raise CheckpointError(
                f"The checkpoint trains other parameters than this run ({name!r} is in one only): keep the settings "
                "'train' and 'lora_rank', or start from its weights with init 'run:PATH'."
            )

    def _gather_rng(self) -> Tensors:
        """Each process's global generators, one row a process."""
        states = {"cpu": torch.get_rng_state()}
        if self._device.type == "cuda":
            states["cuda"] = torch.cuda.get_rng_state(self._device)
        return {name: self._accelerator.gather(state[None].to(self._device)).cpu() for name, state in states.items()}

    def _gather_task(self) -> dict[str, Tensors]:
        """What each process's task remembers, one row a process; no part where that is nothing."""
        own = self._task.state()
        rows = {name: self._accelerator.gather(value[None].to(self._device)).cpu() for name, value in own.items()}
        return {"task": rows} if rows else {}

    def _is_of_as_many(self, rng: Tensors) -> bool:
        """Whether as many processes saved a state; of another number it has no row for each, which a fork does
        without."""
        return len(rng["cpu"]) == self._accelerator.num_processes

    def _restore_rng(self, rng: Tensors) -> None:
        row = self._accelerator.process_index
        torch.set_rng_state(rng["cpu"][row].clone())
        if self._device.type == "cuda":
            torch.cuda.set_rng_state(rng["cuda"][row].clone(), self._device)

    def save(self) -> None:
        """Write a checkpoint of this moment."""
        state = self.state()
        if self._is_main:
            info = save_checkpoint(self._folder.checkpoints, state, self._config.keep)
            self._say("checkpoint", self.step, path=str(info.path), bytes=info.bytes, sha256=info.sha256)
        self._accelerator.wait_for_everyone()

    # --- the loop ------------------------------------------------------------------------------

    def run(self, stop: Callable[[], bool], until: int | None = None) -> bool:
        """Train to the last step, or to step `until`, and leave a checkpoint. Returns whether the last one is done."""
        config = self._config
        if self.step == 0 and self._is_main and self._metrics and not self._metrics.sync():
            self._validate(stop)
        self._sample_if_due()
        positions = self._plan.positions(self._accelerator.process_index, self.samples_seen, config.steps - self.step)
        batches = self._task.batches(positions)
        pace, saved = Pace(), self.step
        end = config.steps if until is None else min(until, config.steps)
        while self.step < end:
            if self._agreed(stop()):
                break
            self._train_step(batches, pace)
            if self._is_main and self._due(config.validate_every):
                self._validate()
                pace.skip()
            if self._due(config.checkpoint_every):
                self.save()
                saved = self.step
                pace.skip()
            if self._sample_if_due():  # after the checkpoint: whatever befalls it, no step is lost
                pace.skip()
        if saved != self.step or self.step == 0:
            self.save()
        return self.step >= config.steps

    def _due(self, every: int) -> bool:
        return self.step % every == 0 or self.step == self._config.steps

    def _sample_if_due(self) -> bool:
        """Make the pictures of this step, where they are wanted and not there yet; whether it did."""
        due = self._is_main and self.step > 0 and self._due(self._config.sample_every)
        if due and not self._examiner.has_samples(self.step):
            self._say("samples", self.step, path=str(self._examiner.write_samples(self.step)))
            return True
        return False

    def _agreed(self, stop: bool) -> bool:
        """Whether any process was asked to stop: then all do, at the same step."""
        if self._accelerator.num_processes == 1:
            return stop
        flag = torch.tensor([float(stop)], device=self._device)
        return bool(self._accelerator.reduce(flag, "sum").item() > 0)

    def _train_step(self, batches: Iterator[Any], pace: Pace) -> None:
        accelerator, config = self._accelerator, self._config
        rate = learning_rate_at(self.step, config)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._network.train()
        losses, norm, first = [], torch.zeros(()), self.samples_seen
        for _ in range(config.accumulate):
            with accelerator.accumulate(self._model):
                loss_B = self._losses(next(batches))
                accelerator.backward(loss_B.mean())
                if accelerator.sync_gradients:
                    norm = accelerator.clip_grad_norm_(self._trained.values(), config.clip)
                self._optimizer.step()
                self._optimizer.zero_grad()
            losses.append(loss_B.detach())
        self.step += 1
        self.samples_seen += config.batch
        self._ema.update(self.step)
        self._report(self._in_order(losses), first, rate, float(norm), pace)

    def _losses(self, batch: Any) -> torch.Tensor:
        """One loss per sample of the batch, (B,)."""
        return self._task.losses(self._model, batch)

    def _in_order(self, losses: list[torch.Tensor]) -> list[float]:
        """All processes' losses of this step in the order of the samples' positions."""
        gathered = self._accelerator.gather(torch.stack(losses)[None])
        return gathered.transpose(0, 1).flatten().tolist()

    # --- watching ------------------------------------------------------------------------------

    def _report(self, losses: list[float], first: int, rate: float, norm: float, pace: Pace) -> None:
        loss = math.fsum(losses) / len(losses)
        if not math.isfinite(loss):
            kept = set_aside_diverged(self._folder.checkpoints) if self._is_main else None
            raise RunError(diverged_sentence(loss, self.step, self._config, self._folder.root, kept))
        self._loss_range.add(loss)
        if not self._metrics:
            return
        norm_or_none = norm if math.isfinite(norm) else None
        self._metrics.write(
            {
                "kind": "step",
                "step": self.step,
                "samples_seen": self.samples_seen,
                "loss": loss,
                "learning_rate": rate,
                "grad_norm": norm_or_none,
                "losses": losses,
                **self._task.seen(range(first, first + len(losses))),
            }
        )
        speed = pace.tick()
        for name, value in (("loss", loss), ("learning_rate", rate), ("steps_per_second", speed)):
            self._board.add_scalar(f"train/{name}", value, self.step)
        seconds = (self._config.steps - self.step) / speed
        self._say("step", self.step, loss=loss, steps_per_second=speed, seconds_left=seconds)

    def _validate(self, stop: Callable[[], bool] = lambda: False) -> None:
        """Examine the network; asked to `stop`, leave it, and nothing is noted. Before step 1 it can be made up for."""
        if not self._metrics or not self._task.holds_out:
            return
        bins = self._examiner.bin_losses(stop)
        if bins is None:
            return
        loss = sum(bins) / len(bins)
        self._metrics.write({"kind": "validation", "step": self.step, "loss": loss, "bins": bins})
        self._board.add_scalar("validation/loss", loss, self.step)
        for number, value in enumerate(bins):
            self._board.add_scalar(f"validation/bin{number}", value, self.step)
        self._say("validation", self.step, loss=loss, bins=bins)

    def close(self) -> None:
        """Close the files that the run writes while it goes."""
        if self._metrics:
            self._metrics.close()
        if self._board:
            self._board.close()
