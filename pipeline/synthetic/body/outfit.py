"""What a dancer looks like: skin, hair and clothes, drawn at random."""

from dataclasses import dataclass

import numpy as np

from pipeline.synthetic.body.brush import Colour

SKIN: tuple[Colour, ...] = (
    (178, 205, 238), (158, 188, 228), (132, 170, 216), (108, 148, 198), (78, 112, 166),
    (60, 86, 132), (46, 64, 100),
)  # fmt: skip
HAIR: tuple[Colour, ...] = (
    (28, 24, 26), (34, 42, 62), (30, 54, 92), (52, 92, 142), (112, 172, 214), (38, 58, 140), (150, 150, 156),
)  # fmt: skip
CLOTH: tuple[Colour, ...] = (
    (48, 52, 196), (60, 120, 232), (70, 196, 236), (92, 166, 70), (170, 170, 40), (190, 110, 44),
    (150, 60, 96), (176, 110, 224), (232, 232, 236), (60, 56, 58), (140, 140, 148), (110, 80, 40),
    (120, 200, 160), (200, 180, 240),
)  # fmt: skip
TROUSERS: tuple[Colour, ...] = (
    (96, 62, 38), (140, 96, 62), (52, 48, 50), (90, 110, 128), (150, 160, 176), (70, 70, 140), (84, 104, 72),
    (190, 190, 196), (120, 70, 110),
)  # fmt: skip
SHOES: tuple[Colour, ...] = ((240, 240, 242), (50, 46, 48), (60, 60, 200), (190, 130, 50), (90, 200, 230))


@dataclass(frozen=True)
class Outfit:
    """Colours and cuts; lengths are shares of the limb that the cloth covers."""

    skin: Colour
    hair: Colour
    hair_style: str  # short, bob, long, tail, bun, curly
    parting: float  # where the hair parts, in standing heights to the person's left
    eyes: Colour
    lips: float  # redness of the lips, 0 to 1
    top: Colour
    trim: Colour
    pattern: str  # plain, stripes, emblem, open
    sleeve: float  # 0 none, 0.35 short, 1 long
    bare_waist: bool
    bottom: Colour
    legs: float  # share of the leg in trousers: 0.35 shorts, 0.8 cropped, 1 long
    wide: float  # how loose the trousers are
    skirt: float  # length of a skirt over the leg, 0 for none
    shoes: Colour
    socks: Colour


def random_outfit(rng: np.random.Generator) -> Outfit:
    """Clothes whose top and bottom differ."""

    def pick(colours: tuple[Colour, ...]) -> Colour:
        base = np.array(colours[rng.integers(len(colours))])
        b, g, r = np.clip(base * rng.uniform(0.9, 1.1) + rng.normal(0, 6, 3), 12, 246)
        return (float(b), float(g), float(r))

    skirted = rng.random() < 0.22
    skin, top, bottom = pick(SKIN), pick(CLOTH), pick(TROUSERS)
    while sum(abs(a - b) for a, b in zip(top, bottom)) < 90:
        bottom = pick(TROUSERS)
    styles = ["long", "tail", "bun", "bob"] if skirted else ["short", "short", "curly", "tail", "bob", "long", "bun"]
    return Outfit(
        skin=skin,
        hair=pick(HAIR if skin[1] > 120 else HAIR[:3]),
        hair_style=str(rng.choice(styles)),
        parting=float(rng.choice([0.0, -0.014, 0.014])),
        eyes=((70, 50, 30), (40, 70, 110), (150, 110, 60), (80, 120, 90))[rng.integers(4)],
        lips=float(rng.uniform(0.2, 0.9)),
        top=top,
        trim=pick(CLOTH),
        pattern=str(rng.choice(["plain", "plain", "stripes", "emblem", "open"])),
        sleeve=float(rng.choice([0.0, 0.46, 0.52, 1.0, 1.0])),
        bare_waist=bool(rng.random() < 0.2),
        bottom=bottom,
        legs=0.3 if skirted else float(rng.choice([0.48, 0.84, 1.0, 1.0])),
        wide=float(rng.uniform(1.0, 1.3)),
        skirt=float(rng.uniform(0.32, 0.75)) if skirted else 0.0,
        shoes=pick(SHOES),
        socks=pick(CLOTH) if rng.random() < 0.4 else (228, 228, 230),
    )
