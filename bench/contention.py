"""What a training step and a generation call cost beside other work, by how long OpenMP's threads spin.

    python bench/contention.py [--settings longdance,1000,10000,passive,default] [--rounds 2]

Each setting is a process of its own, which computes alone, beside one and beside two processes that do nothing but
keep a core busy. All settings must give the same weights and the same latents. The least of all rounds counts: others
use this machine, too. Exit 1 if they differ, or if what longdance sets is slower than the bounds below.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from data_catalog.base.openmp import SETTINGS, SPINS

ALONE, BESIDE = 1.15, 2.7
"""At most so many times what OpenMP's own default takes alone: alone, and beside busy processes."""
BUSY = (0, 1, 2)
STEPS, CALLS = 3, 2
NAMED: dict[str, dict[str, str | None]] = {
    "default": {"GOMP_SPINCOUNT": None},
    "longdance": {},
    "passive": {"OMP_WAIT_POLICY": "PASSIVE"},
}


def environment(setting: str, threads: int) -> dict[str, str]:
    """A child's: of a name of NAMED, or a number of spins."""
    values = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    given = NAMED.get(setting, {"GOMP_SPINCOUNT": setting})
    return values | {"OMP_NUM_THREADS": str(threads)} | {name: value for name, value in given.items() if value}


def child(spins: bool) -> None:
    """Answer each line on standard input with the seconds of a step and of a call; at its end, with a hash of both."""
    if not spins:
        os.environ["OMP_WAIT_POLICY"] = "active"  # keeps longdance from setting anything; taken back at once
    import model  # noqa: F401

    if not spins:
        del os.environ["OMP_WAIT_POLICY"]
    import torch

    from bench.train_step import bare_step, median_of, random_data
    from model.config import train_config
    from model.network.conditioning import get_hint_noise
    from model.network.objective import Objective
    from model.runs.init_weights import initial_network
    from model.training.validation import bank_windows, sample_window, window_sampling

    device = torch.device("cpu")
    config = train_config("extrapolation", "tiny", batch=2)
    width, height = (side // config.encode.patch for side in config.encode.size)
    shape = config.encode.channels, width, height
    with tempfile.TemporaryDirectory() as scratch:
        split = random_data(Path(scratch), config, shape)
        network = initial_network(config, shape[0], 32)
        item = bank_windows(split.train, config.stage, 1)[0]
        step = bare_step(config, split, network, device)
        digest = hashlib.sha256()
        prediction = Objective(network.config.prediction_type, get_hint_noise("uniform-0.7")).prediction

        def call() -> None:
            text = torch.zeros(1, 32)
            made = sample_window(network, prediction, item, lambda _: text, window_sampling(config), device)
            digest.update(made.numpy().tobytes())

        print(flush=True)
        for _ in sys.stdin:
            network.train()
            seconds = [median_of(step, STEPS, device)]
            network.eval()
            print(json.dumps([*seconds, median_of(call, CALLS, device)]), flush=True)
        for parameter in network.parameters():
            digest.update(parameter.detach().numpy().tobytes())
    print(json.dumps(digest.hexdigest()))


@contextmanager
def busy(count: int) -> Iterator[None]:
    """Within it so many processes keep a core busy each."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def measure(setting: str, threads: int) -> tuple[list[list[float]], str]:
    """Seconds of a step and a call for each count of BUSY, and the hash of what was computed."""
    command = [sys.executable, __file__, "--child", str(int(setting != "default"))]
    with subprocess.Popen(
        command, env=environment(setting, threads), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        times = []
        for count in BUSY:
            with busy(count):
                process.stdin.write("\n")
                process.stdin.flush()
                times.append(json.loads(process.stdout.readline()))
        process.stdin.close()
        return times, json.loads(process.stdout.readline())


def main() -> None:
    """Print seconds by setting; exit 1 if a bound is broken or results differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--settings", default="longdance,1000,10000,passive,default")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--child", type=int)
    options = parser.parse_args()
    if options.child is not None:
        child(bool(options.child))
        return
    found: dict[str, list[list[list[float]]]] = defaultdict(list)
    hashes: set[str] = set()
    for _ in range(options.rounds):
        for setting in options.settings.split(","):
            times, digest = measure(setting, options.threads)
            found[setting].append(times)
            hashes.add(digest)
    print(f"longdance sets GOMP_SPINCOUNT={SPINS}; {options.threads} threads; seconds beside 0, 1, 2 busy processes")
    least = {
        setting: [[min(each[place][what] for each in rounds) for place in range(len(BUSY))] for what in (0, 1)]
        for setting, rounds in found.items()
    }
    for setting, (steps, calls) in least.items():
        shown = [" ".join(f"{value:6.3f}" for value in values) for values in (steps, calls)]
        print(f"{setting:>10}: step {shown[0]}   call {shown[1]}")
    print("same weights and latents under all settings" if len(hashes) == 1 else f"results differ: {hashes}")
    sys.exit(int(len(hashes) > 1 or ({"default", "longdance"} <= least.keys() and not within(least))))


def within(least: dict[str, list[list[float]]]) -> bool:
    """Whether what longdance sets keeps the bounds; prints how many times the default alone each takes."""
    kept = True
    for what, name in enumerate(("step", "call")):
        today = least["default"][what][0]
        ratios = [value / today for value in least["longdance"][what]]
        kept &= ratios[0] <= ALONE and max(ratios[1:]) <= BESIDE
        said = ", ".join(f"{ratio:.2f}" for ratio in ratios)
        print(f"a {name} over the default's alone: {said} (at most {ALONE}, {BESIDE}, {BESIDE})")
    return kept


if __name__ == "__main__":
    main()
