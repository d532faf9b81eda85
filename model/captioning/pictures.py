"""A clip as a vision model is shown it: some of its frames, as JPEG, in OpenAI's chat format."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from model.captioning.config import CaptionConfig
from model.data.latents import sample_frames
from model.data.samples import Sample


def question(data: Path, sample: Sample, fps: float, config: CaptionConfig) -> list[dict[str, Any]]:
    """The content of the message about one clip. Raises DataError where its shard cannot be read."""
    frames = sample_frames(data, sample)
    chosen = np.linspace(0, len(frames) - 1, min(config.frames, len(frames))).round().astype(int)
    text = config.prompt.format(frames=len(chosen), seconds=round(len(frames) / fps, 1))
    pictures = [{"type": "image_url", "image_url": {"url": jpeg_url(frames[at], config.longest)}} for at in chosen]
    return [{"type": "text", "text": text}, *pictures]


def jpeg_url(frame: np.ndarray, longest: int) -> str:
    """A uint8 RGB frame (H, W, 3) as a data URL."""
    picture = Image.fromarray(frame)
    picture.thumbnail((longest, longest))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=90)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
