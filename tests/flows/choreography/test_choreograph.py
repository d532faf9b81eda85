"""`longdance choreograph`: a pose and a song to a dance, its numbers and its page; a sentence for what cannot be."""

import json
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from click.testing import CliRunner

from flows.cli.main import main
from flows.generate_request import generate_request, open_request
from model.data.samples import read_samples
from model.errors import RolloutError
from model.training.train import train
from pipeline.synthetic.music import draw_music, random_music, write_music
from tests.model.choreography.conftest import small_config


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few steps of training on drawn dancers."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return train(data, tmp_path_factory.mktemp("runs") / "choreographer", small_config(steps=20, holdout=0)).run_dir
    finally:
        torch.set_num_threads(before)


@pytest.fixture(scope="module")
def clip(data: Path) -> str:
    """A clip of the data set."""
    return min(sample.clip_id for sample in read_samples(data))


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight seconds of drawn music."""
    path = tmp_path_factory.mktemp("music") / "song.wav"
    write_music(path, draw_music(random_music(3), 8))
    return path


def test_a_clip_s_pose_dances_to_a_song_to_its_end(
    run: Path, data: Path, clip: str, song: Path, tmp_path: Path
) -> None:
    out = tmp_path / "dance.npy"
    given = ["--run", str(run), "--clip", clip, "--data", str(data), "--music", str(song)]
    done = CliRunner().invoke(main, ["choreograph", *given, "--fps", "30", "--set", "steps=3", "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "beat_alignment=" in done.output
    dance, numbers = np.load(out), json.loads(out.with_suffix(".json").read_text())
    assert dance.shape == (240, 33, 4)
    assert dance.dtype == np.float32
    steps = np.diff(numbers["beats"])
    assert np.allclose(steps, np.median(steps), atol=0.06)
    page = out.with_suffix(".html").read_text()
    assert "data:audio/flac;base64," in page
    assert "Press play: skeleton, beats and song run together." in page


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--frames", "20"], "Give one start"),
        (["--clip", "none"], "belongs to a data set: name it with --data"),
        (["--pose-start", "lost.npy"], "cannot be read"),
        (["--clip", "CLIP", "--data", "DATA", "--style", "other"], "has no stored clip 'other' to dance like"),
        (["--clip", "CLIP", "--data", "DATA", "--music", "none.mp3"], "cannot be opened"),
        (["--clip", "CLIP", "--data", "DATA", "--style", "CLIP"], "is shorter than two beats: name another style"),
        (["--clip", "CLIP", "--data", "DATA", "--set", "candidates=0"], "Setting 'candidates' is '0'"),
        (["--clip", "CLIP", "--data", "DATA", "--size", "big"], "write WIDTHxHEIGHT"),
    ],
)
def test_a_mistake_is_one_sentence(
    given: list[str], words: str, run: Path, data: Path, clip: str, tmp_path: Path
) -> None:
    filled = [{"CLIP": clip, "DATA": str(data)}.get(word, word) for word in given]
    done = CliRunner().invoke(main, ["choreograph", "--run", str(run), *filled, "--out", str(tmp_path / "d.npy")])
    assert done.exit_code == 2
    assert words in done.output
    assert len(done.output.strip().splitlines()) == 1
    assert not (tmp_path / "d.npy").exists()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"dance": "new"}, "--choreographer RUN go together"),
        ({"music": "a.mp3", "dance": "auto"}, "keeps no time with --music"),
        ({"music": "a.mp3", "pose": "b.npy"}, "give one"),
        ({"choreographer": "runs/c"}, "go together"),
    ],
)
def test_what_does_not_go_together_is_refused(given: dict[str, str], words: str, tmp_path: Path) -> None:
    with pytest.raises(RolloutError, match=words):
        generate_request(runs=["r"], out=tmp_path / "a.mp4", **given)


def test_generate_makes_a_new_dance_and_takes_its_song(
    run: Path, star: Path, data: Path, clip: str, song: Path, tmp_path: Path
) -> None:
    common = {"runs": [star], "clip": clip, "data": data, "plan": "star", "frames": 20, "gif_mb": 0}
    opened = open_request(generate_request(out=tmp_path / "a.mp4", choreographer=run, music=song, **common))
    dance = opened.beginning.start.dance
    assert dance is not None
    assert dance.shape == (20, 33, 4)
    assert opened.song is not None
    again = open_request(generate_request(out=tmp_path / "b.mp4", choreographer=run, dance="new", **common))
    assert again.song is None
    assert again.beginning.start.dance is not None
    assert np.allclose(again.beginning.start.dance[0], dance[0])


def test_the_video_plays_the_song_cut_to_its_length(
    run: Path, star: Path, data: Path, clip: str, song: Path, server: dict[str, str], tmp_path: Path
) -> None:
    import subprocess
    import sys

    out = tmp_path / "danced.mp4"
    command = [sys.executable, "-m", "flows.cli", "generate", "--runs", str(star), "--clip", clip, "--data", str(data)]
    more = ["--choreographer", str(run), "--music", str(song), "--frames", "20", "--gif-mb", "0", "--steps", "1"]
    done = subprocess.run([*command, *more, "--out", str(out)], env=server, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    with av.open(str(out)) as video:
        sound, pictures = video.streams.audio[0], video.streams.video[0]
        assert float(sound.duration * sound.time_base) == pytest.approx(
            float(pictures.duration * pictures.time_base), abs=0.06
        )
