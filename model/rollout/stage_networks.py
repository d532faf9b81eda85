"""Trained runs that serve a plan's calls: which run takes which stage, and its network on the device when needed."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from model.errors import ConfigError, RolloutError
from model.network.diffusion import PredictionType
from model.network.unet import VideoUNet
from model.plans.plan import Call, make_plan
from model.plans.stages import Window, call_window, get_stage, stage_plans, training_windows
from model.rollout.config import SamplingConfig
from model.runs.init_weights import network_of_run
from model.runs.run import Run
from model.sources import NoText


def window_shape(window: Window) -> tuple[object, ...]:
    """A window up to a shift, and up to how far back frame 0 of the sequence lies: any clip has it farther off."""
    origin = window.targets[0]
    hints = tuple(hint - origin for hint in window.hints if hint != window.first)
    return window.first is not None, hints, tuple(target - origin for target in window.targets)


def runs_by_stage(runs: Sequence[Run], plan_name: str, plan: Sequence[Call]) -> dict[str, Run]:
    """The run that serves each stage of a plan: the stage's own, else one of stage `any`.

    Raises RolloutError if two runs are of one stage, have different codecs, or do not cover the plan.
    """
    by_stage: dict[str, Run] = {}
    for run in runs:
        other = by_stage.setdefault(run.config.stage, run)
        if other is not run:
            raise RolloutError(f"Runs {other.path} and {run.path} are both of stage {run.config.stage!r}: give one.")
    if not runs:
        raise RolloutError("No run was given: name the folders that `longdance train` made.")
    for run in runs:
        if run.codec != runs[0].codec:
            raise RolloutError(
                f"Run {run.path} was trained on latents of codec {run.codec[:12]}, run {runs[0].path} on those of "
                f"{runs[0].codec[:12]}: give runs that were trained on one data set with one codec."
            )
    serving = {}
    for stage in dict.fromkeys(call.stage for call in plan):
        serving[stage] = _run_for(stage, by_stage, plan_name, [call for call in plan if call.stage == stage])
    return serving


BEST_FIRST = ("star", "tree", "streaming", "origin")
"""Plans as docs/measured.md has them, the best first: with a dance nothing adds up; without, depth is what drifts."""


def best_plan(runs: Sequence[Run], frames: int) -> str:
    """The best plan that these runs cover. Raises RolloutError if they cover none, for the origin's reason."""
    for name in BEST_FIRST[:-1]:
        try:
            runs_by_stage(runs, name, make_plan(name, frames))
        except RolloutError:
            continue
        return name
    runs_by_stage(runs, "origin", make_plan("origin", frames))
    return "origin"


def _run_for(stage: str, by_stage: dict[str, Run], plan_name: str, calls: Sequence[Call]) -> Run:
    own = by_stage.get(stage)
    able = (run for name, run in by_stage.items() if get_stage(name).versatile and stage in get_stage(name).serves)
    versatile = next(able, None)
    if own is not None and (versatile is None or _trained_on(own, plan_name, calls)):
        if not _trained_on(own, plan_name, calls):
            named = ", ".join(stage_plans(stage, own.config.plans))
            raise RolloutError(
                f"Plan {plan_name!r} has {stage} calls that run {own.path} was not trained on (it knows those of plan "
                f"{named}): choose that plan, train the stage with plans={plan_name}, or give a run of stage 'any'."
            )
        return own
    if versatile is None:
        given = ", ".join(f"{name} ({run.path})" for name, run in by_stage.items())
        raise RolloutError(
            f"Plan {plan_name!r} has {len(calls)} {stage} calls and no run was trained for them (given: {given}): "
            f"add a run of stage {stage!r} or one of stage 'any'."
        )
    return versatile


def _trained_on(run: Run, plan_name: str, calls: Sequence[Call]) -> bool:
    """Whether a plan is one that the run knows (its calls at other lengths have other shapes), or all shapes are."""
    plans = stage_plans(run.config.stage, run.config.plans)
    if plan_name in plans:
        return True
    known = {window_shape(window) for window, _ in training_windows(run.config.stage, plans=plans)}
    return all(window_shape(call_window(call)) in known for call in calls)


class NetworkPool:
    """The averaged networks of the runs that serve; at most one is on the device, the others wait in memory."""

    def __init__(self, serving: dict[str, Run], device: torch.device, dtype: torch.dtype) -> None:
        self._serving, self._device, self._dtype = serving, device, dtype
        self._loaded: dict[str, VideoUNet] = {}
        self._present: str | None = None

    def __call__(self, stage: str) -> tuple[VideoUNet, PredictionType]:
        """The network for a stage's calls, in eval mode, and what it predicts."""
        run = self._serving[stage]
        if run.run_id not in self._loaded:
            self._loaded[run.run_id] = self._load(run)
        network = self._loaded[run.run_id]
        if self._present != run.run_id:
            if self._present is not None and self._device.type != "cpu":
                self._loaded[self._present].to("cpu")
            network.to(self._device)
            self._present = run.run_id
        return network, network.config.prediction_type

    def _load(self, run: Run) -> VideoUNet:
        network = network_of_run(run.path).eval().requires_grad_(False)
        network.channels_last = True
        for parameter in network.image_parameters().values():
            parameter.data = parameter.data.to(self._dtype)
        return network


def check_settings(run: Run, stage: str, sampling: SamplingConfig) -> None:
    """Raise ConfigError for guidance, or prompts, that a run was not trained for."""
    hint_guidance, text_guidance = sampling.of_stage(stage)[1], sampling.text_guidance
    if hint_guidance != 1 and not run.config.hint_dropout:
        raise ConfigError(
            f"Guidance over hints is {hint_guidance} for {stage} calls, and run {run.path} was never trained without "
            f"hints: set hint_guidance.{stage}=1, or train with hint_dropout=0.1."
        )
    if not isinstance(run.encode.text_source, NoText):
        return
    if text_guidance != 1:
        raise ConfigError(
            f"Text guidance is {text_guidance} and run {run.path} was trained without text: set text_guidance=1."
        )
    for name in ("prompt", "negative_prompt"):
        if given := getattr(sampling, name):
            raise ConfigError(
                f"Setting {name!r} is {given!r} and run {run.path} was trained without text: leave it out."
            )
