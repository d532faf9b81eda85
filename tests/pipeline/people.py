"""People made by hand: landmarks of a standing figure, and figures that move."""

import numpy as np

# x, y of each landmark of a frontal figure, in heights, from the middle between the feet; the person's left is at
# the picture's right.
FIGURE = np.array([
    (0, -0.93), (0.01, -0.95), (0.015, -0.95), (0.02, -0.95), (-0.01, -0.95), (-0.015, -0.95), (-0.02, -0.95),
    (0.04, -0.94), (-0.04, -0.94), (0.01, -0.91), (-0.01, -0.91), (0.10, -0.81), (-0.10, -0.81), (0.14, -0.64),
    (-0.14, -0.64), (0.15, -0.49), (-0.15, -0.49), (0.15, -0.46), (-0.15, -0.46), (0.16, -0.45), (-0.16, -0.45),
    (0.14, -0.46), (-0.14, -0.46), (0.05, -0.53), (-0.05, -0.53), (0.05, -0.29), (-0.05, -0.29), (0.05, -0.05),
    (-0.05, -0.05), (0.05, -0.02), (-0.05, -0.02), (0.07, 0.0), (-0.07, 0.0),
])  # fmt: skip


def person(x: float, y: float, height: float, visibility: float = 0.9) -> np.ndarray:
    """(33, 4) landmarks of somebody who stands with the feet at (x, y), in pixels."""
    points = FIGURE * height + [x, y]
    return np.concatenate([points, np.zeros((33, 1)), np.full((33, 1), visibility)], 1)


def dance(frames: int, x: float, y: float, height: float, swing: float = 0.1, seed: int = 0) -> np.ndarray:
    """(frames, 33, 4): a figure that sways, `swing` heights to either side, and moves its arms."""
    rng = np.random.default_rng(seed)
    t = np.arange(frames)
    phases = rng.uniform(0, 2 * np.pi, 3)
    sway = swing * height * np.sin(t / 15 + phases[0])
    found = np.stack([person(x + dx, y, height) for dx in sway])
    for joints, phase in (([13, 15, 17, 19, 21], phases[1]), ([14, 16, 18, 20, 22], phases[2])):
        found[:, joints, 1] -= (0.15 * height * (1 + np.sin(t / 7 + phase)))[:, None]
    return found
