from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from model.errors import ChannelCountError, ShapeError, UnknownNameError, WeightsError
from model.network.conditioning import FrameConditioning, blended_hints
from model.network.diffusion import PredictionType, alpha_sigma, predicted_latents
from model.network.temporal import FrameState
from model.network.unet import VideoUNet
from tests.model.networks import WINDOWS, inputs, unet2d


def frame_by_frame(in_channels: int, network: torch.nn.Module) -> torch.Tensor:
    sample, timestep, text, _ = inputs()
    out = network(
        sample.flatten(0, 1)[:, :in_channels],
        timestep.repeat_interleave(7),
        text.repeat_interleave(7, dim=0),
    ).sample
    return out.unflatten(0, (2, 7))


def residual_network(prediction_type: PredictionType) -> VideoUNet:
    torch.manual_seed(0)
    return VideoUNet(
        unet2d=dict(unet2d(9, out_channels=8).config), prediction_type=prediction_type, residual_std=0.5
    ).eval()


@pytest.mark.parametrize("in_channels", [4, 9], ids=["text-to-image", "inpaint"])
@torch.no_grad()
def test_a_checkpoint_of_diffusers_computes_the_same_frames_to_the_last_bit(in_channels: int, tmp_path: Path) -> None:
    unet2d(in_channels).save_pretrained(tmp_path / "unet")
    network = VideoUNet.from_pretrained(str(tmp_path), subfolder="unet")
    difference = network(*inputs()) - frame_by_frame(in_channels, unet2d(in_channels))
    assert difference.abs().max().item() == 0


@torch.no_grad()
def test_inflating_leaves_the_given_network_as_it_was() -> None:
    given = unet2d(4)
    network = VideoUNet.from_unet2d(given)
    for parameter in network.parameters():
        parameter.add_(1)
    assert torch.equal(frame_by_frame(4, given), frame_by_frame(4, unet2d(4)))


@pytest.mark.parametrize("in_channels", [4, 9], ids=["text-to-image", "inpaint"])
def test_after_one_step_every_new_layer_has_a_gradient(in_channels: int) -> None:
    network = VideoUNet.from_unet2d(unet2d(in_channels))
    for parameter in network.image_parameters().values():
        parameter.requires_grad_(False)
    new = network.new_parameters()
    optimizer = torch.optim.AdamW(new.values(), lr=1e-3)
    for _ in range(2):
        optimizer.zero_grad()
        network(*inputs()).square().mean().backward()
        optimizer.step()
    silent = [name for name, parameter in new.items() if not parameter.grad.abs().max() > 0]
    assert silent == []
    assert all(parameter.grad is None for parameter in network.image_parameters().values())


def test_new_and_image_parameters_are_all_parameters_and_image_ones_are_the_2d_networks() -> None:
    given = unet2d(4)
    network = VideoUNet.from_unet2d(given)
    new, image = network.new_parameters(), network.image_parameters()
    assert new.keys().isdisjoint(image)
    assert len(new) + len(image) == len(list(network.parameters()))
    assert [p.shape for p in image.values()] == [p.shape for p in given.parameters()]


def test_temporal_layers_are_told_the_frames_real_indices(monkeypatch: pytest.MonkeyPatch) -> None:
    told = []

    def state(frames: torch.Tensor, embedding: torch.Tensor, pose: None) -> FrameState:
        told.append(frames.tolist())
        return FrameState(frames, embedding, pose)

    monkeypatch.setattr("model.network.unet.FrameState", state)
    with torch.no_grad():
        VideoUNet.from_unet2d(unet2d(9))(*inputs())
    [found] = told
    for frames, window in zip(found, WINDOWS, strict=True):
        assert [frame - frames[0] for frame in frames] == [frame - window.frames[0] for frame in window.frames]


@torch.no_grad()
def test_saving_and_loading_gives_the_same_bits(tmp_path: Path) -> None:
    network = VideoUNet.from_unet2d(unet2d(4), prediction_type="v_prediction")
    for parameter in network.parameters():
        parameter.add_(torch.randn_like(parameter) / 100)
    network.save_pretrained(tmp_path)
    loaded = VideoUNet.from_pretrained(str(tmp_path))
    assert loaded.config.prediction_type == "v_prediction"
    assert loaded.state_dict().keys() == network.state_dict().keys()
    assert all(torch.equal(a, b) for a, b in zip(loaded.state_dict().values(), network.state_dict().values()))
    assert torch.equal(loaded(*inputs()), network(*inputs()))


@pytest.mark.parametrize("folder", ["unet2d", "video"])
@torch.no_grad()
def test_loaded_in_bfloat16_new_layers_stay_float32_and_the_output_is_close(folder: str, tmp_path: Path) -> None:
    unet2d(9).save_pretrained(tmp_path / "unet2d")
    VideoUNet.from_unet2d(unet2d(9)).save_pretrained(tmp_path / "video")
    network = VideoUNet.from_pretrained(str(tmp_path / folder), torch_dtype=torch.bfloat16)
    assert {p.dtype for p in network.new_parameters().values()} == {torch.float32}
    assert {p.dtype for p in network.image_parameters().values()} == {torch.bfloat16}
    seen: set[torch.dtype] = set()
    for module in network.unet.modules():
        module.register_forward_hook(
            lambda _m, _i, out: seen.add(out.dtype) if torch.is_tensor(out) and out.ndim > 2 else None
        )
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = network(*inputs())
    assert out.dtype == torch.float32
    assert seen == {torch.bfloat16}, "no activation may grow back to float32"
    assert (out - frame_by_frame(9, unet2d(9))).abs().max() < 0.05


def test_a_frozen_bfloat16_image_network_trains_its_new_layers(tmp_path: Path) -> None:
    unet2d(9).save_pretrained(tmp_path)
    network = VideoUNet.from_pretrained(str(tmp_path), torch_dtype=torch.bfloat16).train()
    network(*inputs()).square().mean().backward()
    gradients = [p.grad for p in network.new_parameters().values()]
    assert all(g is not None and g.dtype == torch.float32 and g.isfinite().all() for g in gradients)


def test_gradient_checkpointing_changes_no_gradient() -> None:
    gradients = []
    for checkpointing in (False, True):
        network = VideoUNet.from_unet2d(unet2d(9)).train()
        for parameter in network.new_parameters().values():
            parameter.data.add_(torch.ones_like(parameter) / 50)
        if checkpointing:
            network.enable_gradient_checkpointing()
            assert network.is_gradient_checkpointing
        sample, timestep, text, cond = inputs()
        first = network(sample, timestep, text, cond).square().mean()
        # Another window in between: what is recomputed must be the first one's.
        other = FrameConditioning(cond.frame_index_BF[:, :4] * 3, cond.hint_log_snr_BF[:, :4], cond.given_BF[:, :4])
        second = network(sample[:, :4], timestep, text, other).square().mean()
        (first + second).backward()
        gradients.append([p.grad for p in network.parameters()])
    for plain, recomputed in zip(*gradients):
        torch.testing.assert_close(recomputed, plain)


@torch.no_grad()
def test_channels_last_memory_computes_the_same() -> None:
    network = VideoUNet.from_unet2d(unet2d(9))
    plain = network(*inputs())
    network.channels_last = True
    torch.testing.assert_close(network(*inputs()), plain, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
@torch.no_grad()
def test_a_silent_residual_network_repeats_the_blended_hints_where_noise_is_all(
    prediction_type: PredictionType,
) -> None:
    network = residual_network(prediction_type)
    network.unet.conv_out.spatial.weight.zero_()
    network.unet.conv_out.spatial.bias.zero_()
    sample, timestep, text, cond = inputs()
    noisy = sample[:, :, :4]
    hint = blended_hints(noisy, cond)
    timestep = torch.tensor([999, 500])
    alpha, sigma = alpha_sigma(timestep)
    latents = predicted_latents(network(sample, timestep, text, cond), noisy, timestep, prediction_type)
    kept = alpha * 0.25 / (alpha**2 * 0.25 + sigma**2)  # Wiener filter of a residual of spread 0.5
    torch.testing.assert_close(latents, hint + kept * (noisy - alpha * hint), rtol=1e-4, atol=1e-4)
    assert kept[0].item() < 0.02


@torch.no_grad()
def test_where_a_residual_network_sees_no_motion_it_copies_the_blended_hints_at_any_noise() -> None:
    network = residual_network("v_prediction")
    network.unet.conv_out.spatial.weight.zero_()
    network.unet.conv_out.spatial.bias.copy_(torch.tensor([0.0] * 4 + [-100.0] * 4))
    sample, _, text, cond = inputs()
    timestep = torch.tensor([999, 100])
    out = network(sample, timestep, text, cond)
    latents = predicted_latents(out, sample[:, :, :4], timestep, "v_prediction")
    away = (latents - blended_hints(sample[:, :, :4], cond)).flatten(1).abs().amax(1)
    assert away[0] < 1e-3
    assert away[1] < 0.1


@torch.no_grad()
def test_epsilon_and_v_of_a_residual_network_say_the_same_latents() -> None:
    said = []
    for prediction_type in ("epsilon", "v_prediction"):
        network = residual_network(prediction_type)
        sample, timestep, text, cond = inputs()
        out = network(sample, timestep, text, cond)
        said.append(predicted_latents(out, sample[:, :, :4], timestep, prediction_type))
    torch.testing.assert_close(said[0], said[1], rtol=1e-3, atol=1e-3)


@torch.no_grad()
def test_a_residual_network_is_finite_at_both_ends_of_the_schedule() -> None:
    sample, _, text, cond = inputs()
    out = residual_network("epsilon")(sample, torch.tensor([0, 999]), text, cond)
    assert out.isfinite().all()
    assert out.abs().max() < 20


def test_sd15_has_the_size_of_the_origins_network() -> None:
    with torch.device("meta"):
        network = VideoUNet.from_preset("sd15", latent_channels=4, text_channels=768)
    image = sum(p.numel() for p in network.image_parameters().values())
    new = network.new_parameters()
    shortcuts = sum(p.numel() for name, p in new.items() if "conv_shortcut" in name)
    attention = sum(p.numel() for name, p in new.items() if "transformer_blocks" in name)
    convolutions = sum(p.numel() for p in new.values()) - shortcuts - attention
    assert image / 1e6 == pytest.approx(859.5, abs=0.1)
    assert shortcuts / 1e6 == pytest.approx(40, abs=1)
    assert attention / 1e6 == pytest.approx(50, abs=1)
    assert convolutions / 1e6 == pytest.approx(151, abs=3)


@pytest.mark.parametrize("latent_channels", [4, 16, 24])
@torch.no_grad()
def test_tiny_takes_any_codecs_channels(latent_channels: int) -> None:
    network = VideoUNet.from_preset("tiny", latent_channels=latent_channels, text_channels=8)
    assert network.latent_channels == latent_channels
    assert network(*inputs(latent_channels)).shape == (2, 7, latent_channels, 8, 8)


def test_an_unknown_preset_is_named_in_the_error() -> None:
    with pytest.raises(UnknownNameError, match=r"preset 'huge'.*sd15, tiny"):
        VideoUNet.from_preset("huge", latent_channels=4, text_channels=8)


def test_a_2d_network_of_other_channels_is_refused() -> None:
    with pytest.raises(ChannelCountError, match=r"takes 7 channels and makes 4: expected 4 .* or 9"):
        VideoUNet.from_unet2d(unet2d(7))


def test_a_sample_of_another_codec_is_refused() -> None:
    _, timestep, text, cond = inputs()
    network = VideoUNet.from_unet2d(unet2d(9))
    with pytest.raises(ChannelCountError, match="33 channels: this network takes 9"):
        network(torch.zeros(2, 7, 33, 8, 8), timestep, text, cond)
    with pytest.raises(ShapeError, match=r"\(2, 6, 9, 8, 8\)"):
        network(torch.zeros(2, 6, 9, 8, 8), timestep, text, cond)


def test_weights_that_lack_a_tensor_are_refused(tmp_path: Path) -> None:
    for network in (VideoUNet.from_unet2d(unet2d(9)), unet2d(9)):
        network.save_pretrained(tmp_path)
        file = tmp_path / "diffusion_pytorch_model.safetensors"
        tensors = load_file(file)
        name = next(name for name in tensors if "conv_out" in name)
        del tensors[name]
        save_file(tensors, file)
        with pytest.raises(WeightsError, match="is missing 1 tensors"):
            VideoUNet.from_pretrained(str(tmp_path))


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"_class_name": "AutoencoderKL"}))
    with pytest.raises(WeightsError, match="holds a AutoencoderKL"):
        VideoUNet.from_pretrained(str(tmp_path))
