"""Records a synthetic video: its pictures, its file and its truth."""

import itertools
import pathlib
import subprocess
from collections.abc import Iterator

import cv2
import ffmpeg
import imageio_ffmpeg
import numpy as np

from data_catalog.base.disk import raise_if_told_full
from pipeline.synthetic.body.brush import Array, Picture
from pipeline.synthetic.camera_path import KINDS
from pipeline.synthetic.footage import CROP_HEIGHTS, LANDMARKS, Direction, Shot, shoot
from pipeline.synthetic.music import Music, draw_music, write_music
from pipeline.synthetic.video_plan import SynthVideo

VERSION = 2  # of what is drawn: raise it when the same spec gives other pixels


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
    shots: list[Shot] = []
    keys, standing = [0, 0, 0], spec.standing * spec.height
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
                    camera=spec.fault if spec.fault in KINDS else None,
                    act=spec.fault if spec.fault in ("leaves", "two_dancers", "no_dancer") else None,
                    dancer_key=keys[0],
                    scenery_key=keys[1],
                    framing_key=keys[2],
                    music=shots[0].music if shots else None,
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


def encode(spec: SynthVideo, frames: Iterator[Picture], kept: list[int], music: Music, path: pathlib.Path) -> None:
    """H.264 and AAC in mp4 with the kept frames at their own timestamps, and the rotation flag."""
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
    tune = path.with_suffix(".wav")
    streams = [source]
    try:
        if spec.sound:
            write_music(tune, draw_music(music, float(spec.frames / spec.rate)))
            streams.append(ffmpeg.input(str(tune)))
            options |= {"acodec": "aac", "audio_bitrate": "128k", "flags:a": "+bitexact"}
        _run(ffmpeg.output(*streams, str(flat), **options).overwrite_output(), frames)
        if spec.rotation:
            # A player turns by the negative of the display matrix's angle.
            turned = ffmpeg.input(str(flat), **{"display_rotation:v:0": -spec.rotation})
            copied = {"c": "copy", "movflags": "+faststart", "fflags": "+bitexact", "map_metadata": -1}
            _run(ffmpeg.output(turned, str(path), **copied).overwrite_output(), iter(()))
    finally:
        tune.unlink(missing_ok=True)
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
        raise_if_told_full(words)
        raise RuntimeError(f"ffmpeg ended with code {process.returncode} while it wrote a synthetic video: {words}")


def truth_of(spec: SynthVideo, shots: list[Shot], content: list[int], kept: list[int]) -> dict[str, object]:
    """What is true of every stored frame, in displayed-picture pixels and seconds, and of the music.

    joints: [frames][people][33][2] in MediaPipe's order; inside: the same without the last axis;
    beats_s: all beats of the music, at `tempo` beats a minute; none where there is no sound.
    camera: [frames][2][3] from world to picture, a new world after each cut; standing: [frames][people].
    """
    joints = np.concatenate([shot.joints() for shot in shots])
    camera = np.concatenate([shot.camera for shot in shots])
    standing = np.concatenate([shot.standing * shot.zoom() for shot in shots])
    moments = np.array(content)[kept]
    seen = joints[moments]
    inside = np.all((seen >= 0) & (seen < [spec.width, spec.height]), axis=-1)
    music = shots[0].music
    beats = music.beats(float(spec.frames / spec.rate)) if spec.sound else np.empty(0)
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
        "tempo": round(60 * music.beats_per_second, 3) if spec.sound else None,
        "beats_s": np.round(beats, 6).tolist(),
        "camera": np.round(camera[moments], 5).tolist(),
        "standing": np.round(np.repeat(standing[moments, None], joints.shape[1], axis=1), 1).tolist(),
        "joints": np.round(seen, 1).tolist(),
        "inside": inside.astype(int).tolist(),
    }
