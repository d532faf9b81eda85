"""What the synthetic videos of a set show: sizes, rates, cuts and planted faults, from a seed."""

from fractions import Fraction

import numpy as np
import pydantic

from pipeline.synthetic.footage import CROP_HEIGHTS

# In the order in which a growing set of videos meets them.
FAULTS = (
    "pan", "leaves", "zoom", "cuts", "shake", "two_dancers", "rotated", "no_dancer", "variable_rate", "tiny",
    "short", "frozen", "dark", "blurred", "duplicated", "slow_rate",
)  # fmt: skip
PORTRAIT = ((540, 960), (720, 1280), (576, 1024), (480, 854))
OTHER = ((960, 540), (854, 480), (1280, 720), (640, 640), (720, 720))
RATES = ("30", "30000/1001", "24", "25", "30", "60", "50", "24000/1001")


class SynthVideo(pydantic.BaseModel, frozen=True):
    """What one video shows. Width, height and all truth are of the picture as displayed."""

    name: str = "dancer"
    seed: int = 0
    width: int = 540
    height: int = 960
    fps: str = "30"
    frames: int = 240  # places for frames at `fps`; a variable rate leaves some of them empty
    fault: str | None = None
    rotation: int = 0  # degrees clockwise that a player must turn the stored picture
    cuts: tuple[int, ...] = ()  # frames at which a new shot starts
    standing: float = 0.34  # standing height over the picture's height
    sound: bool = True  # music on the beats that are danced on

    @property
    def rate(self) -> Fraction:
        """Frames per second."""
        return Fraction(self.fps)

    @property
    def stride(self) -> int:
        """Source frames per clip frame: above 40 frames/s every second one is taken."""
        return 2 if self.rate > 40 else 1


def plan_videos(videos: int, seed: int) -> list[SynthVideo]:
    """Specs of a set of videos: every third one from the fourth on carries a fault, each kind in turn.

    A longer set of the same seed begins with the shorter one.
    """
    return [_plan(seed, index) for index in range(videos)]


def _plan(seed: int, index: int) -> SynthVideo:
    rng = np.random.default_rng([seed, index])
    fault = FAULTS[(index // 3 - 1) % len(FAULTS)] if index >= 3 and index % 3 == 0 else None
    sizes = PORTRAIT if rng.random() < 0.55 else OTHER
    width, height = sizes[rng.integers(len(sizes))]
    if rng.random() < 0.125 and fault not in ("blurred", "leaves"):
        width, height = 1080, 1920
    fps = str(RATES[rng.integers(len(RATES))])
    if fault in ("duplicated", "slow_rate", "variable_rate"):
        fps = {"duplicated": "30", "slow_rate": "15", "variable_rate": "30"}[fault]
    stride = 2 if Fraction(fps) > 40 else 1
    frames = int(rng.integers(200, 360 if fault == "leaves" else 421))
    cuts: tuple[int, ...] = ()
    if fault == "leaves":
        frames = max(frames, 290)
    if fault == "short":
        frames = int(rng.integers(60, 170))
    if fault == "cuts":
        lengths = rng.permutation([rng.integers(190, 260), rng.integers(50, 150), rng.integers(185, 240)])
        lengths = lengths[: rng.integers(2, 4)]
        frames, cuts = int(lengths.sum()), tuple(int(c) * stride for c in np.cumsum(lengths)[:-1])
    return SynthVideo(
        name=f"synth_{seed}_{index:04d}",
        seed=int(np.random.SeedSequence([seed, index]).generate_state(1)[0]),
        width=width,
        height=height,
        fps=fps,
        frames=frames * stride,
        fault=fault,
        rotation=int(rng.choice([90, 180, 270])) if fault == "rotated" else 0,
        cuts=cuts,
        standing=round(_standing(rng, fault, width, height), 4),
        sound=bool(rng.random() < 0.9),
    )


def _standing(rng: np.random.Generator, fault: str | None, width: int, height: int) -> float:
    """A standing height, over the picture's, whose crop fits into the picture."""
    if fault == "tiny":
        return rng.uniform(60, 90) / height
    share = rng.uniform(0.31, 0.40) if height > width else rng.uniform(0.44, 0.58)
    share = min(share, width / (1.03 * CROP_HEIGHTS * height))
    return share * {"pan": 0.85, "zoom": 0.78, "shake": 0.92, "two_dancers": 0.85}.get(str(fault), 1.0)
