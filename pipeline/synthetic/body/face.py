"""A head that turns: hair, face, eyes, brows, nose and mouth lie on a solid and are seen foreshortened."""

from collections.abc import Callable

import numpy as np

from pipeline.synthetic.body.brush import Array, Brush, Colour, shade
from pipeline.synthetic.body.outfit import Outfit

WIDTH, HEIGHT, DEPTH = 0.0455, 0.068, 0.056  # half axes of the head in standing heights
Place = Callable[[Array], Array]  # head coordinates (n, 3) -> pixels right, down and towards the viewer (n, 3)


def _jaw(y: Array) -> Array:
    """Width of the head against its widest, falling towards the chin."""
    return np.where(y < 0.0, 1 - 0.42 * np.clip(-y / HEIGHT, 0, 1) ** 1.6, 1.0)


def surface(x: Array, y: Array, out: float = 1.0) -> Array:
    """Points of the face at (x, y) in head coordinates: (n,) each -> (n, 3)."""
    inside = 1 - (x / (WIDTH * _jaw(y))) ** 2 - (y / HEIGHT) ** 2
    return np.stack([x, y, out * DEPTH * np.sqrt(np.clip(inside, 0.02, 1))], axis=-1)


def _solid() -> tuple[Array, Array]:
    """Points all over the head (n, 3) and their outward directions."""
    v, u = np.meshgrid(np.linspace(-np.pi, np.pi, 36, endpoint=False), np.linspace(-1.5, 1.5, 19))
    y = HEIGHT * np.sin(u)
    x, z = WIDTH * _jaw(y) * np.cos(u) * np.sin(v), DEPTH * np.cos(u) * np.cos(v)
    points = np.stack([x, y, z], axis=-1).reshape(-1, 3)
    outward = points / np.array([WIDTH, HEIGHT, DEPTH]) ** 2
    return points, outward / np.linalg.norm(outward, axis=1, keepdims=True)


POINTS, OUTWARD = _solid()
# The face is what lies below the hairline (high over the brow, low at the ears) and before the ears.
BEFORE_EARS = POINTS[:, 2] > -0.012 - 0.4 * np.minimum(POINTS[:, 1], 0)
CHIN = POINTS[:, 1] < -0.03
# Landmarks of the face in head coordinates, left of the person at +x.
# A detector marks the nose a little above the drawn tip.
NOSE = np.array([0.0, -0.014, DEPTH + 0.012])
EYE_X, EYE_Y, MOUTH_Y = 0.0185, 0.004, -0.034


def _arc(x: float, y: float, half: float, rise: float, count: int = 7) -> Array:
    """A bowed line across the face: (count, 3), `rise` high in its middle."""
    s = np.linspace(-1, 1, count)
    return surface(x + half * s, y + rise * (1 - s**2))


def _lens(x: float, y: float, half: float, up: float, down: float) -> Array:
    """An almond on the face: (n, 3)."""
    return np.concatenate([_arc(x, y, half, up), _arc(x, y, half, -down)[::-1]])


def landmarks() -> dict[str, Array]:
    """Places of nose, eyes, ears and mouth in head coordinates, (3,) each."""
    places = {"nose": NOSE, "nose_mark": NOSE + np.array([0.0, 0.008, 0.0])}
    for side, sign in {"left": 1.0, "right": -1.0}.items():
        for name, x in {"eye_inner": 0.010, "eye": EYE_X, "eye_outer": 0.027}.items():
            places[f"{side}_{name}"] = surface(np.array([sign * x]), np.array([EYE_Y]))[0]
        places[f"{side}_ear"] = np.array([sign * WIDTH * 1.04, -0.004, -0.004])
        places[f"mouth_{side}"] = surface(np.array([sign * 0.0165]), np.array([MOUTH_Y]))[0]
    return places


def paint_head(brush: Brush, place: Place, scale: float, outfit: Outfit, blink: float, smile: float) -> None:
    """Skull, hair, ears and, where it looks at the viewer, the face."""
    head = place(POINTS)[:, :2]
    centre = head.mean(axis=0)
    seen = place(np.concatenate([np.zeros((1, 3)), OUTWARD * 0.05]))
    facing = (seen[1:, 2] - seen[0, 2]) / (0.05 * scale)
    hair, skin = outfit.hair, outfit.skin
    grown = POINTS[~CHIN] * (1.16 if outfit.hair_style == "curly" else 1.07) + np.array([0, 0.003, -0.002])
    mass = place(grown)[:, :2]
    _layered(brush, mass, hair, centre)
    for sign in (-1.0, 1.0):
        ear = place(np.array([[sign * WIDTH * 1.02, -0.002, -0.006]]))[0]
        if ear[2] > seen[0, 2] - 0.022 * scale:
            brush.disc(ear[:2], 0.0115 * scale, shade(skin, 0.72))
            brush.disc(ear[:2] + np.array([-0.001, -0.001]) * scale, 0.009 * scale, shade(skin, 0.9))
    hairline = 0.044 - 0.8 * np.abs(POINTS[:, 0] - outfit.parting)
    visible = BEFORE_EARS & (POINTS[:, 1] < hairline) & (facing > 0.02)
    if visible.sum() >= 8:
        _layered(brush, head[visible], skin, head[visible].mean(axis=0))
        _features(brush, place, scale, outfit, blink, smile, seen[0, 2])


def _layered(brush: Brush, points: Array, colour: Colour, centre: Array) -> None:
    reach = np.abs(points - centre).max()
    for size, shift, brightness in ((1.0, 0, 0.74), (0.93, 0.03, 0.9), (0.82, 0.07, 0.98), (0.6, 0.14, 1.05)):
        brush.hull(
            centre + (points - centre) * size + np.array([-0.55, -0.83]) * shift * reach,
            shade(colour, brightness),
        )


def _features(
    brush: Brush, place: Place, scale: float, outfit: Outfit, blink: float, smile: float, middle: float
) -> None:
    """Eyes, brows, nose, cheeks and mouth, each only where its skin faces the viewer."""
    skin = outfit.skin

    def turned_away(x: float, y: float) -> bool:
        spot = place(surface(np.array([x]), np.array([y])))[0]
        return bool(spot[2] - middle < 0.014 * scale)

    for sign in (-1.0, 1.0):
        if turned_away(sign * EYE_X * 1.25, EYE_Y):
            continue
        cheek = place(_lens(sign * 0.024, -0.018, 0.010, 0.007, 0.007))[:, :2]
        brush.polygon(cheek, tuple(0.86 * s + 0.14 * c for s, c in zip(skin, (120, 110, 235))))  # type: ignore[arg-type]
        _eye(brush, place, scale, outfit, sign, blink)
    if turned_away(0.0, MOUTH_Y * 0.6):
        return
    _nose(brush, place, scale, skin)
    red = outfit.lips
    lip: Colour = tuple(s * 0.80 * (1 - red) + red * c for s, c in zip(skin, (92, 84, 190)))  # type: ignore[assignment]
    bow = -0.0035 - 0.003 * smile
    upper = _arc(0, MOUTH_Y, 0.0165, bow - 0.0005)
    brush.polygon(place(np.concatenate([_arc(0, MOUTH_Y, 0.0165, bow + 0.0045), upper[::-1]]))[:, :2], shade(lip, 0.86))
    lower = _arc(0, MOUTH_Y, 0.0155, bow - 0.0055 - 0.005 * smile)
    inside: Colour = (235, 238, 242) if smile > 0.45 else shade(lip, 0.55)
    brush.polygon(place(np.concatenate([upper, lower[::-1]]))[:, :2], inside)
    rim = _arc(0, MOUTH_Y, 0.0135, bow - 0.0100 - 0.005 * smile)
    brush.polygon(place(np.concatenate([lower, rim[::-1]]))[:, :2], lip)
    brush.line(place(upper)[:, :2], 0.0016 * scale, shade(lip, 0.5))


def _eye(brush: Brush, place: Place, scale: float, outfit: Outfit, sign: float, blink: float) -> None:
    x, open_ = sign * EYE_X, 1 - blink
    socket = place(_lens(x, EYE_Y + 0.001, 0.0118, 0.0085, 0.0065))[:, :2]
    brush.polygon(socket, shade(outfit.skin, 0.86))
    if open_ > 0.3:
        brush.polygon(place(_lens(x, EYE_Y, 0.0098, 0.0062 * open_, 0.0046 * open_))[:, :2], (240, 242, 244))
        iris = place(surface(np.array([x]), np.array([EYE_Y + 0.0006])))[0, :2]
        brush.disc(iris, 0.0046 * scale, outfit.eyes)
        brush.disc(iris, 0.0024 * scale, (18, 14, 14))
        brush.disc(iris + np.array([-0.0014, -0.0016]) * scale, 0.0011 * scale, (250, 250, 250))
    lid = place(_arc(x, EYE_Y, 0.0106, 0.0064 * open_ - 0.002 * blink))[:, :2]
    brush.line(lid, 0.0024 * scale, shade(outfit.hair, 0.5))
    brow = np.concatenate([_arc(x * 1.05, 0.0185, 0.0120, 0.0040), _arc(x * 1.05, 0.0155, 0.0120, 0.0036)[::-1]])
    brush.polygon(place(brow)[:, :2], shade(outfit.hair, 0.7))


def _nose(brush: Brush, place: Place, scale: float, skin: Colour) -> None:
    ridge = np.array([[0, 0.004, DEPTH + 0.001], [0, -0.006, DEPTH + 0.007], NOSE - [0, 0, 0.004]])
    line = place(ridge)[:, :2]
    shadow = line + np.array([0.0022, 0.0014]) * scale
    dark: tuple[tuple[float, float, float], ...] = ((1.0, 0.0, 0.84),)
    brush.tube(shadow, np.array([0.003, 0.0048, 0.0078]) * scale, skin, dark)
    brush.tube(line, np.array([0.003, 0.0045, 0.0070]) * scale, skin, ((1.0, 0, 0.97), (0.55, 0.25, 1.10)))
    for sign in (-1.0, 1.0):
        nostril = place(np.array([[sign * 0.0042, -0.0185, DEPTH + 0.008]]))[0, :2]
        brush.disc(nostril, 0.0016 * scale, shade(skin, 0.45))
