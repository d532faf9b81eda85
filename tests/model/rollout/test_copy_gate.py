"""The copy gate: what a codec takes from a picture comes back where frames show that picture, and nowhere else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.data.codec import fit_patch_codec
from model.data.landmarks import clip_landmarks
from model.drift.report import real_clip
from model.rollout.config import SamplingConfig
from model.rollout.copy_gate import gate_of, with_detail
from model.rollout.generate import Request, Start, generate_video, prepare
from model.training.train import train
from pipeline.picture_size import PictureSize
from tests.model.dataset import QUICK, micro_config, moving_square

SIZE = PictureSize(32, 32)
NOISE = np.random.default_rng(0).integers(0, 30, (4, 32, 32, 3))
PICTURES = (moving_square(4, 32, 0) * 0.8 + NOISE).astype(np.uint8)
CODEC = fit_patch_codec(PICTURES, 4, 4)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10**6), st.floats(1e-3, 100))
def test_it_is_open_where_nothing_changed_half_open_where_asked_and_never_beyond(seed: int, halfway: float) -> None:
    made, shown = torch.randn(2, 3, 5, 4, 4, generator=torch.Generator().manual_seed(seed))
    gate = gate_of(made, shown, halfway)
    assert ((gate > 0) & (gate < 1)).all()
    assert (gate_of(made, made, halfway) == 1).all()
    apart = torch.full_like(made, halfway**0.5)
    assert gate_of(made + apart, made, halfway).flatten().tolist() == pytest.approx([0.5] * 48, rel=1e-3)
    assert (gate_of(shown + 2 * (made - shown), shown, halfway) <= gate).all()


def test_frames_that_are_the_picture_get_all_of_it_back_and_others_stay_as_they_are() -> None:
    latents = CODEC.encode(PICTURES)
    decoded = CODEC.decode(latents)
    assert np.abs(decoded.astype(int) - PICTURES).max() > 5
    assert np.array_equal(with_detail(CODEC, decoded, latents, PICTURES, 0.03), PICTURES)
    others = latents + 100
    shown = CODEC.decode(others)
    assert np.array_equal(with_detail(CODEC, shown, others, PICTURES, 0.03), shown)


@pytest.mark.parametrize("stage", ["star", "any"])
def test_a_videos_first_frame_is_the_picture_and_no_latent_changes(stage: str, dataset: Path, tmp_path: Path) -> None:
    train(dataset, tmp_path / "run", micro_config(stage, **QUICK))
    plan = "star" if stage == "star" else "streaming"
    picture = real_clip(dataset, "s0c1", SIZE).frames_FHWC[0]
    start = Start(picture, None, clip_landmarks(dataset, "s0c1", SIZE) if stage == "star" else None)
    plain = SamplingConfig(steps=1, temperature=0.5, device="cpu")
    made = []
    for name, sampling in (("a", plain), ("b", plain.model_copy(update={"copy_gate": 0.03})), ("c", plain)):
        out = tmp_path / ("a" if name == "c" else name) / "video.mp4"
        one = prepare(replace(Request((tmp_path / "run",), plan, 9, plain), sampling=sampling))
        made.append(generate_video(one, start, out).rollout)
    frames, gated, again = (np.stack(list(rollout.decoded())) for rollout in made)
    assert np.abs(gated[0].astype(int) - picture).max() <= 1  # latents are kept in float16
    assert np.abs(frames[0].astype(int) - picture).max() > 1
    assert not np.array_equal(gated[1:], frames[1:])
    assert np.array_equal(frames, again)
    for folder in ("a", "b"):
        assert (tmp_path / folder / "video.mp4").is_file()
    latents = [
        sorted(path.read_bytes() for path in (tmp_path / folder).rglob("call-*.safetensors")) for folder in ("a", "b")
    ]
    assert latents[0] == latents[1]
