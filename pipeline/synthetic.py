"""Videos of drawn dancers with their truth: joints, cuts, camera path and planted faults."""

import itertools
import json
import os
import pathlib
import subprocess
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from fractions import Fraction
from multiprocessing import get_context

import cv2
import ffmpeg
import imageio_ffmpeg
import numpy as np
import pydantic

from pipeline.drawn.brush import Array, Picture
from pipeline.drawn.footage import CROP_HEIGHTS, LANDMARKS, Direction, Shot, shoot

# In the order in which a growing set of videos meets them.
FAULTS = (
    "pan", "leaves", "zoom", "cuts", "shake", "two_dancers", "rotated", "no_dancer", "variable_rate", "tiny",
    "short", "frozen", "dark", "blurred", "duplicated", "slow_rate",
)  # fmt: skip
PORTRAIT = ((540, 960), (720, 1280), (576, 1024), (480, 854))
OTHER = ((960, 540), (854, 480), (1280, 720), (640, 640), (720, 720))
RATES = ("30", "30000/1001", "24", "25", "30", "60", "50", "24000/1001")
VERSION = 1  # of what is drawn: raise it when the same spec gives other pixels


class SynthVideo(pydantic.BaseModel, frozen=True):
    """What one video shows. Width, height and all truth are of the picture as displayed."""

    name: str = "dancer"
    seed: int = 0
    width: int = 540
    height: int = 960
    fps: str = "30"
    frames: int = 240  # places for frames at `fps`; a variable rate leaves some of them empty
    fault: str | None = None
    rotation: int = 0  # degrees clockwise that a player must turn the stored picture
    cuts: tuple[int, ...] = ()  # frames at which a new shot starts
    standing: float = 0.34  # standing height over the picture's height

    @property
    def rate(self) -> Fraction:
        """Frames per second."""
        return Fraction(self.fps)

    @property
    def stride(self) -> int:
        """Source frames per clip frame: above 40 frames/s every second one is taken."""
        return 2 if self.rate > 40 else 1


def plan_videos(videos: int, seed: int) -> list[SynthVideo]:
    """Specs of a set of videos: every third one from the fourth on carries a fault, each kind in turn.

    A longer set of the same seed begins with the shorter one.
    """
    return [_plan(seed, index) for index in range(videos)]


def _plan(seed: int, index: int) -> SynthVideo:
    rng = np.random.default_rng([seed, index])
    fault = FAULTS[(index // 3 - 1) % len(FAULTS)] if index >= 3 and index % 3 == 0 else None
    sizes = PORTRAIT if rng.random() < 0.55 else OTHER
    width, height = sizes[rng.integers(len(sizes))]
    if rng.random() < 0.125 and fault not in ("blurred", "leaves"):
        width, height = 1080, 1920
    fps = str(RATES[rng.integers(len(RATES))])
    if fault in ("duplicated", "slow_rate", "variable_rate"):
        fps = {"duplicated": "30", "slow_rate": "15", "variable_rate": "30"}[fault]
    stride = 2 if Fraction(fps) > 40 else 1
    frames = int(rng.integers(200, 360 if fault == "leaves" else 421))
    cuts: tuple[int, ...] = ()
    if fault == "leaves":
        frames = max(frames, 290)
    if fault == "short":
        frames = int(rng.integers(60, 170))
    if fault == "cuts":
        lengths = rng.permutation([rng.integers(190, 260), rng.integers(50, 150), rng.integers(185, 240)])
        lengths = lengths[: rng.integers(2, 4)]
        frames, cuts = int(lengths.sum()), tuple(int(c) * stride for c in np.cumsum(lengths)[:-1])
    return SynthVideo(
        name=f"synth_{seed}_{index:04d}",
        seed=int(np.random.SeedSequence([seed, index]).generate_state(1)[0]),
        width=width,
        height=height,
        fps=fps,
        frames=frames * stride,
        fault=fault,
        rotation=int(rng.choice([90, 180, 270])) if fault == "rotated" else 0,
        cuts=cuts,
        standing=round(_standing(rng, fault, width, height), 4),
    )


def _standing(rng: np.random.Generator, fault: str | None, width: int, height: int) -> float:
    """A standing height, over the picture's, whose crop fits into the picture."""
    if fault == "tiny":
        return rng.uniform(60, 90) / height
    share = rng.uniform(0.31, 0.40) if height > width else rng.uniform(0.44, 0.58)
    share = min(share, width / (1.03 * CROP_HEIGHTS * height))
    return share * {"pan": 0.85, "zoom": 0.78, "shake": 0.92, "two_dancers": 0.85}.get(str(fault), 1.0)


def synth(out: pathlib.Path, videos: int, seed: int, workers: int | None = None) -> list[pathlib.Path]:
    """Draw a set of videos into a folder, `workers` at a time (one per core by default).

    Videos that are there complete, from the same spec, are left as they are.
    """
    out.mkdir(parents=True, exist_ok=True)
    specs = plan_videos(videos, seed)
    todo = [spec for spec in specs if not is_complete(spec, out)]
    if todo:
        count = min(workers or os.cpu_count() or 1, len(todo))
        with ProcessPoolExecutor(count, mp_context=get_context("spawn")) as pool:
            for _ in pool.map(write_video, todo, [out] * len(todo)):
                pass
    return [out / f"{spec.name}.mp4" for spec in specs]


def is_complete(spec: SynthVideo, folder: pathlib.Path) -> bool:
    """Whether the video and its truth, written last, are there and come from this very spec."""
    truth, video = folder / f"{spec.name}.json", folder / f"{spec.name}.mp4"
    if not (truth.is_file() and video.is_file()):
        return False
    written = json.loads(truth.read_text())
    return bool(written["version"] == VERSION and written["spec"] == spec.model_dump(mode="json"))


def write_video(spec: SynthVideo, folder: pathlib.Path) -> pathlib.Path:
    """Write NAME.mp4 and NAME.json, the truth, into a folder; the same spec gives the same bytes.

    Raises RuntimeError with ffmpeg's words where it fails.
    """
    cv2.setNumThreads(1)
    path = folder / f"{spec.name}.mp4"
    partial = folder / f".{spec.name}.{os.getpid()}.mp4"
    content, times = content_frames(spec)
    shots = shots_of(spec, times)
    kept = kept_frames(spec)
    try:
        encode(spec, pictures(spec, shots, content, kept), kept, partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    truth = json.dumps(truth_of(spec, shots, content, kept), separators=(",", ":"))
    draft = folder / f".{spec.name}.{os.getpid()}.json"
    draft.write_text(truth)
    draft.replace(folder / f"{spec.name}.json")
    return path


def content_frames(spec: SynthVideo) -> tuple[list[int], Array]:
    """Which moment every frame shows, and the moments' times in seconds."""
    rng = np.random.default_rng([spec.seed, 5])
    if spec.fault == "duplicated":
        content = [i * 4 // 5 for i in range(spec.frames)]
        return content, np.arange(content[-1] + 1) / 24.0
    content = list(range(spec.frames))
    if spec.fault == "frozen":
        long_ = int(float(spec.rate) * rng.uniform(2.2, 4.0))
        start = int(rng.uniform(0.25, 0.4) * spec.frames)
        content[start : start + long_] = [start] * len(content[start : start + long_])
    return content, np.arange(spec.frames) / float(spec.rate)


def kept_frames(spec: SynthVideo) -> list[int]:
    """The places for frames that are filled: all, unless the rate varies."""
    if spec.fault != "variable_rate":
        return list(range(spec.frames))
    rng = np.random.default_rng([spec.seed, 6])
    kept = rng.random(spec.frames) > rng.uniform(0.08, 0.2)
    kept[0] = kept[-1] = True
    return [int(i) for i in np.flatnonzero(kept)]


def shots_of(spec: SynthVideo, times: Array) -> list[Shot]:
    """The shots of a video; a cut changes everything, the scenery, or the framing alone."""
    bounds = [0, *spec.cuts, len(times)]
    rng = np.random.default_rng([spec.seed, 7])
    keys, standing, shots = [0, 0, 0], spec.standing * spec.height, []
    for number, (start, end) in enumerate(itertools.pairwise(bounds)):
        if number:
            changed = ([1, 1, 1], [0, 1, 1], [0, 0, 1])[rng.integers(3)]
            keys = [number if change else key for change, key in zip(changed, keys)]
            standing = spec.standing * spec.height * (0.8 if number % 2 else 1.0)
        shots.append(
            shoot(
                Direction(
                    seed=spec.seed,
                    width=spec.width,
                    height=spec.height,
                    stride=spec.stride,
                    times=times[start:end],
                    standing=standing,
                    camera=spec.fault if spec.fault in ("pan", "zoom", "shake") else None,
                    act=spec.fault if spec.fault in ("leaves", "two_dancers", "no_dancer") else None,
                    dancer_key=keys[0],
                    scenery_key=keys[1],
                    framing_key=keys[2],
                )
            )
        )
    return shots


def pictures(spec: SynthVideo, shots: list[Shot], content: list[int], kept: list[int]) -> Iterator[Picture]:
    """The stored pictures of all places for frames, (height, width, 3) in blue, green, red."""
    wanted, moment, picture = set(kept), -1, np.zeros(0, np.uint8)
    starts = [0, *spec.cuts]
    finish = Finish(spec)
    turns = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_CLOCKWISE}
    for place, now in enumerate(content):
        if place in wanted and now != moment:
            number = sum(now >= start for start in starts) - 1
            picture = finish(shots[number].draw(now - starts[number]), now)
            if spec.rotation:
                picture = np.asarray(cv2.rotate(picture, turns[spec.rotation]), np.uint8)
            moment = now
        yield picture


class Finish:
    """What the camera does to a picture: darkness and blur, where planted."""

    def __init__(self, spec: SynthVideo) -> None:
        rng = np.random.default_rng([spec.seed, 8])
        self.gain = rng.uniform(0.06, 0.13) if spec.fault == "dark" else None
        self.grain = rng.normal(0, 2.0, (spec.height + 64, spec.width + 64, 1)).astype(np.float32)
        unit = CROP_HEIGHTS * spec.standing * spec.height / 512
        self.blur = rng.uniform(5, 8) * unit if spec.fault == "blurred" else None
        self.size = (spec.height, spec.width)

    def __call__(self, picture: Picture, moment: int) -> Picture:
        if self.blur is not None:
            picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), self.blur), np.uint8)
        if self.gain is not None:
            y, x = moment * 37 % 64, moment * 23 % 64
            noise = self.grain[y : y + self.size[0], x : x + self.size[1]]
            picture = np.clip(picture * np.float32(self.gain) + noise + 2, 0, 255).astype(np.uint8)
        return picture


def encode(spec: SynthVideo, frames: Iterator[Picture], kept: list[int], path: pathlib.Path) -> None:
    """H.264 in mp4 with the kept frames at their own timestamps, and the rotation flag."""
    size = (spec.height, spec.width) if spec.rotation in (90, 270) else (spec.width, spec.height)
    source = ffmpeg.input("pipe:", format="rawvideo", pix_fmt="bgr24", s=f"{size[0]}x{size[1]}", r=spec.fps)
    options = dict(
        vcodec="libx264", preset="veryfast", crf=20, pix_fmt="yuv420p", threads=1, movflags="+faststart",
        fflags="+bitexact", map_metadata=-1, **{"flags:v": "+bitexact"},
    )  # fmt: skip
    if len(kept) < spec.frames:
        dropped = sorted(set(range(spec.frames)) - set(kept))
        source = source.filter("select", "not(" + "+".join(f"eq(n,{n})" for n in dropped) + ")")
        options |= {"fps_mode": "vfr"}
    flat = path.with_suffix(".flat.mp4") if spec.rotation else path
    command = ffmpeg.output(source, str(flat), **options).overwrite_output()
    try:
        _run(command, frames)
        if spec.rotation:
            # A player turns by the negative of the display matrix's angle.
            turned = ffmpeg.input(str(flat), **{"display_rotation:v:0": -spec.rotation})
            copied = {"c": "copy", "movflags": "+faststart", "fflags": "+bitexact", "map_metadata": -1}
            _run(ffmpeg.output(turned, str(path), **copied).overwrite_output(), iter(()))
    finally:
        if spec.rotation:
            flat.unlink(missing_ok=True)


def _run(command: ffmpeg.nodes.OutputStream, frames: Iterator[Picture]) -> None:
    arguments = command.global_args("-nostdin", "-loglevel", "error").compile(imageio_ffmpeg.get_ffmpeg_exe())
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        try:
            for frame in frames:
                process.stdin.write(frame.data)
            process.stdin.close()
        except BrokenPipeError:
            pass  # ffmpeg has ended: its own words follow
        words = process.stderr.read().decode(errors="replace")
    if process.returncode:
        raise RuntimeError(f"ffmpeg ended with code {process.returncode} while it wrote a synthetic video: {words}")


def truth_of(spec: SynthVideo, shots: list[Shot], content: list[int], kept: list[int]) -> dict[str, object]:
    """What is true of every stored frame, in displayed-picture pixels and seconds.

    joints: [frames][people][33][2] in MediaPipe's order; inside: the same without the last axis;
    camera: [frames][2][3] from world to picture, a new world after each cut; standing: [frames][people].
    """
    joints = np.concatenate([shot.joints() for shot in shots])
    camera = np.concatenate([shot.camera for shot in shots])
    standing = np.concatenate([shot.standing * shot.zoom() for shot in shots])
    moments = np.array(content)[kept]
    seen = joints[moments]
    inside = np.all((seen >= 0) & (seen < [spec.width, spec.height]), axis=-1)
    position = {place: number for number, place in enumerate(kept)}
    return {
        "version": VERSION,
        "spec": spec.model_dump(mode="json"),
        "faults": [spec.fault] if spec.fault else [],
        "landmarks": [name.removesuffix("_mark") for name in LANDMARKS],
        "frames": len(kept),
        "pts_s": [round(float(place / spec.rate), 6) for place in kept],
        "content": [int(m) for m in moments],
        "cuts": [position[cut] for cut in spec.cuts],
        "camera": np.round(camera[moments], 5).tolist(),
        "standing": np.round(np.repeat(standing[moments, None], joints.shape[1], axis=1), 1).tolist(),
        "joints": np.round(seen, 1).tolist(),
        "inside": inside.astype(int).tolist(),
    }
