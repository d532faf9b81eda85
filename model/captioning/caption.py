"""Captions of every clip that has none in the set yet: a file each, so that a kill costs the questions in the air."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from data_catalog.base.disk import disk_errors
from data_catalog.base.files import make_folder, remove_temps
from model.captioning.config import CaptionConfig
from model.captioning.endpoint import Endpoint, NoCaptionError
from model.captioning.pictures import question
from model.data.caption_sets import caption_path, stored_captions, write_caption
from model.data.samples import FPS, Sample, frame_rate, read_samples
from model.data.versions import read_version
from model.errors import DataError

TILE, TOKENS_OF_PICTURE, TOKENS_OF_TILE, CHARACTERS_OF_TOKEN = 512, 85, 170, 4
"""How OpenAI counts a picture, and a usual measure of text: for an estimate."""


@dataclass(frozen=True)
class Captioned:
    """What a run did."""

    set_name: str
    made: int
    there: int
    failed: dict[str, str]
    """Clip id to why it has no caption."""


def clips_to_caption(data: Path, version: str | None = None) -> list[Sample]:
    """One sample, the plainest, of every good clip, or of those of a version, by clip id. Raises DataError."""
    samples = read_samples(data)
    keys = {sample.key for sample in read_version(data, version).samples} if version else None
    clips: dict[str, Sample] = {}
    for sample in samples:  # in key order: v0 comes first
        if sample.ok if keys is None else sample.key in keys:
            clips.setdefault(sample.clip_id, sample)
    if not clips:
        raise DataError(f"No clip of {data} is to be captioned: look at `longdance report`.")
    return [clips[clip] for clip in sorted(clips)]


def estimate(data: Path, config: CaptionConfig, version: str | None = None) -> dict[str, int]:
    """What it would take: clips that wait, pictures, and about how many tokens go out and at most come back."""
    waiting = _waiting(data, config, clips_to_caption(data, version))
    tiles = math.ceil(config.longest / TILE) ** 2
    per_clip = config.frames * (TOKENS_OF_PICTURE + TOKENS_OF_TILE * tiles) + len(config.prompt) // CHARACTERS_OF_TOKEN
    count = len(waiting)
    return {
        "clips": count, "pictures": count * config.frames, "tokens_out": count * per_clip,
        "tokens_back": count * config.max_tokens,
    }  # fmt: skip


def _waiting(data: Path, config: CaptionConfig, clips: list[Sample]) -> list[Sample]:
    """The clips whose bytes have no caption in the set."""
    there = stored_captions(data, config.set_name)
    return [s for s in clips if s.clip_id not in there or there[s.clip_id]["mp4_sha256"] != s.mp4_sha256]


def caption_clips(
    data: Path, config: CaptionConfig, key: str | None, version: str | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Captioned:  # fmt: skip
    """Ask for the caption of each clip that waits, some at a time; each answer is on the disk before the next is asked.

    Raises DataError where the endpoint refuses, or nothing can be captioned. A clip without an answer is in `failed`.
    """
    clips = clips_to_caption(data, version)
    folder = caption_path(data, config.set_name, "x").parent
    make_folder(folder)
    remove_temps(folder)
    waiting, done = _waiting(data, config, clips), 0
    failed: dict[str, str] = {}
    running: dict[Future[None], Sample] = {}
    endpoint = Endpoint(config, key)
    pool = ThreadPoolExecutor(config.parallel)
    try:
        queue = iter(waiting)
        while True:
            while len(running) < config.parallel and (sample := next(queue, None)) is not None:
                running[pool.submit(_caption, data, sample, config, endpoint)] = sample
            if not running:
                break
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                sample, done = running.pop(future), done + 1
                _take(future, sample, failed)
                progress(done, len(waiting))
    except BaseException:
        endpoint.close()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        endpoint.close()
    return Captioned(config.set_name, len(waiting) - len(failed), len(clips) - len(waiting), failed)


def _take(future: Future[None], sample: Sample, failed: dict[str, str]) -> None:
    try:
        future.result()
    except NoCaptionError as error:
        failed[sample.clip_id] = str(error)


def _caption(data: Path, sample: Sample, config: CaptionConfig, endpoint: Endpoint) -> None:
    rate = frame_rate(data, sample.clip_id)
    text = endpoint.ask(question(data, sample, float(rate or FPS), config))
    record: dict[str, Any] = {
        "clip_id": sample.clip_id,
        "source_id": sample.source_id,
        "mp4_sha256": sample.mp4_sha256,
        "caption": text,
        "model": config.model,
        "prompt": config.prompt,
        "created": datetime.now(UTC).replace(tzinfo=None, microsecond=0).isoformat(),
    }
    with disk_errors(data, DataError, "it continues with the clips that have no caption"):
        write_caption(data, config.set_name, record)
