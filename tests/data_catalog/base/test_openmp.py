"""Whatever computes sets how long OpenMP's threads spin, before torch is there; the user's own environment wins."""

import os
import subprocess
import sys

import pytest

from data_catalog.base.openmp import SETTINGS, SPINS, spin_briefly
from flows.children import SCORING, TRAINING


@pytest.mark.parametrize("name", SETTINGS)
def test_what_the_user_set_wins(name):
    environment = {name: "anything"}
    spin_briefly(environment)
    assert environment == {name: "anything"}


@pytest.mark.parametrize("module", ["flows", "model", TRAINING, SCORING, "flows.cli", "model.rollout.generate"])
def test_every_entry_sets_it_before_torch_is_imported(module):
    """A finder that is asked for torch tells what the environment says then; without torch, at the end."""
    code = f"""
import importlib, os, sys
class Told:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            print(os.environ.get("GOMP_SPINCOUNT")); sys.stdout.flush(); os._exit(0)
sys.meta_path.insert(0, Told())
importlib.import_module({module!r})
print(os.environ.get("GOMP_SPINCOUNT"))
"""
    environment = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    command = [sys.executable, "-c", code]
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    assert told.split() == [SPINS]
