"""The dancer's landmarks and the crop, drawn over a frame of the source."""

import cv2
import numpy as np

from pipeline.analysis.pose import MAIN

# mediapipe's numbering: the person's left is odd, right is even.
LEFT = [(11, 13), (13, 15), (11, 23), (23, 25), (25, 27), (27, 31)]
RIGHT = [(12, 14), (14, 16), (12, 24), (24, 26), (26, 28), (28, 32)]
MIDDLE = [(11, 12), (23, 24)]
COLOURS = ((LEFT, (255, 176, 64)), (RIGHT, (64, 160, 255)), (MIDDLE, (240, 240, 240)))  # BGR: blue, orange, white
VISIBLE = 0.3  # a joint below this visibility is a guess
SHADE = 0.45  # brightness outside the crop


def draw_pose(
    picture: np.ndarray,
    scale: float,
    landmarks: np.ndarray | None,
    corner: np.ndarray | None,
    size: np.ndarray,
) -> np.ndarray:
    """A copy of the picture with the crop's frame, its outside shaded, and the skeleton.

    Args:
        picture: (height, width, 3) uint8, BGR.
        scale: Pixels of `picture` per pixel of the source.
        landmarks: (33, 4) x, y, z, visibility in source pixels, or None where the dancer is not known.
        corner: (2,) upper left corner of the crop in source pixels, or None where there is none.
        size: (2,) The crop's width and height in source pixels.
    """
    drawn = picture.copy()
    if corner is not None:
        (x0, y0), (x1, y1) = (np.round((np.asarray(corner) + d) * scale).astype(int) for d in (0, size))
        drawn = (drawn * SHADE).astype(np.uint8)
        inside = slice(max(y0, 0), max(y1, 0)), slice(max(x0, 0), max(x1, 0))
        drawn[inside] = picture[inside]
        cv2.rectangle(drawn, (int(x0), int(y0)), (int(x1) - 1, int(y1) - 1), (120, 255, 160), 2, cv2.LINE_AA)
    if landmarks is not None:
        _skeleton(drawn, landmarks, scale)
    return drawn


def _skeleton(drawn: np.ndarray, landmarks: np.ndarray, scale: float) -> None:
    points = [(round(float(x)), round(float(y))) for x, y in landmarks[:, :2] * scale]
    seen = landmarks[:, 3] >= VISIBLE
    for bones, colour in COLOURS:
        for a, b in bones:
            if seen[a] and seen[b]:
                cv2.line(drawn, points[a], points[b], (0, 0, 0), 4, cv2.LINE_AA)
                cv2.line(drawn, points[a], points[b], colour, 2, cv2.LINE_AA)
    for joint in MAIN:
        if seen[joint]:
            cv2.circle(drawn, points[joint], 4, (0, 0, 0), -1, cv2.LINE_AA)
            cv2.circle(drawn, points[joint], 3, (120, 255, 160), -1, cv2.LINE_AA)
