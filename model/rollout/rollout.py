"""From one picture to N frames: a plan's calls one after the other, each finished one on the disk, the video growing.

A step's result is a pure function of its key (weights, sampling, hints, seed): whatever was killed, the same steps
give the same bytes, and what is there is not made again. Nothing is held that grows with the number of frames but
a few numbers for each.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from data_catalog.base.files import remove_temps, sha256_file, sha256_json, write_bytes
from data_catalog.base.rollout_paths import RolloutFolder
from model.data.codec import Codec
from model.data.warped_hints import pose_conditioning
from model.network.conditioning import PoseConditioning
from model.network.diffusion import PredictionType
from model.network.objective import Network
from model.plans.plan import Call
from model.plans.stages import Window, call_window
from model.pose.smooth_warp import smoothly_warped
from model.rollout.config import SamplingConfig
from model.rollout.copy_gate import with_detail
from model.rollout.refill import filled_frames, refilled
from model.rollout.steps import Step, Stretch, final_steps, steps_of
from model.rollout.store import RolloutStore
from model.sampling.guidance import Scales, TextPair
from model.sampling.sample_window import CallNoise, CallSettings, make_window
from pipeline.clips.fill import Rectangle
from pipeline.video.writer import encode_segment, join_segments

SEGMENT = 24
"""Frames that are decoded and encoded at a time."""

NetworkOf = Callable[[str], tuple[Network, PredictionType]]
"""A stage's network, on the device, and what it predicts."""


@dataclass(frozen=True)
class RolloutEvent:
    """A step that is done."""

    calls_done: int
    calls: int
    frames_final: int
    """Frames that the video holds by now."""
    frames: int
    made: bool
    """False where an earlier run had made it."""
    seconds: float


OnRolloutEvent = Callable[[RolloutEvent], None]


@dataclass(frozen=True)
class RolloutModels:
    """Who plays: networks, codec and text, and what names them."""

    networks: NetworkOf
    codec: Codec
    text: TextPair
    identity: Callable[[str], Any]
    """What a stage's frames depend on beside their hints: weights, text; as JSON."""
    device: torch.device


def picture_hash(picture_HWC: np.ndarray) -> str:
    """Names a picture by its shape and pixels."""
    digest = hashlib.sha256(str(picture_HWC.shape).encode())
    digest.update(np.ascontiguousarray(picture_HWC).tobytes())
    return digest.hexdigest()


def outline_hash(outline: np.ndarray) -> str:
    """Names an outline by its shape and pixels."""
    return hashlib.sha256(str(outline.shape).encode() + np.packbits(outline).tobytes()).hexdigest()


def dance_hash(dance: np.ndarray) -> str:
    """Names landmarks by their shape and numbers."""
    digest = hashlib.sha256(str(dance.shape).encode())
    digest.update(np.ascontiguousarray(dance, "<f8").tobytes())
    return digest.hexdigest()


class Rollout:
    """One video in the making, in a folder of its own."""

    def __init__(
        self,
        folder: Path,
        plan: Sequence[Call],
        frames: int,
        cast: RolloutModels,
        sampling: SamplingConfig,
        fps: Fraction = Fraction(30),
        redos: Sequence[Stretch] = (),
        region: Rectangle | None = None,
        dance: np.ndarray | None = None,
        outline: np.ndarray | None = None,
    ) -> None:
        """`region`: where the picture that it begins with is true, and not filled; None: everywhere. `dance`: landmarks
        (frames, 33, 4) in its pixels, for networks that are told poses; `outline`: where its person is, if known."""
        self._folder, self._plan, self.frames, self._cast = RolloutFolder(folder), plan, frames, cast
        self._sampling, self._fps, self._redos, self._region = sampling, fps, redos, region
        self._dance, self._danced = dance, [] if dance is None else [dance_hash(dance)]
        self._outlines = {} if outline is None else {0: outline}
        self._danced += [outline_hash(outline)] if outline is not None else []
        self.store = RolloutStore(self._folder.latents)

    def run(
        self, picture_HWC: np.ndarray, video: Path, progress: OnRolloutEvent | None = None, replaces_whole: bool = False
    ) -> None:
        """Make all frames from the picture (uint8, of the codec's size) and write the mp4 `video`.

        The video is written again whenever more frames are final; with `replaces_whole`, once, when all are.
        Raises OSError where the disk is full: run it again, it continues.
        """
        remove_temps(self._folder.root)
        self._picture = picture_HWC
        given = self._give(picture_HWC)
        steps = steps_of(self._plan, self._redos, self._identity, given.key)
        final = {0: given, **final_steps(steps)}
        writer = _Writer(self, final, video)
        done, newest = {given.key}, {0: given}
        for number, step in enumerate(steps, 1):
            started = time.monotonic()
            made = not self.store.has(step)
            if made:
                self.store.put(step, self._make(step, newest))
            done.add(step.key)
            newest |= dict.fromkeys(step.targets, step)
            writer.grow(done, show=number == len(steps) or (made and not replaces_whole))
            if progress:
                seconds = time.monotonic() - started
                progress(RolloutEvent(number, len(steps), writer.frames_final, self.frames, made, seconds))
        self.store.prune([given, *steps])
        writer.prune()
        self._final = final

    def decoded(self) -> Iterator[np.ndarray]:
        """The finished frames in order, uint8 RGB (H, W, 3), decoded a segment at a time."""
        for start in range(0, self.frames, SEGMENT):
            yield from self.decode(range(start, min(start + SEGMENT, self.frames)), self._final)

    def decode(self, frames: Sequence[int], final: dict[int, Step]) -> np.ndarray:
        """These frames as pictures, uint8 (F, H, W, 3)."""
        latents = self.store.frames(frames, final)
        decoded = self._cast.codec.decode(latents)
        if gate := self._sampling.copy_gate:
            decoded = with_detail(self._cast.codec, decoded, latents, self._shown(frames), gate)
        return filled_frames(decoded, self._region)

    def _shown(self, frames: Sequence[int]) -> np.ndarray:
        """What the first picture shows of these frames, uint8 (F, H, W, 3): itself, in their poses if they are told."""
        if self._dance is None:
            return np.repeat(self._picture[None], len(frames), 0)
        poses = self._poses(frames)
        return smoothly_warped(self._picture, self._dance[0], poses, self._outlines.get(0))[0]

    def _poses(self, frames: Sequence[int]) -> np.ndarray:
        assert self._dance is not None
        return self._dance[[min(frame, len(self._dance) - 1) for frame in frames]]

    def _identity(self, stage: str) -> Any:
        level, guidance = self._sampling.of_stage(stage)
        shared = self._sampling.model_dump(include={"sampler", "steps", "temperature", "seed", "text_guidance"})
        return [
            self._cast.identity(stage),
            shared,
            level,
            guidance,
            *([self._region] if self._region else []),
            *self._danced,
        ]

    def _give(self, picture_HWC: np.ndarray) -> Step:
        """Frame 0's latents, encoded once."""
        key = sha256_json([self._cast.codec.hash, picture_hash(picture_HWC)])
        step = Step(0, Call("given", (), (0,)), 0, (0,), (), key)
        if not self.store.has(step):
            self.store.put(step, self._cast.codec.encode(picture_HWC[None]))
        return step

    def _make(self, step: Step, newest: dict[int, Step]) -> Tensor:
        """The latents of a step's targets (T, C, H, W), from frames as the steps before it left them."""
        window = call_window(step.call)
        frames = [*step.call.hints, *step.kept]
        latents_FCHW = self.store.frames(frames, newest)
        network, prediction = self._cast.networks(step.call.stage)
        level, guidance = self._sampling.of_stage(step.call.stage)
        sampling = self._sampling
        scales = Scales(guidance, sampling.text_guidance)
        made_FCHW = make_window(
            network,
            prediction,
            window,
            known=dict(zip(frames, latents_FCHW)),
            generated=frozenset(window.frames) - {0},
            noise=CallNoise.of(
                sampling.seed, f"rollout/{step.redo}", step.number, window, tuple(latents_FCHW.shape[1:])
            ),
            text=self._cast.text,
            settings=CallSettings(sampling.sampler, sampling.steps, sampling.temperature, level, scales),
            device=self._cast.device,
            pose=self._pose(window, frames, latents_FCHW),
        )
        targets_FCHW = made_FCHW[[window.frames.index(frame) for frame in step.targets]]
        return refilled(targets_FCHW, self._region, self._cast.codec)

    def _pose(self, window: Window, known: Sequence[int], latents_FCHW: Tensor) -> PoseConditioning | None:
        """The dancer's poses in a window, of which some frames' latents are known."""
        if self._dance is None:
            return None
        of = dict(zip(known, latents_FCHW))
        latents = torch.stack([of.get(frame, torch.zeros_like(latents_FCHW[0])) for frame in window.frames])
        poses = self._poses(window.frames)
        return pose_conditioning(self._cast.codec, latents, window.frames, window.hints, poses, self._outlines)


class _Writer:
    """The video so far: each segment is encoded once all its frames are final, and joined to those before."""

    def __init__(self, rollout: Rollout, final: dict[int, Step], video: Path) -> None:
        self._rollout, self._final, self._video = rollout, final, video
        self._segments: list[Path] = []
        self._shown = 0

    @property
    def frames_final(self) -> int:
        return min(len(self._segments) * SEGMENT, self._rollout.frames)

    def grow(self, done: set[str], show: bool) -> None:
        """Encode what has become final, and join it if it is to be shown; `done` holds the keys of finished steps."""
        while (frames := self._next()) and all(self._final[frame].key in done for frame in frames):
            self._segments.append(self._segment(frames))
        if show and len(self._segments) > self._shown:
            join_segments(self._video, self._segments)
            self._shown = len(self._segments)

    def _next(self) -> range:
        start = len(self._segments) * SEGMENT
        return range(start, min(start + SEGMENT, self._rollout.frames))

    def _segment(self, frames: range) -> Path:
        rollout = self._rollout
        keys = [self._final[frame].key for frame in frames]
        gate = [rollout._sampling.copy_gate] if rollout._sampling.copy_gate else []
        name = sha256_json([keys, rollout._cast.codec.hash, str(rollout._fps), *gate])[:16]
        path = rollout._folder.segments / f"segment-{frames[0] // SEGMENT:05d}-{name}.mp4"
        if not _whole(path):
            encode_segment(path, rollout.decode(frames, self._final), rollout._fps)
            write_bytes(_checksum(path), sha256_file(path).encode())
        return path

    def prune(self) -> None:
        """Remove segments that are no longer part of the video."""
        kept = {path for segment in self._segments for path in (segment, _checksum(segment))}
        for path in self._rollout._folder.segments.glob("segment-*"):
            if path not in kept:
                path.unlink()


def _checksum(segment: Path) -> Path:
    return segment.with_suffix(".sha256")


def _whole(segment: Path) -> bool:
    """Whether a segment is there as it was written: a damaged one is encoded again."""
    checksum = _checksum(segment)
    return segment.is_file() and checksum.is_file() and sha256_file(segment) == checksum.read_text()
