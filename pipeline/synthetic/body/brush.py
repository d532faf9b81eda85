"""Paint for drawn figures: polygons, tapered tubes and stacks of rings, shaded as volumes."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Picture = NDArray[np.uint8]
Colour = tuple[float, float, float]  # blue, green, red, 0 to 255

_ANGLES = np.linspace(0, 2 * np.pi, 18, endpoint=False)
CIRCLE = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)
LIGHT_FROM = np.array([-0.55, -0.83])
# A volume is painted in nested layers: size, shift towards the light in radii, brightness.
LAYERS = (
    (1.0, 0.0, 0.66),
    (0.91, 0.05, 0.80),
    (0.76, 0.13, 0.92),
    (0.58, 0.21, 1.0),
    (0.32, 0.30, 1.07),
)
_SHIFT = 4  # cv2 takes coordinates in sixteenths of a pixel


def shade(colour: Colour, brightness: float) -> Colour:
    """A colour made darker (below 1) or drawn towards white (above 1)."""
    if brightness <= 1:
        return (colour[0] * brightness, colour[1] * brightness, colour[2] * brightness)
    white = min(1.0, brightness - 1)
    return tuple(c + (255 - c) * white for c in colour)  # type: ignore[return-value]


@dataclass
class Brush:
    """Paints on a region of a picture: points come in picture pixels, `zoom` region pixels each."""

    region: Picture
    corner: Array  # (2,) picture pixel at the region's top left
    zoom: int

    def _fixed(self, points: Array) -> NDArray[np.int32]:
        scaled = ((points - self.corner) * self.zoom + (self.zoom - 1) / 2) * (1 << _SHIFT)
        return np.rint(scaled).astype(np.int32)

    def _fill_hull(self, fixed: NDArray[np.int32], colour: Colour) -> None:
        cv2.fillConvexPoly(self.region, cv2.convexHull(fixed), colour, cv2.LINE_AA, _SHIFT)

    def hull(self, points: Array, colour: Colour) -> None:
        """Fill the convex hull of points (n, 2)."""
        self._fill_hull(self._fixed(points), colour)

    def polygon(self, points: Array, colour: Colour) -> None:
        """Fill a simple polygon (n, 2), convex or not."""
        cv2.fillPoly(self.region, [self._fixed(points)], colour, cv2.LINE_AA, _SHIFT)

    def disc(self, centre: Array, radius: float, colour: Colour) -> None:
        """Fill a circle."""
        size = round(radius * self.zoom * (1 << _SHIFT))
        x, y = (int(v) for v in self._fixed(centre))
        cv2.circle(self.region, (x, y), size, colour, -1, cv2.LINE_AA, _SHIFT)

    def line(self, points: Array, width: float, colour: Colour) -> None:
        """An open stroke through points (n, 2), `width` picture pixels wide."""
        thickness = max(1, round(width * self.zoom))
        fixed = [self._fixed(points)]
        cv2.polylines(self.region, fixed, False, colour, thickness, cv2.LINE_AA, _SHIFT)

    def tube(
        self,
        centres: Array,
        radii: Array,
        colour: Colour,
        layers: tuple[tuple[float, float, float], ...] = LAYERS,
        hem: bool = False,
    ) -> None:
        """A limb: circles of `radii` (n,) at `centres` (n, 2), neighbours joined, lit as a volume.

        With a `hem` the last end is cut flat, as cloth is, instead of round.
        """
        circles = CIRCLE * radii[:, None, None]
        if hem:
            axis = centres[-1] - centres[-2]
            axis = axis / max(float(np.hypot(*axis)), 1e-6)
            circles[-1] -= 0.7 * (circles[-1] @ axis)[:, None] * axis
        for size, shift, brightness in layers:
            paint = shade(colour, brightness)
            middles = centres + LIGHT_FROM * (shift * radii)[:, None]
            outlines = self._fixed(middles[:, None] + circles * size)
            for k in range(len(outlines) - 1):
                self._fill_hull(outlines[k : k + 2].reshape(-1, 2), paint)

    def stack(self, rings: Array, colour: Colour) -> None:
        """A trunk or skirt: outlines (n, points, 2) one above the other, neighbours joined, as a volume."""
        centres = rings.mean(axis=1, keepdims=True)
        reach = np.abs(rings - centres).max(axis=1, keepdims=True)
        for size, shift, brightness in LAYERS:
            paint = shade(colour, brightness)
            layer = centres + (rings - centres) * np.array([size, 1.0]) + LIGHT_FROM * shift * reach * [1, 0]
            outlines = self._fixed(layer)
            for k in range(len(outlines) - 1):
                self._fill_hull(outlines[k : k + 2].reshape(-1, 2), paint)
