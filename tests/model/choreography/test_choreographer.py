"""A choreographer can be taken out of its run: the folder is small, whole, and makes the run's dances."""

import shutil
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from data_catalog.base.files import read_json
from data_catalog.base.paths import ChoreographerFolder
from flows.cli.main import main
from model.choreography.choreographer import Choreographer, export_choreographer
from model.choreography.compose import DanceOrder, compose
from model.choreography.config import dance_config
from model.errors import RunError
from pipeline.picture_size import PictureSize
from tests.model.dataset import dancing_joints

ORDER = DanceOrder(dancing_joints(1, 200, 7)[0].astype(float), PictureSize(200, 200), 60, Fraction(30))
QUICK = dance_config(steps=3, candidates=2)


def test_an_export_makes_the_dances_of_its_run(run: Path, choreographer: Choreographer, tmp_path: Path) -> None:
    made = export_choreographer(run, tmp_path / "out")
    opened = Choreographer.open(tmp_path / "out")
    assert opened.record["run"] == choreographer.record["run"] == made["run"]
    assert opened.record["step"] == made["steps"] == 30
    assert made["sources"] == sorted(read_json(run / "sources.json"))
    one, same = (compose(of.network, ORDER, QUICK).landmarks for of in (opened, choreographer))
    assert np.array_equal(one, same)


def test_half_is_half_as_large_and_dances_much_the_same(
    run: Path, choreographer: Choreographer, tmp_path: Path
) -> None:
    export_choreographer(run, tmp_path / "half", half=True)
    tensors = load_file(ChoreographerFolder(tmp_path / "half").weights)
    assert tensors["place"].dtype == torch.float16
    assert tensors["basis"].dtype == torch.float32
    one, other = (
        compose(of.network, ORDER, QUICK).landmarks for of in (Choreographer.open(tmp_path / "half"), choreographer)
    )
    assert np.abs(one - other)[..., :2].mean() < 1  # of 200 pixels


def test_the_command_exports_it(run: Path, tmp_path: Path) -> None:
    from click.testing import CliRunner

    done = CliRunner().invoke(main, ["export", "--run", str(run), "--out", str(tmp_path / "out"), "--half"])
    assert done.exit_code == 0, done.output
    assert "step 30" in done.output
    assert Choreographer.open(tmp_path / "out").record["step"] == 30


def test_an_export_that_is_there_damaged_or_another_s_is_refused_in_one_sentence(run: Path, tmp_path: Path) -> None:
    export_choreographer(run, tmp_path / "out")
    with pytest.raises(RunError, match="is there already"):
        export_choreographer(run, tmp_path / "out")
    shutil.copytree(tmp_path / "out", tmp_path / "changed")
    folder = ChoreographerFolder(tmp_path / "changed")
    save_file({"place": torch.zeros(2)}, folder.weights)
    with pytest.raises(RunError, match="not as it was written: export it again"):
        Choreographer.open(folder.root)
    folder.network.unlink()
    with pytest.raises(RunError, match=r"cannot be read .*: export it again"):
        Choreographer.open(folder.root)
