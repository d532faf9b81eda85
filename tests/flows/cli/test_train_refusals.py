"""A training that has nothing to learn from says so at once, before a server or torch is started."""

from pathlib import Path

from click.testing import CliRunner, Result

from data_catalog.base.at_work import building
from data_catalog.base.paths import DataFolder
from data_catalog.connection import open_catalog
from flows.cli.main import main


def train(root: Path) -> Result:
    return CliRunner().invoke(main, ["train", "starter", "--data", str(root / "data"), "--run", str(root / "run")])


def test_a_data_set_without_samples_is_refused_in_one_sentence(tmp_path: Path) -> None:
    data = DataFolder(tmp_path / "data")
    data.root.mkdir()
    with open_catalog(data.catalog):
        pass
    done = train(tmp_path)
    assert done.exit_code == 2
    assert "holds no samples: run `longdance build`" in done.output


def test_while_a_build_makes_the_first_samples_that_is_said(tmp_path: Path) -> None:
    data = DataFolder(tmp_path / "data")
    data.root.mkdir()
    with open_catalog(data.catalog):
        pass
    with building(data).alone():
        done = train(tmp_path)
    assert done.exit_code == 2
    assert "Another build is at work" in done.output
