"""Draws a posed dancer over a picture: limbs, trunk, clothes, hands and head, from back to front."""

import itertools
from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.brush import Array, Brush, Colour, Picture, shade
from pipeline.dancer import SIDES, Body, Skeleton, along, turn
from pipeline.face import landmarks, paint_head
from pipeline.outfit import Outfit

TILT = np.deg2rad(7.0)  # the camera looks down a little, so that a floor shows
RING = np.linspace(0, 2 * np.pi, 22, endpoint=False)
FINGERS = ("index", "middle", "ring", "pinky")


@dataclass(frozen=True)
class Figure:
    """A dancer ready to be drawn: T frames of points seen from the front, in standing heights."""

    body: Body
    outfit: Outfit
    seen: dict[str, Array]  # point -> (T, 3): right, down, towards the viewer
    frames: dict[str, Array]  # rigid part -> (T, 3, 3), its axes as seen
    blink: Array  # (T,) 1 where the eyes are shut
    smile: Array  # (T,) 0 to 1


def project(points: Array) -> Array:
    """Orthographic view of points (..., 3): right, down and towards the viewer, in the same unit."""
    x, y, z = np.moveaxis(points, -1, 0)
    return np.stack([x, -y * np.cos(TILT) + z * np.sin(TILT), z * np.cos(TILT) + y * np.sin(TILT)], axis=-1)


def figure(body: Body, outfit: Outfit, skeleton: Skeleton, roll: Array, rng: np.random.Generator) -> Figure:
    """A skeleton with a face and moods, seen by a camera that is rolled by `roll` (T,) radians."""
    points = dict(skeleton.points)
    head = skeleton.frames["head"]
    for name, place in landmarks().items():
        points[name] = points["head"] + along(head, *(place * body.head))
    spin = turn("z", roll)
    seen = {name: (spin @ project(place)[:, :, None])[:, :, 0] for name, place in points.items()}
    frames = {k: spin @ np.swapaxes(project(np.swapaxes(v, 1, 2)), 1, 2) for k, v in skeleton.frames.items()}
    count = len(head)
    t = np.arange(count)
    blink = (np.abs((t + rng.integers(90)) % 97 - 2) < 2).astype(float)
    smile = 0.5 + 0.5 * np.sin(t / rng.uniform(40, 90) + rng.uniform(0, 6))
    return Figure(body, outfit, seen, frames, blink, smile)


def bounds(fig: Figure, t: int, scale: float, origin: Array) -> Array:
    """Left, top, right and bottom, in pixels, of everything drawn of frame t."""
    xy = np.array([p[t, :2] for p in fig.seen.values()]) * scale + origin
    margin = 0.13 * scale
    return np.array([*(xy.min(axis=0) - margin), *(xy.max(axis=0) + margin)])


def draw_figure(picture: Picture, fig: Figure, t: int, scale: float, origin: Array, light: float) -> None:
    """Paint frame t in place: `scale` pixels a standing height, `origin` where the floor's origin is seen."""
    height, width = picture.shape[:2]
    left, top, right, bottom = bounds(fig, t, scale, origin)
    x0, y0 = max(0, int(left)), max(0, int(top))
    x1, y1 = min(width, int(right) + 1), min(height, int(bottom) + 1)
    if x0 >= x1 or y0 >= y1:
        return
    zoom = 2 if scale < 480 else 1
    region = np.ascontiguousarray(picture[y0:y1, x0:x1])
    if zoom > 1:
        region = cv2.resize(region, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_NEAREST)
    painter = Painter(fig, t, scale, origin, Brush(region, np.array([x0, y0], float), zoom, light))
    painter.shadow(picture[y0:y1, x0:x1].shape[:2])
    painter.paint()
    if zoom > 1:
        region = cv2.resize(painter.brush.region, (x1 - x0, y1 - y0), interpolation=cv2.INTER_AREA)
    picture[y0:y1, x0:x1] = region


@dataclass
class Painter:
    """One frame of one figure on one brush."""

    fig: Figure
    t: int
    scale: float
    origin: Array
    brush: Brush

    def at(self, name: str) -> Array:
        """A point's pixel (2,)."""
        return np.asarray(self.fig.seen[name][self.t, :2] * self.scale + self.origin)

    def depth(self, name: str) -> float:
        """How near a point is, in standing heights."""
        return float(self.fig.seen[name][self.t, 2])

    def paint(self) -> None:
        """Everything, back to front."""
        trunk = (self.depth("pelvis") + self.depth("waist") + self.depth("neck")) / 3
        legs = sorted(SIDES, key=lambda side: self.depth(f"{side}_knee") + 0.3 * self.depth(f"{side}_ankle"))
        arms = sorted(SIDES, key=lambda side: self.depth(f"{side}_elbow") + self.depth(f"{side}_wrist"))
        behind = {side: self.depth(f"{side}_shoulder") < self.depth("neck") - 0.05 for side in SIDES}
        facing = float(self.fig.frames["head"][self.t, 2, 2])
        for side in arms:
            if behind[side]:
                self.arm(side)
        if facing > -0.2:
            self.long_hair()
        raised = [s for s in legs if self.depth(f"{s}_knee") > self.depth("pelvis") + 0.13]
        for side in legs:
            self.leg(side)
        self.hips()
        for side in raised:
            self.thigh(side)
        self.trunk()
        self.neck()
        overhead = [s for s in arms if self.depth(f"{s}_wrist") > self.depth("head") + 0.02]
        for side in arms:
            if not behind[side] and side not in overhead:
                self.arm(side)
        self.head()
        if facing <= -0.2:
            self.long_hair()
        for side in arms:
            if side in overhead and not behind[side]:
                self.arm(side)
            elif behind[side] and self.depth(f"{side}_wrist") > trunk + 0.04:
                self.forearm(side)

    # -- limbs -----------------------------------------------------------------------------------
    def limb(self, names: list[str], radii: list[float], colour: Colour) -> None:
        centres = np.array([self.at(name) for name in names])
        self.brush.tube(centres, np.array(radii) * self.scale * self.fig.body.bulk, colour)

    def between(self, first: str, second: str, share: float) -> Array:
        return np.asarray(self.at(first) * (1 - share) + self.at(second) * share)

    def leg(self, side: str) -> None:
        o, s, bulk = self.fig.outfit, self.scale, self.fig.body.bulk
        self.foot(side)
        knee, ankle = self.at(f"{side}_knee"), self.at(f"{side}_ankle")
        mid = self.between(f"{side}_hip", f"{side}_knee", 0.4)
        calf = self.between(f"{side}_knee", f"{side}_ankle", 0.32)
        path = np.array([self.at(f"{side}_hip"), mid, knee, calf, ankle])
        radii = np.array([0.052, 0.050, 0.034, 0.035, 0.022]) * s * bulk
        if o.legs < 0.9:
            self.brush.tube(path, radii, o.skin)
        if o.legs < 0.8:
            sock = np.array([self.between(f"{side}_knee", f"{side}_ankle", 0.82), ankle])
            self.brush.tube(sock, np.array([0.025, 0.025]) * s * bulk, o.socks)
        share = o.legs
        cloth, widths = clip_path(path, radii, share)
        loose = np.linspace(1.06, 1.06 + (o.wide - 1) * (1.6 if share > 0.6 else 1.1), len(widths))
        if o.skirt == 0.0 or share > 0.35:
            self.brush.tube(cloth, widths * loose + 0.002 * s, o.bottom)

    def thigh(self, side: str) -> None:
        """A raised thigh again, in front of the hips."""
        o = self.fig.outfit
        if o.skirt > 0:
            return
        mid = self.between(f"{side}_hip", f"{side}_knee", 0.4)
        path = np.array([self.at(f"{side}_hip"), mid, self.at(f"{side}_knee")])
        radii = np.array([0.052, 0.050, 0.034]) * self.scale * self.fig.body.bulk
        colour = o.bottom
        self.brush.tube(path, radii * 1.06, colour if o.legs > 0.5 else o.skin)
        if o.legs <= 0.5:
            cloth, widths = clip_path(path, radii, 0.84)
            self.brush.tube(cloth, widths * 1.1, colour)

    def foot(self, side: str) -> None:
        o = self.fig.outfit
        names = [f"{side}_heel", f"{side}_ball", f"{side}_toe"]
        sole = np.array([self.at(n) for n in names]) + np.array([0, 0.006 * self.scale])
        self.brush.tube(sole, np.array([0.021, 0.023, 0.016]) * self.scale, (225, 225, 228), ((1.0, 0, 0.8),))
        instep = [self.at(f"{side}_ankle"), self.at(f"{side}_ball")]
        self.brush.tube(np.array(instep), np.array([0.023, 0.018]) * self.scale, o.shoes)
        self.brush.tube(
            np.array([self.at(n) for n in names]), np.array([0.021, 0.023, 0.017]) * self.scale, o.shoes
        )

    def arm(self, side: str) -> None:
        o, s, bulk = self.fig.outfit, self.scale, self.fig.body.bulk
        shoulder, elbow, wrist = (self.at(f"{side}_{n}") for n in ("shoulder", "elbow", "wrist"))
        path = np.array([
            shoulder,
            shoulder * 0.6 + elbow * 0.4,
            elbow,
            elbow * 0.7 + wrist * 0.3,
            wrist,
        ])  # fmt: skip
        radii = np.array([0.033, 0.030, 0.024, 0.0245, 0.0165]) * s * bulk
        self.hand(side)
        if o.sleeve < 0.9:
            self.brush.tube(path, radii, o.skin)
        if o.sleeve > 0:
            cloth, widths = clip_path(path, radii, o.sleeve)
            self.brush.tube(cloth, widths * 1.12 + 0.0015 * s, o.top)
            if o.pattern == "stripes" and o.sleeve > 0.9:
                cuff, ends = clip_path(path[::-1], radii[::-1], 0.1)
                self.brush.tube(cuff, ends * 1.16, o.trim)
        else:
            self.brush.tube(path[:1].repeat(2, 0), radii[:1].repeat(2), o.skin)

    def forearm(self, side: str) -> None:
        """A far arm's forearm again, where it crosses in front of the trunk."""
        o, s, bulk = self.fig.outfit, self.scale, self.fig.body.bulk
        elbow, wrist = self.at(f"{side}_elbow"), self.at(f"{side}_wrist")
        self.hand(side)
        path = np.array([elbow, elbow * 0.7 + wrist * 0.3, wrist])
        colour = o.top if o.sleeve > 0.9 else o.skin
        self.brush.tube(
            path, np.array([0.024, 0.0245, 0.0165]) * s * bulk * (1.12 if o.sleeve > 0.9 else 1), colour
        )

    def hand(self, side: str) -> None:
        o, s = self.fig.outfit, self.scale
        flat = ((1.0, 0.0, 0.70), (0.78, 0.1, 0.98))
        wrist = self.at(f"{side}_wrist")
        order = FINGERS if self.fig.frames[f"{side}_hand"][self.t, 2, 2] < 0 else FINGERS[::-1]
        tube = self.brush.tube
        tube(np.array([wrist, self.at(f"{side}_thumb"), self.at(f"{side}_thumb_tip")]),
             np.array([0.012, 0.0085, 0.006]) * s, o.skin, flat)  # fmt: skip
        for finger in order:
            ends = np.array([self.at(f"{side}_{finger}"), self.at(f"{side}_{finger}_tip")])
            tube(ends, np.array([0.0085, 0.0062]) * s, o.skin, flat)
        palm = np.array([wrist, self.at(f"{side}_middle"), self.at(f"{side}_ring")])
        tube(
            palm,
            np.array([0.0165, 0.0175, 0.0165]) * s,
            o.skin,
            ((1.0, 0.0, 0.76), (0.82, 0.1, 0.95), (0.5, 0.2, 1.03)),
        )

    # -- trunk -----------------------------------------------------------------------------------
    def rings(self, levels: list[tuple[Array, str, float, float]]) -> Array:
        """Outlines (n, points, 2) in pixels of ellipses: centre as seen, frame, half width, half depth."""
        outlines = []
        for centre, frame, a, b in levels:
            axes = self.fig.frames[frame][self.t]
            ring = centre + a * np.cos(RING)[:, None] * axes[:, 0] + b * np.sin(RING)[:, None] * axes[:, 2]
            outlines.append(ring[:, :2] * self.scale + self.origin)
        return np.array(outlines)

    def levels(self) -> dict[str, tuple[Array, str, float, float]]:
        """The trunk's cross sections from the crotch to the base of the neck."""
        b, t, seen = self.fig.body, self.t, self.fig.seen
        pelvis, waist, neck = seen["pelvis"][t], seen["waist"][t], seen["neck"][t]
        up = self.fig.frames["pelvis"][t][:, 1]
        front = self.fig.frames["chest"][t][:, 2]
        return {
            "crotch": (pelvis - 0.045 * up, "pelvis", b.pelvis * 0.80, 0.052),
            "hips": (pelvis + 0.012 * up, "pelvis", b.pelvis, 0.060),
            "belt": (pelvis + 0.062 * up, "pelvis", b.pelvis * 0.6 + b.waist * 0.42, 0.054),
            "waist": (waist, "chest", b.waist, 0.047),
            "ribs": (waist * 0.55 + neck * 0.45, "chest", b.chest, 0.058),
            "chest": (waist * 0.3 + neck * 0.7 + 0.004 * front, "chest", b.chest * 1.06, 0.058),
            "shoulders": (waist * 0.06 + neck * 0.94, "chest", b.shoulder * 0.90, 0.040),
            "collar": (neck * 1.0 + 0.022 * self.fig.frames["chest"][t][:, 1], "chest", 0.034, 0.030),
        }

    def hips(self) -> None:
        o, level = self.fig.outfit, self.levels()
        if o.skirt > 0:
            self.skirt(level)
        else:
            self.brush.stack(self.rings([level[n] for n in ("crotch", "hips", "belt", "waist")]), o.bottom)

    def skirt(self, level: dict[str, tuple[Array, str, float, float]]) -> None:
        o, t, seen = self.fig.outfit, self.t, self.fig.seen
        knees = (seen["left_knee"][t] + seen["right_knee"][t]) / 2
        hips = (seen["left_hip"][t] + seen["right_hip"][t]) / 2
        spread = float(np.linalg.norm(seen["left_knee"][t, :2] - seen["right_knee"][t, :2])) / 2
        share = min(1.0, o.skirt * 2.0)
        drop = hips * (1 - share) + knees * share
        hem = (drop, "pelvis", max(0.105, spread * share + 0.062) + 0.02 * share, 0.085)
        middle = (
            hips * (1 - share / 2) + knees * share / 2,
            "pelvis",
            (hem[2] + self.fig.body.pelvis) / 2,
            0.075,
        )
        rings = self.rings([hem, middle, level["hips"], level["belt"], level["waist"]])
        self.brush.stack(rings, o.bottom)
        for k in range(2, 10, 2):  # pleats
            fold = np.array([rings[2][k], rings[1][k], rings[0][k]])
            self.brush.line(fold, 0.004 * self.scale, shade(o.bottom, 0.8))

    def trunk(self) -> None:
        o, level = self.fig.outfit, self.levels()
        upper = ["waist", "ribs", "chest", "shoulders", "collar"]
        if o.bare_waist:
            self.brush.stack(self.rings([level[n] for n in ("belt", "waist", "ribs")]), o.skin)
            upper = upper[1:]
        else:
            upper = (["belt"] if o.skirt > 0 else ["hips", "belt"]) + upper
        rings = self.rings([level[n] for n in upper])
        self.brush.stack(rings, o.top)
        self.pattern(rings)

    def pattern(self, rings: Array) -> None:
        o = self.fig.outfit
        front = self.fig.frames["chest"][self.t][2, 2]
        if o.pattern == "stripes":
            for low, high in itertools.pairwise(rings[:-1]):
                for start in (0.15, 0.6):
                    band = np.array([low + (high - low) * start, low + (high - low) * (start + 0.22)])
                    self.brush.stack(band, o.trim)
        elif o.pattern == "emblem" and front > 0.35:
            chest = self.fig.seen["waist"][self.t] * 0.38 + self.fig.seen["neck"][self.t] * 0.62
            axes = self.fig.frames["chest"][self.t]
            disc = chest + axes[:, 2] * 0.058 + 0.036 * (
                np.cos(RING)[:, None] * axes[:, 0] + np.sin(RING)[:, None] * axes[:, 1])  # fmt: skip
            self.brush.polygon(disc[:, :2] * self.scale + self.origin, o.trim)
        elif o.pattern == "open" and front > 0.2:
            k = int(np.argmin(np.abs(RING - np.pi / 2)))
            strip = np.concatenate([rings[:, k - 2], rings[::-1, k + 2]])
            self.brush.polygon(strip, shade(o.trim, 0.95))

    # -- head ------------------------------------------------------------------------------------
    def neck(self) -> None:
        s, o = self.scale, self.fig.outfit
        neck, head = self.at("neck"), self.at("head")
        base = neck + np.array([0.0, -0.012 * s])
        self.brush.tube(
            np.array([base, neck * 0.35 + head * 0.65]), np.array([0.030, 0.026]) * s, shade(o.skin, 0.88)
        )

    def head(self) -> None:
        size = self.fig.body.head
        middle, axes = self.fig.seen["head"][self.t], self.fig.frames["head"][self.t]

        def place(points: Array) -> Array:
            seen = middle + size * points @ axes.T
            return np.asarray(seen * self.scale + np.array([*self.origin, 0.0]))

        mood = float(self.fig.smile[self.t])
        paint_head(self.brush, place, self.scale * size, self.fig.outfit, float(self.fig.blink[self.t]), mood)

    def long_hair(self) -> None:
        o, s = self.fig.outfit, self.scale * self.fig.body.head
        head, axes = self.fig.seen["head"][self.t], self.fig.frames["head"][self.t]

        def spot(x: float, y: float, z: float, hang: float) -> Array:
            seen = head + axes @ np.array([x, y, z]) + np.array([0, hang, 0])
            return np.asarray(seen[:2] * self.scale + self.origin)

        sway = np.array([-0.25, 0.0]) * (
            self.at("head") - self.fig.seen["head"][max(0, self.t - 5), :2] * self.scale - self.origin
        )
        if o.hair_style in ("long", "bob"):
            length = 0.15 if o.hair_style == "long" else 0.055
            path = np.array(
                [
                    spot(0, 0.01, -0.022, 0),
                    spot(0, -0.02, -0.03, length * 0.5),
                    spot(0, -0.02, -0.032, length) + sway,
                ]
            )
            self.brush.tube(path, np.array([0.055, 0.057, 0.040]) * s, shade(o.hair, 0.92))
        elif o.hair_style == "tail":
            path = np.array(
                [
                    spot(0, 0.035, -0.055, 0),
                    spot(0, 0.02, -0.085, 0.03) + sway * 0.5,
                    spot(0, 0.0, -0.08, 0.12) + sway * 1.5,
                ]
            )
            self.brush.tube(path, np.array([0.018, 0.022, 0.010]) * s, o.hair)
        elif o.hair_style == "bun":
            path = np.array([spot(0, 0.062, -0.03, 0), spot(0, 0.075, -0.032, 0)])
            self.brush.tube(path, np.array([0.026, 0.026]) * s, o.hair)

    def shadow(self, shape: tuple[int, int]) -> None:
        """Darken the floor under the feet."""
        feet = np.array([self.at(f"{side}_{part}") for side in SIDES for part in ("heel", "toe")])
        level = self.origin[1] + 0.006 * self.scale
        zoom = self.brush.zoom
        centre = (np.array([feet[:, 0].mean(), level]) - self.brush.corner) * zoom
        half = max(0.10, np.ptp(feet[:, 0]) / self.scale / 2 + 0.06) * self.scale * zoom
        height, width = self.brush.region.shape[:2]
        y0, y1 = (
            int(max(0, centre[1] - 0.06 * self.scale * zoom)),
            int(min(height, centre[1] + 0.07 * self.scale * zoom)),
        )
        if y0 >= y1:
            return
        y, x = np.mgrid[y0:y1, 0:width].astype(np.float32)
        away = ((x - centre[0]) / half) ** 2 + ((y - centre[1]) / (0.042 * self.scale * zoom)) ** 2
        dim = 1 - 0.5 * np.exp(-1.4 * away)
        band = self.brush.region[y0:y1]
        band[:] = (band * dim[:, :, None]).astype(np.uint8)


def clip_path(path: Array, radii: Array, share: float) -> tuple[Array, Array]:
    """The first `share` of a limb's path (n, 2) and radii (n,), by joints rather than by seen length."""
    position = np.linspace(0, 1, len(path))
    keep = position < share
    where = np.interp(share, position, np.arange(len(path)))
    low = min(int(where), len(path) - 2)
    part = where - low
    end = path[low] * (1 - part) + path[low + 1] * part
    width = radii[low] * (1 - part) + radii[low + 1] * part
    return np.concatenate([path[keep], [end]]), np.append(radii[keep], width)
