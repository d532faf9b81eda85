"""Shots of drawn dancers: who dances where before which scenery under which camera, frame by frame."""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from pipeline.synthetic.body.brush import Array, Picture
from pipeline.synthetic.body.dancer import pose_body, random_body
from pipeline.synthetic.body.drawing import draw_figure
from pipeline.synthetic.body.figure import Figure, figure
from pipeline.synthetic.body.outfit import random_outfit
from pipeline.synthetic.camera_path import camera_path
from pipeline.synthetic.dances import random_dance, smoothstep
from pipeline.synthetic.music import Music, random_music
from pipeline.synthetic.performance import perform
from pipeline.synthetic.scenery import draw_scenery

CROP_HEIGHTS = 1.6  # side of an aligned clip's crop, in standing heights
PELVIS_HEIGHT = 0.53
# MediaPipe's 33 landmarks by index, and the drawn points that lie there.
LANDMARKS = (
    "nose_mark", "left_eye_inner", "left_eye", "left_eye_outer", "right_eye_inner", "right_eye",
    "right_eye_outer", "left_ear", "right_ear", "mouth_left", "mouth_right", "left_shoulder_mark",
    "right_shoulder_mark", "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_pinky",
    "right_pinky", "left_index", "right_index", "left_thumb", "right_thumb", "left_hip_mark",
    "right_hip_mark", "left_knee_mark", "right_knee_mark", "left_ankle_mark", "right_ankle_mark",
    "left_heel", "right_heel", "left_toe", "right_toe",
)  # fmt: skip


@dataclass(frozen=True)
class Direction:
    """What a shot shows: sizes in picture pixels, and keys of what is drawn at random."""

    seed: int
    width: int
    height: int
    stride: int  # source frames per clip frame
    times: Array  # (T,) seconds
    standing: float  # standing height, pixels
    camera: str | None
    act: str | None  # "leaves", "two_dancers", "no_dancer" or None
    dancer_key: int
    scenery_key: int
    framing_key: int
    music: Music | None = None  # what is danced to; None: the first dancer's own


@dataclass(frozen=True)
class Shot:
    """A shot ready to be drawn."""

    backdrop: Picture
    corner: Array  # (2,) world pixel of the backdrop's top left
    camera: Array  # (T, 2, 3) affines from world to picture
    figures: tuple[Figure, ...]  # back to front
    places: tuple[Array, ...]  # (2,) world pixel of each figure's floor origin
    standing: float  # world pixels
    order: tuple[int, ...]  # figure -> number of the person in the truth
    width: int
    height: int
    music: Music

    def zoom(self) -> Array:
        """Picture pixels per world pixel, (T,)."""
        return np.asarray(np.linalg.norm(self.camera[:, :, 0], axis=1))

    def draw(self, t: int) -> Picture:
        """Frame t of the shot: (height, width, 3) in blue, green, red."""
        affine = self.camera[t].copy()
        affine[:, 2] += affine[:, :2] @ self.corner
        if np.array_equal(affine, np.eye(2, 3)):
            picture = self.backdrop[: self.height, : self.width].copy()
        else:
            picture = cv2.warpAffine(
                self.backdrop,
                affine,
                (self.width, self.height),
                flags=cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_REFLECT,
            )
        zoom = float(np.hypot(*self.camera[t, :, 0]))
        for fig, place in zip(self.figures, self.places):
            origin = self.camera[t, :, :2] @ place + self.camera[t, :, 2]
            draw_figure(picture, fig, t, self.standing * zoom, origin)
        return picture

    def joints(self) -> Array:
        """True landmarks in picture pixels: (T, people, 33, 2)."""
        people = []
        for person in range(len(self.figures)):
            fig, place = self.figures[self.order.index(person)], self.places[self.order.index(person)]
            origin = self.camera[:, :, :2] @ place + self.camera[:, :, 2]
            seen = np.stack([fig.seen[name][:, :2] for name in LANDMARKS], axis=1)
            people.append(seen * (self.standing * self.zoom())[:, None, None] + origin[:, None])
        return np.stack(people, axis=1) if people else np.zeros((len(self.camera), 0, len(LANDMARKS), 2))


def shoot(plan: Direction) -> Shot:
    """Prepare a shot from its direction; the same direction gives the same shot."""
    framing = np.random.default_rng([plan.seed, 1, plan.framing_key])
    unit = CROP_HEIGHTS * plan.standing / 512
    size = (plan.width, plan.height)
    camera = camera_path(plan.camera, len(plan.times), plan.stride, unit, size, framing)
    crop = CROP_HEIGHTS * plan.standing
    slack = np.maximum(0.0, (np.array(size) - crop) / 2) * np.array([0.6, 0.35])
    slack = np.minimum(slack, np.array([0.16, 0.10]) * size)
    pelvis = np.array(size) / 2 + slack * framing.uniform(-1, 1, 2)
    if plan.camera in ("pan", "zoom", "handheld", "away"):
        pelvis = np.array(size) / 2
    floor = pelvis + np.array([0.0, PELVIS_HEIGHT * plan.standing])
    corner, extent = _world(camera, size)
    scenery = np.random.default_rng([plan.seed, 2, plan.scenery_key])
    skirting = floor[1] - scenery.uniform(0.09, 0.2) * plan.standing - corner[1]
    backdrop = draw_scenery(scenery, extent[1], extent[0], skirting, plan.standing)
    roll = np.arctan2(camera[:, 1, 0], camera[:, 0, 0])
    figures, depths, music = _cast(plan, roll, floor)
    order = tuple(int(k) for k in np.argsort(depths, kind="stable"))
    return Shot(
        backdrop,
        corner,
        camera,
        tuple(figures[k] for k in order),
        (floor,) * len(order),
        plan.standing,
        order,
        *size,
        music,
    )


def _world(camera: Array, size: tuple[int, int]) -> tuple[Array, tuple[int, int]]:
    """The world that a camera sees: its top left pixel (2,), and its width and height."""
    corners = np.array([[0, 0], [size[0], 0], [0, size[1]], size], float)
    seen = np.array([np.linalg.solve(a[:, :2], (corners - a[:, 2]).T).T for a in camera]).reshape(-1, 2)
    low, high = np.floor(seen.min(axis=0)), np.ceil(seen.max(axis=0))
    return low, (int(high[0] - low[0]), int(high[1] - low[1]))


def _cast(plan: Direction, roll: Array, floor: Array) -> tuple[list[Figure], list[float], Music]:
    """The dancers of a shot, how near each stands, and the music that all of them dance to."""
    people = {"no_dancer": 0, "two_dancers": 2}.get(str(plan.act), 1)
    figures, depths, music = [], [], plan.music
    for person in range(people):
        rng = np.random.default_rng([plan.seed, 3, plan.dancer_key, person])
        body, outfit = random_body(rng), random_outfit(rng)
        roam = 1.0 if plan.act is None else 0.4
        dance = random_dance(rng, float(plan.times[-1]), roam)
        music = music or Music(dance.beats_per_second, dance.beat_offset, plan.seed)
        dance = replace(dance, beats_per_second=music.beats_per_second, beat_offset=music.beat_offset)
        pose = perform(dance, plan.times, _path(plan, person, floor))
        depth = 0.0 if person == 0 else float(rng.choice([-0.3, 0.3]))
        pose.pelvis[:, 2] += depth
        for feet in pose.feet.values():
            feet[:, 2] += depth
        rate = 1 / (plan.times[1] - plan.times[0])
        figures.append(figure(body, outfit, pose_body(body, pose), roll, rate, rng))
        depths.append(depth)
    return figures, depths, music or random_music(plan.seed)


class _Walk:
    """A path over the floor: seconds -> place in standing heights, level outside its walks."""

    def __init__(self, start: float, walks: list[tuple[float, float, float]]) -> None:
        self.start, self.walks = start, walks  # a walk: when, how long, how far

    def __call__(self, seconds: Array) -> Array:
        place = np.full_like(seconds, self.start)
        for when, long_, far in self.walks:
            place += far * smoothstep((seconds - when) / long_)
        return place


def _path(plan: Direction, person: int, floor: Array) -> _Walk:
    """Where a dancer walks: out of the picture, past another dancer, or nowhere."""
    first, last = float(plan.times[0]), float(plan.times[-1])
    if plan.act == "leaves":
        rng = np.random.default_rng([plan.seed, 4])
        side = rng.choice([-1.0, 1.0])
        room = (plan.width - floor[0] if side > 0 else floor[0]) / plan.standing
        far = side * (room + 0.62)
        long_ = abs(far) / 0.95
        middle, away = (first + last) / 2, rng.uniform(0.38, 0.46) * (last - first)
        out = (middle - away / 2 - long_ * 0.86, long_, far)
        back = (middle + away / 2 - long_ * 0.14, long_, -far)
        return _Walk(0.0, [out, back])
    if plan.act == "two_dancers":
        room = min(1.4, 0.5 * plan.width / plan.standing - 0.42)
        start = room * (-0.55 if person == 0 else 0.95)
        far = room * (1.1 if person == 0 else -1.9)
        long_ = max(1.2, abs(far) / 0.7)
        return _Walk(start, [((first + last) / 2 - long_ / 2, long_, far)])
    return _Walk(0.0, [])
