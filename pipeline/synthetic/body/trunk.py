"""Hips, trunk, neck, head and hair of a drawn dancer, with their share of the clothes."""

import itertools

import numpy as np

from pipeline.synthetic.body.brush import Array, shade
from pipeline.synthetic.body.face import paint_head
from pipeline.synthetic.body.figure import RING, Level, Sight


def trunk_levels(sight: Sight) -> dict[str, Level]:
    """The trunk's cross sections from the crotch to the base of the neck."""
    b, t, seen = sight.fig.body, sight.t, sight.fig.seen
    pelvis, waist, neck = seen["pelvis"][t], seen["waist"][t], seen["neck"][t]
    up, chest_up = sight.axes("pelvis")[:, 1], sight.axes("chest")[:, 1]
    front = sight.axes("chest")[:, 2]
    return {
        "crotch": (pelvis - 0.05 * up, "pelvis", b.pelvis * 0.62, 0.045),
        "hips": (pelvis + 0.012 * up, "pelvis", b.pelvis, 0.060),
        "belt": (pelvis + 0.062 * up, "pelvis", b.pelvis * 0.6 + b.waist * 0.42, 0.054),
        "waist": (waist, "chest", b.waist, 0.047),
        "ribs": (waist * 0.55 + neck * 0.45, "chest", b.chest, 0.058),
        "chest": (waist * 0.3 + neck * 0.7 + 0.004 * front, "chest", b.chest * 1.06, 0.058),
        "shoulders": (waist * 0.10 + neck * 0.90, "chest", b.shoulder * 0.97, 0.044),
        "yoke": (neck + 0.008 * chest_up, "chest", b.shoulder * 0.74, 0.036),
        "collar": (neck + 0.032 * chest_up, "chest", 0.036, 0.031),
    }


def paint_hips(sight: Sight) -> None:
    """The seat of the trousers; a skirt instead covers the legs."""
    o, level = sight.fig.outfit, trunk_levels(sight)
    if o.skirt == 0:
        names = ("crotch", "hips", "belt", "waist")
        sight.brush.stack(sight.rings([level[n] for n in names]), o.bottom)


def paint_waistband(sight: Sight) -> None:
    """What lies over the tops of the legs: a waistband, or the whole skirt."""
    o, level = sight.fig.outfit, trunk_levels(sight)
    if o.skirt > 0:
        _skirt(sight, level)
    else:
        low = (level["belt"][0] * 0.75 + level["hips"][0] * 0.25, *level["belt"][1:])
        sight.brush.stack(sight.rings([low, level["belt"], level["waist"]]), shade(o.bottom, 0.92))


def _skirt(sight: Sight, level: dict[str, Level]) -> None:
    o, t, seen = sight.fig.outfit, sight.t, sight.fig.seen
    knees = (seen["left_knee"][t] + seen["right_knee"][t]) / 2
    hips = (seen["left_hip"][t] + seen["right_hip"][t]) / 2
    spread = float(np.linalg.norm(seen["left_knee"][t, :2] - seen["right_knee"][t, :2])) / 2
    share = min(1.0, o.skirt * 2.0)
    drop = hips * (1 - share) + knees * share
    width = max(0.105, spread * share + 0.062) + 0.02 * share
    hem = (drop, "pelvis", width, 0.085)
    middle = (hips * (1 - share / 2) + knees * share / 2, "pelvis", (width + sight.fig.body.pelvis) / 2, 0.075)
    swing = np.array([*(0.5 * sight.fig.flow[t]), 0.0])
    hem = (drop + swing, *hem[1:])
    rings = sight.rings([hem, middle, level["hips"], level["belt"], level["waist"]])
    sight.brush.stack(rings, o.bottom)
    for k in range(2, 10, 2):
        fold = np.array([rings[2][k], rings[1][k], rings[0][k]])
        sight.brush.line(fold, 0.004 * sight.scale, shade(o.bottom, 0.8))


def paint_trunk(sight: Sight) -> None:
    """The upper body in its top, with the top's pattern, and the neck."""
    o, level = sight.fig.outfit, trunk_levels(sight)
    upper = ["waist", "ribs", "chest", "shoulders", "yoke", "collar"]
    if o.bare_waist:
        sight.brush.stack(sight.rings([level[n] for n in ("belt", "waist", "ribs")]), o.skin)
        upper = upper[1:]
    else:
        upper = (["belt"] if o.skirt > 0 else ["hips", "belt"]) + upper
    _neck(sight)
    rings = sight.rings([level[n] for n in upper])
    sight.brush.stack(rings, o.top)
    _pattern(sight, rings)
    _neckline(sight)


def _pattern(sight: Sight, rings: Array) -> None:
    o, chest = sight.fig.outfit, sight.axes("chest")
    if o.pattern == "stripes":
        front = np.cos(RING) * chest[2, 0] + np.sin(RING) * chest[2, 2] > -0.05
        first = int(np.argmax(front & ~np.roll(front, 1)))  # the front half, in order around the body
        half = (first + np.arange(front.sum())) % len(RING)
        for low, high in itertools.pairwise(rings[:-2, half]):
            for share in (0.2, 0.7):
                sight.brush.line(low + (high - low) * share, 0.013 * sight.scale, shade(o.trim, 0.94))
    elif o.pattern == "emblem" and chest[2, 2] > 0.35:
        middle = sight.fig.seen["waist"][sight.t] * 0.38 + sight.fig.seen["neck"][sight.t] * 0.62
        round_ = np.cos(RING)[:, None] * chest[:, 0] + np.sin(RING)[:, None] * chest[:, 1]
        disc = middle + chest[:, 2] * 0.058 + 0.036 * round_
        sight.brush.polygon(disc[:, :2] * sight.scale + sight.origin, o.trim)
    elif o.pattern == "open" and chest[2, 2] > 0.2:
        k = int(np.argmin(np.abs(RING - np.pi / 2)))
        strip = np.concatenate([rings[:, k - 2], rings[::-1, k + 2]])
        sight.brush.polygon(strip, shade(o.trim, 0.95))


def _neck(sight: Sight) -> None:
    neck, head = sight.at("neck"), sight.at("head")
    line = np.array([neck, neck * 0.35 + head * 0.65])
    sight.brush.tube(line, np.array([0.031, 0.026]) * sight.scale, shade(sight.fig.outfit.skin, 0.88))


def _neckline(sight: Sight) -> None:
    """Skin above the collar: a round neckline in front, a higher one behind."""
    axes, neck = sight.axes("chest"), sight.fig.seen["neck"][sight.t]
    dip = 0.024 if axes[2, 2] > 0 else 0.004
    ring = (
        neck
        + 0.034 * np.cos(RING)[:, None] * axes[:, 0]
        + (0.024 + np.where(np.sin(RING) < 0, dip, 0.012) * np.sin(RING))[:, None] * axes[:, 1]
        + 0.030 * np.sign(axes[2, 2]) * axes[:, 2]
    )
    skin = sight.fig.outfit.skin
    sight.brush.polygon(ring[:, :2] * sight.scale + sight.origin, shade(skin, 0.9))
    _neck(sight)


def paint_face(sight: Sight) -> None:
    """Head and face."""
    fig, size, axes = sight.fig, sight.fig.body.head, sight.axes("head")
    middle = fig.seen["head"][sight.t]

    def place(points: Array) -> Array:
        seen = middle + size * points @ axes.T
        return np.asarray(seen * sight.scale + np.array([*sight.origin, 0.0]))

    blink, smile = float(fig.blink[sight.t]), float(fig.smile[sight.t])
    paint_head(sight.brush, place, sight.scale * size, fig.outfit, blink, smile)


def paint_long_hair(sight: Sight) -> None:
    """Hair that hangs or is tied behind the head, trailing its movement."""
    o, s = sight.fig.outfit, sight.scale * sight.fig.body.head
    head, axes = sight.fig.seen["head"][sight.t], sight.axes("head")
    flow = sight.fig.flow[sight.t] * sight.scale

    def spot(y: float, z: float, hang: float, loose: float) -> Array:
        seen = head + axes @ np.array([0.0, y, z]) + np.array([0, hang, 0])
        return np.asarray(seen[:2] * sight.scale + sight.origin + loose * flow)

    if o.hair_style in ("long", "bob"):
        length = 0.15 if o.hair_style == "long" else 0.055
        path = np.array([spot(0.01, -0.022, 0, 0), spot(-0.02, -0.03, length / 2, 0.3), spot(-0.02, -0.032, length, 1)])
        sight.brush.tube(path, np.array([0.055, 0.057, 0.040]) * s, shade(o.hair, 0.92))
    elif o.hair_style == "tail":
        path = np.array([spot(0.035, -0.055, 0, 0), spot(0.02, -0.085, 0.03, 0.5), spot(0, -0.08, 0.12, 1.6)])
        sight.brush.tube(path, np.array([0.018, 0.022, 0.010]) * s, o.hair)
    elif o.hair_style == "bun":
        path = np.array([spot(0.062, -0.03, 0, 0), spot(0.075, -0.032, 0, 0)])
        sight.brush.tube(path, np.array([0.026, 0.026]) * s, o.hair)
