"""A rollout makes what its network knows, remembers each finished window, and does not care who kills it."""

from __future__ import annotations

import random
from fractions import Fraction
from multiprocessing.context import ForkServerContext
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from model.plans.plan import PLANS, depth_per_frame, make_plan
from model.rollout.config import HintGuidance, HintNoiseLevels, SamplingConfig
from model.rollout.rollout import Rollout, RolloutEvent
from model.rollout.steps import affected_frames, steps_of
from tests.model.rollouts import footprint, mixed_rollout, roll_and_die, roll_with_peak, truth_rollout

NOISY = HintNoiseLevels(starter=0.5, extrapolation=0.3, interpolation=0.2)


def frames_of(rollout: Rollout) -> np.ndarray:
    """All frames of a finished rollout."""
    return np.stack(list(rollout.decoded()))


def frames_in(video: Path) -> int:
    """How many frames a video has."""
    with av.open(str(video)) as container:
        return sum(1 for _ in container.decode(video=0))


def pictures_in(video: Path) -> np.ndarray:
    """A video's frames as they are shown."""
    with av.open(str(video)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


@pytest.mark.parametrize("sampler", ["ddim", "dpm++", "euler"])
@pytest.mark.parametrize("plan", sorted(PLANS))
def test_a_network_that_knows_the_clip_reproduces_it_exactly_through_every_plan(
    plan: str, sampler: str, tmp_path: Path
) -> None:
    sampling = SamplingConfig(sampler=sampler, steps=2, hint_noise=NOISY)
    rollout, _, clip = truth_rollout(tmp_path, plan, 181, sampling)
    rollout.run(clip[0], tmp_path / "video.mp4")
    assert np.array_equal(frames_of(rollout), clip[:181])
    assert frames_in(tmp_path / "video.mp4") == 181


@pytest.mark.parametrize("frames", [2, 3, 7, 8, 25, 50, 100])
@pytest.mark.parametrize("plan", sorted(PLANS))
def test_it_does_so_at_any_length(plan: str, frames: int, tmp_path: Path) -> None:
    rollout, _, clip = truth_rollout(tmp_path, plan, frames, SamplingConfig(steps=1))
    rollout.run(clip[0], tmp_path / "video.mp4")
    assert np.array_equal(frames_of(rollout), clip[:frames])


@pytest.mark.parametrize("plan", sorted(PLANS))
def test_noise_is_put_on_generated_hints_alone_and_frame_0_enters_every_call_clean(plan: str, tmp_path: Path) -> None:
    rollout, network, clip = truth_rollout(tmp_path, plan, 100, SamplingConfig(steps=2, hint_noise=NOISY))
    rollout.run(clip[0], tmp_path / "video.mp4")
    channels = network.truth.shape[1]
    with_frame_0 = 0
    for (window, sample, cond), call in zip(network.seen[::2], make_plan(plan, 100)):
        assert window == call.frames
        assert cond.given_BF[0].tolist() == [frame in call.hints for frame in window]
        level = getattr(NOISY, call.stage)
        for place, frame in enumerate(window):
            hint, truth = sample[0, place, channels + 1 :], network.truth[frame]
            if frame == 0:
                assert torch.equal(hint, truth)
                assert torch.equal(sample[0, place, :channels], truth)
                assert cond.hint_log_snr_BF[0, place] == 12
                with_frame_0 += 1
            elif frame in call.hints:
                alpha = (1 + level**2) ** -0.5
                noise = (hint - alpha * truth) / (alpha * level)
                assert 0.7 < noise.std() < 1.3
                assert cond.hint_log_snr_BF[0, place] == pytest.approx(-2 * np.log(level))
    assert with_frame_0 == sum(0 in call.hints for call in make_plan(plan, 100))


def test_hint_noise_is_the_same_at_every_step_of_a_call_and_differs_between_calls(tmp_path: Path) -> None:
    rollout, network, clip = truth_rollout(tmp_path, "origin", 60, SamplingConfig(steps=3, hint_noise=NOISY))
    rollout.run(clip[0], tmp_path / "video.mp4")
    channels = network.truth.shape[1]
    noised: dict[int, list[torch.Tensor]] = {}
    for start in range(0, len(network.seen), 3):
        window, first, cond = network.seen[start]
        for _, sample, _ in network.seen[start : start + 3]:
            given = cond.given_BF[0]
            assert torch.equal(sample[0, given, channels + 1 :], first[0, given, channels + 1 :])
        if 10 in window and bool(cond.given_BF[0, window.index(10)]):
            noised.setdefault(10, []).append(first[0, window.index(10), channels + 1 :])
    assert len(noised[10]) > 1
    assert not torch.equal(noised[10][0], noised[10][1])


@pytest.mark.parametrize("temperature", [0.0, 0.5, 1.5])
def test_temperature_scales_the_noise_of_all_that_is_made_and_names_what_it_made(
    temperature: float, tmp_path: Path
) -> None:
    noisy = {}
    for scale in (1.0, temperature):
        sampling = SamplingConfig(steps=1, temperature=scale)
        rollout, network, clip = truth_rollout(tmp_path / str(scale), "origin", 10, sampling)
        rollout.run(clip[0], tmp_path / f"{scale}.mp4")
        _, sample, cond = network.seen[0]
        noisy[scale] = sample[0, ~cond.given_BF[0], : network.truth.shape[1]]
    assert torch.allclose(noisy[temperature], temperature * noisy[1.0])
    one, other = ({path.name for path in (tmp_path / str(s) / "latents").iterdir()} for s in (1.0, temperature))
    assert len(one & other) == 1  # the given frame alone


def test_guidance_over_hints_asks_a_second_time_without_them(tmp_path: Path) -> None:
    guided = SamplingConfig(steps=2, hint_guidance=HintGuidance(extrapolation=2.0))
    rollout, network, clip = truth_rollout(tmp_path, "origin", 20, guided)
    rollout.run(clip[0], tmp_path / "video.mp4")
    calls = make_plan("origin", 20)
    asked = [2 if call.stage == "extrapolation" else 1 for call in calls]
    assert len(network.seen) == 2 * sum(asked)
    blind = [cond for _, _, cond in network.seen if not cond.given_BF.any()]
    assert len(blind) == 2 * asked.count(2)
    # A network that says the same with and without hints is not changed by any guidance.
    assert np.array_equal(frames_of(rollout), clip[:20])


def test_the_same_seed_gives_the_same_bytes_and_another_one_others(tmp_path: Path) -> None:
    for name, seed in (("one", 0), ("two", 0), ("other", 1)):
        rollout, picture = mixed_rollout(tmp_path / name, seed=seed)
        rollout.run(picture, tmp_path / name / "video.mp4")
    one, two, other = (footprint(tmp_path / name) for name in ("one", "two", "other"))
    assert one == two
    assert one["video.mp4"] != other["video.mp4"]


def kill_until_done(children: ForkServerContext, folder: Path, kills: int, seed: int) -> int:
    """Roll in children that die at random moments, then once to the end; returns how many died."""
    moments, died = random.Random(seed), 0
    for _ in range(kills):
        child = children.Process(
            target=roll_and_die, args=(folder, folder / "video.mp4", moments.randint(1, 60 // kills))
        )
        child.start()
        child.join()
        died += child.exitcode != 0
    rollout, picture = mixed_rollout(folder)
    rollout.run(picture, folder / "video.mp4")
    return died


@pytest.mark.parametrize("kills", [3, pytest.param(10, marks=pytest.mark.soak)])
def test_kills_at_random_moments_leave_no_trace(kills: int, tmp_path: Path, children: ForkServerContext) -> None:
    rollout, picture = mixed_rollout(tmp_path / "whole")
    rollout.run(picture, tmp_path / "whole" / "video.mp4")
    assert kill_until_done(children, tmp_path / "killed", kills, seed=kills) == kills
    assert footprint(tmp_path / "killed") == footprint(tmp_path / "whole")


def test_a_finished_window_is_not_made_again_and_a_damaged_one_is(tmp_path: Path) -> None:
    rollout, picture = mixed_rollout(tmp_path)
    events: list[RolloutEvent] = []
    rollout.run(picture, tmp_path / "video.mp4", events.append)
    before = footprint(tmp_path)
    assert all(event.made for event in events)
    events.clear()
    rollout.run(picture, tmp_path / "video.mp4", events.append)
    assert not any(event.made for event in events)
    latents = sorted((tmp_path / "latents").glob("call-*"))
    for path, damage in zip(latents[2:5], (lambda b: b[:-3], lambda b: b[:-1] + bytes([b[-1] ^ 1]), lambda b: b"")):
        path.write_bytes(damage(path.read_bytes()))
    events.clear()
    rollout.run(picture, tmp_path / "video.mp4", events.append)
    assert sum(event.made for event in events) == 3
    assert footprint(tmp_path) == before


def test_the_video_grows_as_its_frames_become_final(tmp_path: Path) -> None:
    rollout, picture = mixed_rollout(tmp_path, frames=100)
    lengths: list[int] = []

    def watch(event: RolloutEvent) -> None:
        assert frames_in(tmp_path / "video.mp4") == event.frames_final if event.frames_final else True
        lengths.append(event.frames_final)

    rollout.run(picture, tmp_path / "video.mp4", watch)
    assert lengths == sorted(lengths)
    assert {24, 48, 72, 100} <= set(lengths)


@pytest.mark.parametrize("plan", sorted(PLANS))
def test_a_redo_makes_a_stretch_and_what_depends_on_it_and_leaves_all_other_bytes(plan: str, tmp_path: Path) -> None:
    before, picture = mixed_rollout(tmp_path, plan, frames=90)
    before.run(picture, tmp_path / "video.mp4")
    old, shown = frames_of(before), pictures_in(tmp_path / "video.mp4")
    old_latents = before.store.frames(range(90), before._final)
    again, _ = mixed_rollout(tmp_path, plan, frames=90, redos=((40, 47),))
    events: list[RolloutEvent] = []
    again.run(picture, tmp_path / "video.mp4", events.append)
    new_latents = again.store.frames(range(90), again._final)
    affected = affected_frames(make_plan(plan, 90), (40, 47)) & set(range(90))
    assert set(range(40, 47)) <= affected < set(range(1, 90))
    for frame in range(90):
        assert torch.equal(old_latents[frame], new_latents[frame]) == (frame not in affected), frame
    kept = [frame for frame in range(90) if frame not in affected]
    assert np.array_equal(frames_of(again)[kept], old[kept])
    assert np.array_equal(pictures_in(tmp_path / "video.mp4")[kept], shown[kept])
    assert sum(event.made for event in events) < len(events)


def test_the_video_has_the_rate_that_was_asked_for(tmp_path: Path) -> None:
    for fps in (Fraction(25), Fraction(30000, 1001)):
        rollout, picture = mixed_rollout(tmp_path / str(fps.numerator), frames=30, fps=fps)
        rollout.run(picture, tmp_path / "video.mp4")
        with av.open(str(tmp_path / "video.mp4")) as container:
            assert container.streams.video[0].average_rate == fps
            assert [frame.time for frame in container.decode(video=0)][-1] == pytest.approx(29 / fps)


def test_a_second_redo_keeps_what_the_first_one_made(tmp_path: Path) -> None:
    def latents_after(*redos: tuple[int, int]) -> torch.Tensor:
        rollout, picture = mixed_rollout(tmp_path, "tree", frames=90, redos=redos)
        rollout.run(picture, tmp_path / "video.mp4")
        return rollout.store.frames(range(90), rollout._final)

    none, one, two = latents_after(), latents_after((13, 15)), latents_after((13, 15), (12, 14))
    same = [[bool(torch.equal(a[f], b[f])) for f in range(90)] for a, b in ((none, one), (one, two))]
    assert not any(same[0][13:15])
    assert not any(same[1][12:14])
    assert same[1][14]  # made by the first redo, kept by the second
    assert sum(same[0]) >= 85


@pytest.mark.parametrize(("first", "second"), [((13, 15), (12, 14)), ((9, 11), (10, 12))])  # of two calls, of one
def test_what_overlapping_redos_made_is_made_again_alike_when_it_is_lost(
    first: tuple[int, int], second: tuple[int, int], tmp_path: Path
) -> None:
    for redos in ((), (first,), (first, second)):
        rollout, picture = mixed_rollout(tmp_path, "tree", frames=40, redos=redos)
        rollout.run(picture, tmp_path / "video.mp4")
    before = footprint(tmp_path)
    stored = sorted(rollout.store.folder.glob("call-*"))
    for lost in (stored, *[[path] for path in stored if "-001-" in path.name or "-002-" in path.name]):
        for path in lost:
            path.unlink()
        mixed_rollout(tmp_path, "tree", frames=40, redos=redos)[0].run(picture, tmp_path / "video.mp4")
        assert footprint(tmp_path) == before


@pytest.mark.parametrize("damage", ["cut", "empty", "flipped", "no checksum"])
def test_a_damaged_segment_is_encoded_again(damage: str, tmp_path: Path) -> None:
    rollout, picture = mixed_rollout(tmp_path, "tree", frames=60)
    rollout.run(picture, tmp_path / "video.mp4")
    before = footprint(tmp_path)
    segment = sorted((tmp_path / "segments").glob("*.mp4"))[1]
    whole = segment.read_bytes()
    if damage == "no checksum":
        segment.with_suffix(".sha256").unlink()
    else:
        flipped = whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:]
        segment.write_bytes({"cut": whole[:99], "empty": b"", "flipped": flipped}[damage])
    mixed_rollout(tmp_path, "tree", frames=60)[0].run(picture, tmp_path / "video.mp4")
    assert footprint(tmp_path) == before


def test_a_redo_that_is_killed_and_one_that_is_not_end_alike(tmp_path: Path) -> None:
    for name in ("at once", "after"):
        folder = tmp_path / name
        if name == "after":
            rollout, picture = mixed_rollout(folder, "origin", frames=60)
            rollout.run(picture, folder / "video.mp4")
        rollout, picture = mixed_rollout(folder, "origin", frames=60, redos=((20, 30),))
        rollout.run(picture, folder / "video.mp4")
    assert footprint(tmp_path / "at once") == footprint(tmp_path / "after")


def test_steps_have_other_keys_exactly_where_something_they_depend_on_differs() -> None:
    plan = make_plan("streaming", 100)
    keys = [step.key for step in steps_of(plan, (), lambda stage: 0, "picture")]
    assert len(set(keys)) == len(keys)
    other_picture = [step.key for step in steps_of(plan, (), lambda stage: 0, "other")]
    assert not set(keys) & set(other_picture)
    other_fill = [step.key for step in steps_of(plan, (), lambda stage: int(stage == "interpolation"), "picture")]
    # The first keys come from the starter alone; all others have generated hints behind them.
    assert [a == b for a, b in zip(keys, other_fill)].index(False) == 2
    assert max(depth_per_frame(plan).values()) > 3


@pytest.mark.soak
def test_peak_memory_does_not_grow_with_the_number_of_frames(tmp_path: Path, children: ForkServerContext) -> None:
    peaks = []
    for frames in (181, 724):
        child = children.Process(target=roll_with_peak, args=(tmp_path / str(frames), frames, tmp_path / "peak"))
        child.start()
        child.join()
        assert child.exitcode == 0
        peaks.append(int((tmp_path / "peak").read_text()))
    assert peaks[1] < 1.05 * peaks[0]
