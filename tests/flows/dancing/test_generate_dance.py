"""`longdance generate --pose`: a picture and a dance to a video and its numbers; a sentence for what cannot dance."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from data_catalog.base.errors import LongdanceError
from flows.dancing.driving_dance import DancePace, fitting_dance, read_driving
from flows.generate_request import generate_request, open_request
from model.config import train_config
from model.data.latents import encode_dataset
from model.data.samples import read_samples
from model.errors import PoseError
from model.training.train import train
from tests.model.pose.dancers import drawn

SIZE = 96


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two steps of training of stage `star`."""
    quiet = {"checkpoint_every": 2, "validate_every": 9, "sample_every": 9, "holdout": 0}
    config = train_config("star", steps=2, batch=2, encode={"picture": SIZE, "fit_frames": 16}, **quiet)
    encode_dataset(data, config.encode)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return train(data, tmp_path_factory.mktemp("runs") / "star", config).run_dir
    finally:
        torch.set_num_threads(before)


@pytest.fixture(scope="module")
def clips(data: Path) -> list[str]:
    """Clips of the data set."""
    return sorted({sample.clip_id for sample in read_samples(data)})


def dance_of(run: Path, out: Path, **given: object) -> np.ndarray:
    """The landmarks that a request comes down to, for 20 frames."""
    opened = open_request(generate_request(runs=[run], out=out, plan="star", frames=20, gif_mb=0, **given))
    assert opened.beginning.start.dance is not None
    return opened.beginning.start.dance


def rows_of(run: Path, data: Path, out: Path, clip: str, pose: str, env: dict[str, str]) -> dict[str, list[str]]:
    """The drift table that the command prints, and `note`, what stands below it."""
    command = [sys.executable, "-m", "flows.cli", "generate", "--runs", str(run), "--out", str(out)]
    more = ["--frames", "20", "--clip", clip, "--pose", pose, "--data", str(data), "--gif-mb", "0"]
    done = subprocess.run([*command, *more], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    notes = [line for line in done.stdout.splitlines() if line.startswith("real clips: ")]
    return {line.split()[0]: line.split() for line in done.stdout.splitlines() if line} | {"note": notes}


def test_a_clip_dances_its_own_dance_and_the_table_tells_how_well(
    run: Path, data: Path, clips: list[str], server: dict[str, str], tmp_path: Path
) -> None:
    rows = rows_of(run, data, tmp_path / "out.mp4", clips[0], clips[0], server)
    assert 0 <= float(rows["pck"][1]) <= 1  # two steps of training: how well is a matter of more
    name, *_, clip, low, _, high = rows["joint_error"]
    assert float(low) <= float(clip) <= float(high) < 30  # beside the real clip's, which dances just so
    assert name == "joint_error"
    page = (tmp_path / "out.html").read_text()
    assert "distance of the main joints to those of the dance" in page


def test_of_another_s_dance_the_measure_is_who_danced_it_and_not_what_followed_the_picture(
    run: Path, data: Path, clips: list[str], server: dict[str, str], tmp_path: Path
) -> None:
    rows = rows_of(run, data, tmp_path / "out.mp4", clips[0], clips[-1], server)
    assert not {"psnr", "ssim", "pose_error"} & rows.keys()
    *_, clip, low, _, high = rows["joint_error"]
    assert float(low) <= float(clip) <= float(high) < 30
    assert rows["note"][0].startswith(f"real clips: {clips[-1]} alone, whose dance this is")


def test_own_dance_is_the_clip_s_and_another_s_is_put_on_her(
    run: Path, data: Path, clips: list[str], tmp_path: Path
) -> None:
    given = {"clip": clips[0], "data": data}
    own = dance_of(run, tmp_path / "a.mp4", pose=clips[0], **given)
    other = dance_of(run, tmp_path / "b.mp4", pose=clips[-1], **given)
    assert own.shape == other.shape == (20, 33, 4)
    assert np.allclose(own[0], other[0])
    assert np.abs(own[15] - other[15]).max() > 2
    fast = dance_of(run, tmp_path / "c.mp4", pose=clips[-1], speed=2.0, **given)
    assert np.abs(fast[19] - other[19]).max() > 0.5


def test_the_dance_in_a_video_is_that_of_its_clip(run: Path, raw: Path, data: Path, clips: list[str]) -> None:
    video = next(iter(sorted(raw.glob("*.mp4"))))
    driving = read_driving(str(video), None)
    assert driving.fps is not None
    assert len(driving.landmarks) > 60
    assert np.isfinite(driving.landmarks[:, 11:29]).all()


def test_auto_takes_a_dance_by_seed_that_stays_in_the_picture(
    data: Path, run: Path, clips: list[str], tmp_path: Path
) -> None:
    given = {"clip": clips[0], "data": data, "dance": "auto"}
    one, again = (dance_of(run, tmp_path / f"{n}.mp4", sampling={"seed": 3}, **given) for n in "ab")
    assert np.array_equal(one, again)
    others = [dance_of(run, tmp_path / "c.mp4", sampling={"seed": seed}, **given) for seed in range(6)]
    assert any(not np.array_equal(one, other) for other in others) or len(clips) == 1
    start = one[0].copy()
    start[:, 0] += 60  # she stands at the picture's edge
    with pytest.raises(PoseError, match=r"None of \d+ dances of .* stays within the picture"):
        fitting_dance(start, data, 0, DancePace(20), (SIZE, SIZE))


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"pose": None}, "no dance was given: name one with --pose"),
        ({"pose": "nobody"}, "has no stored clip 'nobody'"),
        (
            {"pose": "nobody", "data": None, "image": "one.png", "clip": None},
            "is no file, and a clip belongs to",
        ),
        ({"pose": "junk.npy"}, "cannot be read"),
        ({"pose": "junk.mp4"}, "No dance can be taken from .*junk.mp4"),
        ({"pose": "away.npy"}, "leaves the picture at frame"),
        ({"dance": "auto"}, "both a dance .* and a new one .* are given: give one"),
        ({"clip": None, "image": "empty.png", "align": False}, "shows nobody"),
        ({"clip": None, "image": "two.png", "align": False}, "shows 2 people"),
    ],
)
def test_what_cannot_dance_is_one_sentence(
    changed: dict[str, object], sentence: str, run: Path, data: Path, clips: list[str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    for junk in ("junk.npy", "junk.mp4"):
        Path(junk).write_bytes(b"junk")
    away = np.tile(drawn(3000)[1][:1].astype(float), (20, 1, 1))
    away[..., 0] += np.linspace(0, 900, 20)[:, None]
    np.save("away.npy", away)
    Image.new("RGB", (300, 300)).save("empty.png")
    people = [drawn(seed, size=384)[0].draw(0)[:, 96:-96, ::-1] for seed in (3000, 3002)]
    Image.fromarray(np.ascontiguousarray(np.hstack(people))).save("two.png")
    Image.fromarray(np.ascontiguousarray(drawn(3010, size=384)[0].draw(0)[..., ::-1])).save("one.png")
    given = {"clip": clips[0], "data": data, "pose": clips[0], **changed}
    with pytest.raises(LongdanceError, match=sentence) as caught:
        dance_of(run, tmp_path / "x.mp4", **given)
    assert str(caught.value).count("\n") == 0
    assert not (tmp_path / "x.mp4").exists()
