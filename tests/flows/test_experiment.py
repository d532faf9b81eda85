"""An experiment's folder holds one experiment."""

from pathlib import Path

import pytest

from data_catalog.base.errors import LongdanceError
from flows.experiment import keep_settings

SETTINGS = {"run": "r", "checkpoint": "c", "data": "d", "steps": 100, "fraction": 0.1, "fit": {}}


def test_the_same_experiment_goes_on_and_another_is_refused_with_what_differs(tmp_path: Path) -> None:
    for _ in range(2):
        keep_settings(tmp_path / "out", SETTINGS)
    with pytest.raises(LongdanceError, match=r"steps: 100 before, 200 now.*name another --out"):
        keep_settings(tmp_path / "out", {**SETTINGS, "steps": 200})
