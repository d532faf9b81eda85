"""How long OpenMP's threads spin before they sleep, set before a library that computes with them is imported.

A thread that waits for the others of its team spins, by default for milliseconds. Beside any other work on the machine
that keeps the very core busy which the others wait for; `bench/contention.py` prints how much longer a step takes.
"""

import os
from collections.abc import MutableMapping

SPINS = "800"
"""Turns of the loop before a thread sleeps: few beside other work, and enough to meet a team that is nearly done."""
SETTINGS = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
"""Variables by which a user says the same; any of them wins."""


def spin_briefly(environment: MutableMapping[str, str] = os.environ) -> None:
    """Set it here and for every child. It has no effect where torch is imported already."""
    if not any(name in environment for name in SETTINGS):
        environment["GOMP_SPINCOUNT"] = SPINS
