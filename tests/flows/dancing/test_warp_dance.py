"""`longdance warp`: a clip's picture in another clip's dance, and one sentence for everything that cannot dance."""

from pathlib import Path

import av
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from data_catalog.base.errors import LongdanceError
from flows.cli.main import main
from flows.dancing.driving_dance import one_person
from flows.dancing.warp_dance import WarpRequest, warp_dance
from model.data.landmarks import read_landmarks
from model.data.samples import read_samples
from model.errors import PoseError
from model.pose.warp_video import warped_frames
from pipeline.picture_size import PictureSize
from tests.model.pose.dancers import drawn

SIZE = PictureSize(256, 256)


@pytest.fixture(scope="module")
def clips(data: Path) -> list[str]:
    """Clips of the data set, the first sample of each."""
    return sorted({sample.clip_id for sample in read_samples(data)})


def test_a_clip_dances_another_clip_s_dance_and_the_same_command_gives_the_same_bytes(
    data: Path, clips: list[str], tmp_path: Path
) -> None:
    given = ["--clip", clips[0], "--pose", clips[-1], "--data", str(data), "--size", str(SIZE), "--frames", "30"]
    for name in ("a.mp4", "b.mp4"):
        done = CliRunner().invoke(main, ["warp", *given, "--out", str(tmp_path / name)])
        assert done.exit_code == 0, done.output
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "b.mp4"]
    with av.open(str(tmp_path / "a.mp4")) as video:
        frames = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    assert len(frames) == 30
    assert np.abs(frames[0].astype(int) - frames[-1]).max() > 60


def landmarks_in(picture: np.ndarray) -> np.ndarray:
    return one_person(picture).landmarks


def test_the_dancer_of_the_video_takes_the_pose_that_was_asked_for() -> None:
    shot, landmarks = drawn(3010, frames=60, size=384)
    picture = np.ascontiguousarray(shot.draw(0)[..., ::-1])
    person = one_person(picture)
    start = person.landmarks
    dance = np.stack([landmarks_in(np.ascontiguousarray(shot.draw(t)[..., ::-1])) for t in (20, 40, 59)])
    warped = list(warped_frames(picture, start, dance, person.outline_HW))
    assert len(warped) == len(landmarks[[20, 40, 59]])
    apart = [
        np.linalg.norm(landmarks_in(w)[11:29, :2] - pose[11:29, :2], axis=-1).mean() for w, pose in zip(warped, dance)
    ]
    still = [np.linalg.norm(start[11:29, :2] - pose[11:29, :2], axis=-1).mean() for pose in dance]
    assert np.mean(apart) < 0.5 * np.mean(still)


def test_a_file_of_landmarks_is_a_dance_too(data: Path, clips: list[str], tmp_path: Path) -> None:
    np.save(tmp_path / "dance.npy", read_landmarks(data, clips[0])[:, :, :2])
    request = WarpRequest(
        str(tmp_path / "dance.npy"), tmp_path / "out.mp4", SIZE, clip=clips[0], data=data, frames=5, mirrored=True
    )
    assert warp_dance(request).stat().st_size > 1000


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"out": "x.avi"}, "does not end in .mp4"),
        ({"out": "there.mp4"}, "is there already: name another --out"),
        ({"out": "no/x.mp4"}, "is not there: make it first"),
        ({"size": PictureSize(255, 256)}, "both sides have to be even"),
        ({"pose": "nobody"}, "has no stored clip 'nobody'"),
        ({"pose": "junk.npy"}, "cannot be read"),
        ({"pose": "gone.npy"}, "cannot be read"),
        ({"pose": "shape.npy"}, r"expected \(frames, 33, 4\)"),
        ({"pose": "away.npy"}, "leaves the picture at frame"),
        ({"data": None}, "belongs to a data set"),
        ({"clip": None}, "either a picture"),
        ({"clip": None, "image": "empty.png"}, "No person was found"),
    ],
)
def test_what_cannot_dance_is_one_sentence(
    changed: dict[str, object],
    sentence: str,
    data: Path,
    clips: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("there.mp4").write_bytes(b"somebody's")
    Path("junk.npy").write_bytes(b"junk")
    np.save("shape.npy", np.zeros((5, 17, 3)))
    away = read_landmarks(data, clips[0]).astype(float)
    away[..., 0] += np.linspace(0, 900, len(away))[:, None]
    np.save("away.npy", away)
    Image.new("RGB", (300, 300)).save("empty.png")
    given = {"pose": clips[0], "out": tmp_path / "x.mp4", "size": SIZE, "clip": clips[0], "data": data, **changed}
    for name in ("out", "image"):
        if isinstance(given.get(name), str):
            given[name] = tmp_path / str(given[name])
    with pytest.raises(LongdanceError, match=sentence) as caught:
        warp_dance(WarpRequest(**given))  # type: ignore[arg-type]
    assert str(caught.value).count("\n") == 0
    assert not (tmp_path / "x.mp4").exists()
    assert Path("there.mp4").read_bytes() == b"somebody's"


def test_a_picture_of_two_people_is_refused() -> None:
    two = np.hstack([drawn(seed, size=384)[0].draw(0)[:, 60:-60, ::-1] for seed in (3000, 3002)])
    with pytest.raises(PoseError, match="shows 2 people: give one that shows one whole person"):
        one_person(two)
