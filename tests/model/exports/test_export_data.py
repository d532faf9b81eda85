"""An export resumes, grows by what is new, links, keeps to its own folder, and is on record."""

from __future__ import annotations

import io
import os
import signal
from pathlib import Path

import av
import pytest

from data_catalog.base.files import read_json
from data_catalog.base.paths import DataFolder
from model.data.samples import read_samples
from model.data.versions import version_of, write_version
from model.errors import ConfigError, DataError, VersionError
from model.exports.config import export_config
from model.exports.export_data import export_data
from model.exports.record import export_records
from tests.model.dataset import make_dataset


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("export") / "data", picture=[[4, 0, 28, 32]])


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


TARGETS = ("diffusion-pipe", "musubi", "finetrainers", "hf", "webdataset")


@pytest.mark.parametrize("to", TARGETS)
def test_the_same_export_again_writes_nothing_and_changes_no_byte(data, tmp_path, to):
    first = export_data(data, tmp_path, export_config(to=to))
    before = tree(tmp_path)
    again = export_data(data, tmp_path, export_config(to=to))
    assert first["new"] == first["files"] > 0
    assert again["new"] == 0
    assert tree(tmp_path) == before


def test_a_second_target_shares_the_first_ones_bytes(data, tmp_path):
    export_data(data, tmp_path, export_config(to="musubi"))
    kept = {path.name for path in (tmp_path / "objects").rglob("*.mp4")}
    export_data(data, tmp_path, export_config(to="hf"))
    assert {path.name for path in (tmp_path / "objects").rglob("*.mp4")} == kept
    [one, *_] = sorted((tmp_path / "hf" / "train").glob("*.mp4"))
    assert one.stat().st_nlink == 3  # the object, musubi's name, hf's


def test_where_there_are_no_links_files_are_copied(data, tmp_path, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise OSError(95, "Operation not supported")

    export_data(data, tmp_path / "linked", export_config(to="hf"))
    monkeypatch.setattr(os, "link", refuse)
    export_data(data, tmp_path / "copied", export_config(to="hf"))
    names = [path for path in tree(tmp_path / "linked") if path.endswith((".mp4", ".jsonl"))]
    assert all(tree(tmp_path / "linked")[name] == tree(tmp_path / "copied")[name] for name in names)
    assert export_data(data, tmp_path / "copied", export_config(to="hf"))["new"] == 0


def test_a_grown_version_adds_what_is_new_and_a_shrunken_one_leaves_nothing_behind(data, tmp_path):
    samples = read_samples(data)
    small = [sample for sample in samples if sample.source_id in ("source-0", "source-1")]
    for name, held in (("small", small), ("large", samples)):
        write_version(data, version_of(name, None, {"made": name}, held))
    first = export_data(data, tmp_path, export_config(to="hf", version="small", holdout=0))
    assert first["counts"]["train"]["items"] == 4
    objects = {path: path.stat().st_mtime_ns for path in (tmp_path / "objects").rglob("*.mp4")}
    grown = export_data(data, tmp_path, export_config(to="hf", version="large", holdout=0))
    assert grown["counts"]["train"]["items"] == 8
    assert {path: path.stat().st_mtime_ns for path in objects} == objects
    assert len(list((tmp_path / "objects").rglob("*.mp4"))) == 8
    export_data(data, tmp_path, export_config(to="hf", version="small", holdout=0))
    assert len(list((tmp_path / "hf" / "train").glob("*.mp4"))) == 4 == len(list((tmp_path / "objects").rglob("*.mp4")))


def test_an_export_that_was_killed_ends_as_an_undisturbed_one(data, tmp_path):
    whole = tmp_path / "whole" / "out"
    export_data(data, whole, export_config(to="diffusion-pipe"))
    out = tmp_path / "killed" / "out"
    for files in (0, 3, 11):

        def die(done: int, total: int, files: int = files) -> None:
            if done > files:
                os.kill(os.getpid(), signal.SIGKILL)

        child = os.fork()
        if child == 0:
            export_data(data, out, export_config(to="diffusion-pipe"), die)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    (out / "objects" / ".tmp-torn.mp4").write_bytes(b"half")
    export_data(data, out, export_config(to="diffusion-pipe"))
    plain = [path for path in tree(whole) if path.endswith((".mp4", ".txt", ".png"))]
    assert set(tree(whole)) == set(tree(out))
    assert all(tree(whole)[path] == tree(out)[path] for path in plain)


def test_a_folder_with_other_files_is_refused_and_left_alone(data, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(DataError, match="other files"):
        export_data(data, tmp_path, export_config(to="hf"))
    assert tree(tmp_path) == {"thesis.txt": b"mine"}


def test_a_version_or_target_that_is_not_there_is_one_sentence(data, tmp_path):
    with pytest.raises(VersionError, match="Unknown version 'none'"):
        export_data(data, tmp_path, export_config(to="hf", version="none"))
    with pytest.raises(ConfigError, match="'to' is 'kohya'"):
        export_config(to="kohya")


def test_the_card_states_counts_version_and_settings_and_the_data_set_remembers(data, tmp_path):
    made = export_data(data, tmp_path, export_config(to="webdataset", holdout=0.3))
    text = (tmp_path / "webdataset" / "README.md").read_text()
    assert made["version"]["hash"] in text
    assert "| train | 6 | 6 | 3 | 150 |" in text
    assert "| validation | 2 | 2 | 1 | 50 |" in text
    assert '"holdout": 0.3' in text
    said = [record for _, record in export_records(data) if record["folder"] == str(tmp_path)]
    assert [record["sources"] for record in said] == [[f"source-{n}" for n in range(4)]]
    assert DataFolder(data).exports.is_dir()


def test_bytes_that_changed_on_the_disk_are_not_exported(tmp_path):
    data = make_dataset(tmp_path / "data")
    shard = next((data / "shards").glob("*.tar"))
    content = bytearray(shard.read_bytes())
    content[1200] ^= 255
    shard.write_bytes(content)
    with pytest.raises(DataError, match="have changed on the disk"):
        export_data(data, tmp_path / "out", export_config(to="hf"))


def test_a_drawn_dancers_sound_goes_along_where_the_target_takes_it(drawn, tmp_path):
    for to, tracks in (("hf", 1), ("diffusion-pipe", 1), ("musubi", 0), ("finetrainers", 0)):
        export_data(drawn.root, tmp_path, export_config(to=to, holdout=0.3))
        videos = sorted((tmp_path / to).rglob("*.mp4"))
        assert len(videos) == 6
        for video in videos:
            with av.open(str(video)) as container:
                assert len(container.streams.audio) == tracks
                assert sum(1 for _ in container.decode(video=0)) == 25
            assert video.with_suffix(".flac").is_file() == (to == "musubi")
    export_data(drawn.root, tmp_path, export_config(to="hf", holdout=0.3, sound=False))
    with av.open(io.BytesIO(next((tmp_path / "hf").rglob("*.mp4")).read_bytes())) as container:
        assert not container.streams.audio
    assert read_json(tmp_path / "hf.export.json")["finished"]
