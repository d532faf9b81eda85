"""The weights that `make demo` begins with: tiny networks, taught on drawn dancers alone, one for hours.

    python tools/showcase.py             # into showcase-work/; run it again and it resumes
    python tools/showcase.py --dry-run   # the commands alone

One core, an hour and a half where nothing else runs. The dancers are of another seed than the demo's: the demo's own
are new to it. The result, `showcase/`, is what the repository holds: float16 weights with their codec, and
origin.json, which says from how many steps, of which seed, data and sources, with which sha256. In
`showcase/choreographer` lie those of a choreographer, which has learnt the dances of the same clips.
"""

import argparse
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))  # found whether or not PYTHONSAFEPATH is set

from steps import NO_HANDS, SHOWCASE_BODY, Step, run_steps

SETTINGS = {
    "steps": 3000, "batch": 4, "holdout": 0, "timestep_shift": 3, "sample_temperature": 0, "sample_steps": 2,
    "encode.picture": 128, "encode.patch": 8, "encode.channels": 64,
    "network.block_out_channels": "[48,64,96]", "ema": 0.998, "checkpoint_every": 100,
    "validate_every": 1_000_000, "sample_every": 1000,
}  # fmt: skip
DANCES = {
    "steps": 800,
    "batch": 32,
    "holdout": 0,
    "learning_rate": 2e-3,
    "warmup": 100,
    "ema": 0.99,
    "network.width": 96,
    "network.layers": 3,
    "validate_every": 1_000_000,
}
"""Of the choreographer: longer, and it learns 46 clips by heart."""
STANDING = "--set=crop.steady=false"
"""The weights were taught on clips from before cameras were held still."""


def settings(values: Mapping[str, object]) -> tuple[str, ...]:
    """As they are typed."""
    return tuple(f"--set={name}={value}" for name, value in values.items())


def steps_of(out: Path, weights: Path, videos: int, seed: int) -> list[Step]:
    """Draw, build, train, export."""
    raw, data, run = f"{out}/raw", f"{out}/data", f"{out}/run"
    dances = f"{out}/dances"
    return [
        Step("synth", "draws raw videos of dancers", ("synth", raw, "--videos", str(videos), "--seed", str(seed))),
        Step(
            "build",
            "makes clips of them",
            ("build", raw, "--data", data, "--variants", "0", SHOWCASE_BODY, NO_HANDS, STANDING),
        ),
        Step(
            "train star",
            "teaches a network that is told the dance",
            ("train", "star", "--data", data, "--run", run, *settings(SETTINGS)),
        ),
        Step(
            "train choreographer",
            "teaches a small network how they dance",
            ("train", "choreographer", "--data", data, "--run", dances, *settings(DANCES)),
        ),
        Step("export", "stores the weights", ("export", "--run", run, "--out", str(weights), "--half")),
        Step(
            "export",
            "and the choreographer's",
            ("export", "--run", dances, "--out", f"{weights}/choreographer", "--half"),
        ),
    ]


def main() -> None:
    """Run every step in order."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("showcase-work"))
    parser.add_argument("--weights", type=Path, default=Path("showcase"), help="a new folder; an old one is replaced")
    parser.add_argument("--videos", type=int, default=48)
    parser.add_argument("--seed", type=int, default=5026)
    parser.add_argument("--dry-run", action="store_true")
    options = parser.parse_args()
    steps = steps_of(options.out, options.weights, options.videos, options.seed)
    if options.dry_run:
        print("\n".join(step.command for step in steps))
        return
    run_steps(steps[:-2], options.out)
    shutil.rmtree(options.weights, ignore_errors=True)
    run_steps(steps[-2:], options.out)


if __name__ == "__main__":
    main()
