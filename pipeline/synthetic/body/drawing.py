"""Draws a dancer over a picture, from back to front, inside its bounding box only."""

import cv2
import numpy as np

from pipeline.synthetic.body.brush import Array, Brush, Picture
from pipeline.synthetic.body.dancer import SIDES
from pipeline.synthetic.body.figure import Figure, Sight
from pipeline.synthetic.body.limbs import paint_arm, paint_forearm, paint_leg, paint_raised_thigh
from pipeline.synthetic.body.trunk import paint_face, paint_hips, paint_long_hair, paint_trunk, paint_waistband

SHARP_SCALE = 480  # pixels of a standing height from which edges need no oversampling


def draw_figure(picture: Picture, fig: Figure, t: int, scale: float, origin: Array) -> None:
    """Paint frame t in place: `scale` pixels a standing height, `origin` where the floor's origin is seen."""
    height, width = picture.shape[:2]
    places = np.array([p[t, :2] for p in fig.seen.values()]) * scale + origin
    low, high = places.min(axis=0) - 0.13 * scale, places.max(axis=0) + 0.13 * scale
    x0, y0 = max(0, int(low[0])), max(0, int(low[1]))
    x1, y1 = min(width, int(high[0]) + 1), min(height, int(high[1]) + 1)
    if x0 >= x1 or y0 >= y1:
        return
    shadow(picture, fig, t, scale, origin)
    zoom = 2 if scale < SHARP_SCALE else 1
    region = np.ascontiguousarray(picture[y0:y1, x0:x1])
    if zoom > 1:
        region = np.asarray(cv2.resize(region, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_NEAREST), np.uint8)
    paint(Sight(fig, t, scale, origin, Brush(region, np.array([x0, y0], float), zoom)))
    if zoom > 1:
        region = np.asarray(cv2.resize(region, (x1 - x0, y1 - y0), interpolation=cv2.INTER_AREA), np.uint8)
    picture[y0:y1, x0:x1] = region


def paint(sight: Sight) -> None:
    """The parts of a figure in the order of their depth."""
    depth = sight.depth
    trunk = (depth("pelvis") + depth("waist") + depth("neck")) / 3
    legs = sorted(SIDES, key=lambda side: depth(f"{side}_knee") + 0.3 * depth(f"{side}_ankle"))
    arms = sorted(SIDES, key=lambda side: depth(f"{side}_elbow") + depth(f"{side}_wrist"))
    far = {side: depth(f"{side}_shoulder") < depth("neck") - 0.05 for side in SIDES}
    over_face = {side: depth(f"{side}_wrist") > depth("head") + 0.02 for side in SIDES}
    hair_behind = sight.axes("head")[2, 2] > -0.2
    for side in arms:
        if far[side]:
            paint_arm(sight, side)
    if hair_behind:
        paint_long_hair(sight)
    paint_hips(sight)
    for side in legs:
        paint_leg(sight, side)
    paint_waistband(sight)
    for side in legs:
        if depth(f"{side}_knee") > depth("pelvis") + 0.13:
            paint_raised_thigh(sight, side)
    paint_trunk(sight)
    for side in arms:
        if not far[side] and not over_face[side]:
            paint_arm(sight, side)
    paint_face(sight)
    if not hair_behind:
        paint_long_hair(sight)
    for side in arms:
        if not far[side] and over_face[side]:
            paint_arm(sight, side)
        elif far[side] and depth(f"{side}_wrist") > trunk + 0.04:
            paint_forearm(sight, side)


def shadow(picture: Picture, fig: Figure, t: int, scale: float, origin: Array) -> None:
    """Darken the floor under each foot, and softly between them."""
    height, width = picture.shape[:2]
    spots = np.array([fig.seen[f"{side}_ground"][t, :2] for side in SIDES]) * scale + origin
    middle, half = spots.mean(axis=0), np.ptp(spots[:, 0]) / 2 + 0.10 * scale
    x0, x1 = (int(np.clip(middle[0] + k * 2.2 * half, 0, width)) for k in (-1, 1))
    y0, y1 = (int(np.clip(middle[1] + k * 0.10 * scale, 0, height)) for k in (-1, 1))
    if x0 >= x1 or y0 >= y1:
        return
    x, y = np.arange(x0, x1, dtype=np.float32)[None, :], np.arange(y0, y1, dtype=np.float32)[:, None]
    blobs = [(middle, half, 0.038 * scale, 0.30), *((spot, 0.055 * scale, 0.022 * scale, 0.38) for spot in spots)]
    light = np.ones((y1 - y0, x1 - x0), np.float32)
    for centre, wide, deep, strength in blobs:
        fall = np.exp(-(((y - centre[1]) / deep) ** 2)) * np.exp(-(((x - centre[0]) / wide) ** 2))
        light *= 1 - np.float32(strength) * fall.astype(np.float32)
    patch = picture[y0:y1, x0:x1]
    patch[:] = cv2.multiply(patch, cv2.merge([light] * 3), dtype=cv2.CV_8U)
