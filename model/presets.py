"""What each preset takes for the settings of a training that are not given."""

from __future__ import annotations

from typing import Any, Literal

Preset = Literal["tiny", "sd15"]

PRESETS: dict[Preset, dict[str, Any]] = {
    "tiny": {
        "encode": {},
        "train": "all",
        "batch": 4,
        "steps": 2000,
        "learning_rate": 2e-3,
        "betas": (0.9, 0.99),
        "warmup": 50,
        "schedule": "cosine",
        "ema": 0.995,
        "sample_steps": 5,
        "sample_temperature": 0.5,  # more noise makes what is uncertain louder, not better
        "device": "cpu",
    },
    "sd15": {
        "encode": {"codec": "stable-diffusion-v1-5/stable-diffusion-inpainting", "picture": 512},
        "init": "stable-diffusion-v1-5/stable-diffusion-inpainting",
        "train": "new",
        "mixed_precision": "bf16",
        "ema_every": 10,
        "ema_device": "cpu",
        "device": "cuda",
    },
}
