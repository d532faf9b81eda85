"""Which runs may say what is irreducible."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest

from model.errors import RunError
from model.runs.run import Run
from model.scoring.irreducible import check_irreducible
from model.scoring.scored_losses import scored_samples


def test_irreducible_runs_are_of_the_same_stage_and_codec_and_saw_nothing_that_they_judge(dataset, trained, tmp_path):
    target, other = Run.open(trained), Run.open(Path(shutil.copytree(trained, tmp_path / "other")))
    samples = scored_samples(dataset, target.config, None)
    held = sorted({samples.sources[key] for key in samples.holdout_samples})
    seen = other.path / "sources.json"
    seen.write_text("[]")
    check_irreducible(target, [other], samples)
    check_irreducible(target, [other, other], samples)
    seen.write_text(json.dumps(held))
    with pytest.raises(RunError, match="Nothing sets the 2 irreducible runs"):
        check_irreducible(target, [other, other], samples)
    with pytest.raises(RunError, match="have no irreducible loss"):
        check_irreducible(target, [target], samples)
    stage = other.config.model_copy(update={"stage": "interpolation"})
    with pytest.raises(RunError, match=r"is of stage interpolation.* of starter"):
        check_irreducible(target, [dataclasses.replace(other, config=stage)], samples)
    with pytest.raises(RunError, match=r"is of prediction sample.* of (epsilon|v_prediction)"):
        check_irreducible(target, [dataclasses.replace(other, prediction="sample")], samples)
    with pytest.raises(RunError, match=r"is of codec 123.*the same codec"):
        check_irreducible(target, [dataclasses.replace(other, codec="123")], samples)
