"""Real footage, which is not part of the project: $LONGDANCE_FOOTAGE names its folder."""

import os
from pathlib import Path

import pytest


def footage() -> Path:
    """The folder of real videos. Skips the test where there is none."""
    folder = os.environ.get("LONGDANCE_FOOTAGE")
    if not folder:
        pytest.skip("LONGDANCE_FOOTAGE names no folder of real videos")
    return Path(folder)
