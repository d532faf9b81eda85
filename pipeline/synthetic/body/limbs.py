"""Legs, feet, arms and hands of a drawn dancer, with their share of the clothes."""

import numpy as np

from pipeline.synthetic.body.brush import Array, Colour, shade
from pipeline.synthetic.body.figure import Sight

THIGH_RADII = [0.046, 0.053, 0.050, 0.034]
LEG_RADII = [*THIGH_RADII, 0.035, 0.022]
ARM_RADII = [0.026, 0.0295, 0.0285, 0.0235, 0.0245, 0.0165]
HAND_LAYERS = ((1.0, 0.0, 0.70), (0.78, 0.1, 0.98))
PALM_LAYERS = ((1.0, 0.0, 0.76), (0.82, 0.1, 0.95), (0.5, 0.2, 1.03))
FLAT_LAYERS = ((1.0, 0.0, 0.8),)
FINGERS = ("index", "middle", "ring", "pinky")


def clip_path(path: Array, radii: Array, share: float) -> tuple[Array, Array]:
    """The first `share` of a limb's path (n, 2) and radii (n,), counted by joints."""
    position = np.linspace(0, 1, len(path))
    keep = position < share
    where = np.interp(share, position, np.arange(len(path)))
    low = min(int(where), len(path) - 2)
    part = where - low
    end = path[low] * (1 - part) + path[low + 1] * part
    width = radii[low] * (1 - part) + radii[low + 1] * part
    return np.concatenate([path[keep], [end]]), np.append(radii[keep], width)


def paint_leg(sight: Sight, side: str) -> None:
    """A leg from the belt to the sole: skin, sock, shoe and trousers."""
    o, s = sight.fig.outfit, sight.scale * sight.fig.body.bulk
    paint_foot(sight, side)
    ankle = sight.at(f"{side}_ankle")
    calf = sight.between(f"{side}_knee", f"{side}_ankle", 0.32)
    path = np.array([*_thigh(sight, side), calf, ankle])
    radii = np.array(LEG_RADII) * s
    if o.legs < 0.9:
        hidden = 2 if o.skirt > 0 else 0  # joints under a skirt, which is narrower than bare hips
        sight.brush.tube(path[hidden:], radii[hidden:], o.skin)
        sock = np.array([ankle, sight.between(f"{side}_knee", f"{side}_ankle", 0.80)])
        sight.brush.tube(sock, np.array([0.0245, 0.0262]) * s, o.socks, hem=True)
    if o.skirt == 0.0:
        cloth, widths = clip_path(path, radii, o.legs)
        loose = np.linspace(1.04, 1.04 + (o.wide - 1) * (1.6 if o.legs > 0.6 else 1.1), len(widths))
        sight.brush.tube(cloth, widths * loose + 0.002 * s, o.bottom, hem=True)


def paint_raised_thigh(sight: Sight, side: str) -> None:
    """A raised thigh again, in front of the hips."""
    o, s = sight.fig.outfit, sight.scale * sight.fig.body.bulk
    if o.skirt > 0:
        return
    path, radii = _thigh(sight, side), np.array(THIGH_RADII) * s
    if o.legs < 0.6:
        sight.brush.tube(path, radii, o.skin)
    cloth, widths = clip_path(path, radii, min(1.0, o.legs * 5 / 3))
    sight.brush.tube(cloth, widths * 1.06, o.bottom, hem=o.legs < 0.6)


def _thigh(sight: Sight, side: str) -> Array:
    """Belt, hip, middle of the thigh and knee in pixels; the start lies under the belt."""
    hip = sight.at(f"{side}_hip")
    start = hip + 0.30 * (sight.at("waist") - sight.at("pelvis")) + 0.1 * (sight.at("pelvis") - hip)
    return np.array([start, hip, sight.between(f"{side}_hip", f"{side}_knee", 0.4), sight.at(f"{side}_knee")])


def paint_foot(sight: Sight, side: str) -> None:
    """A shoe with its sole."""
    o, s = sight.fig.outfit, sight.scale
    line = np.array([sight.at(f"{side}_{part}") for part in ("heel", "ball", "toe")])
    white: Colour = (225, 225, 228)
    sight.brush.tube(line + np.array([0, 0.006 * s]), np.array([0.021, 0.023, 0.016]) * s, white, FLAT_LAYERS)
    instep = np.array([sight.at(f"{side}_ankle"), sight.at(f"{side}_ball")])
    sight.brush.tube(instep, np.array([0.023, 0.018]) * s, o.shoes)
    sight.brush.tube(line, np.array([0.021, 0.023, 0.017]) * s, o.shoes)


def paint_arm(sight: Sight, side: str) -> None:
    """An arm from the shoulder to the finger tips, with its sleeve."""
    o, s = sight.fig.outfit, sight.scale * sight.fig.body.bulk
    shoulder, elbow, wrist = (sight.at(f"{side}_{n}") for n in ("shoulder", "elbow", "wrist"))
    # The round of the shoulder lies below its joint: no padded shoulders.
    shoulder = shoulder - 0.012 * sight.scale * sight.axes("chest")[:2, 1]
    inside = shoulder + 0.22 * (sight.at("neck") - shoulder)
    path = np.array(
        [inside, shoulder * 0.94 + elbow * 0.06, shoulder * 0.6 + elbow * 0.4, elbow, elbow * 0.7 + wrist * 0.3, wrist]
    )
    radii = np.array(ARM_RADII) * s
    paint_hand(sight, side)
    if o.sleeve < 0.9:
        sight.brush.tube(path, radii, o.skin)
    if o.sleeve > 0:
        cloth, widths = clip_path(path, radii, o.sleeve)
        sight.brush.tube(cloth, widths * np.linspace(1.02, 1.2, len(widths)) + 0.001 * s, o.top, hem=True)
        if o.pattern == "stripes" and o.sleeve > 0.9:
            cuff, ends = clip_path(path[::-1], radii[::-1], 0.08)
            sight.brush.tube(cuff, ends * 1.2, o.trim)


def paint_forearm(sight: Sight, side: str) -> None:
    """A far arm's forearm again, where it crosses in front of the trunk."""
    o, s = sight.fig.outfit, sight.scale * sight.fig.body.bulk
    elbow, wrist = sight.at(f"{side}_elbow"), sight.at(f"{side}_wrist")
    paint_hand(sight, side)
    path = np.array([elbow, elbow * 0.7 + wrist * 0.3, wrist])
    covered = o.sleeve > 0.9
    radii = np.array(ARM_RADII[-3:]) * s * (1.14 if covered else 1.0)
    sight.brush.tube(path, radii, o.top if covered else o.skin)


def paint_hand(sight: Sight, side: str) -> None:
    """Thumb, fingers and palm, the far finger first."""
    o, s = sight.fig.outfit, sight.scale
    tube, wrist = sight.brush.tube, sight.at(f"{side}_wrist")
    thumb = np.array([wrist, sight.at(f"{side}_thumb"), sight.at(f"{side}_thumb_tip")])
    tube(thumb, np.array([0.012, 0.0085, 0.006]) * s, o.skin, HAND_LAYERS)
    near_first = sight.depth(f"{side}_index") > sight.depth(f"{side}_pinky")
    for finger in FINGERS[::-1] if near_first else FINGERS:
        ends = np.array([sight.at(f"{side}_{finger}"), sight.at(f"{side}_{finger}_tip")])
        tube(ends, np.array([0.0085, 0.0062]) * s, o.skin, HAND_LAYERS)
    palm = np.array([wrist, sight.at(f"{side}_middle"), sight.at(f"{side}_ring")])
    tube(palm, np.array([0.0165, 0.0175, 0.0165]) * s, shade(o.skin, 0.99), PALM_LAYERS)
