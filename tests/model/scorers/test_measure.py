"""A scorer of anybody's: what it says is a column; what it does wrong costs a sentence, and nothing that is right."""

from __future__ import annotations

import re
import shutil
import stat
import sys
from pathlib import Path

import pytest

from data_catalog.base.paths import DataFolder
from data_catalog.connection import open_catalog
from data_catalog.errors import ThresholdError
from data_catalog.report_rows import clip_table
from data_catalog.views import replace_measures, set_thresholds
from flows.catalog.measure_rows import merge_measures
from model.data.samples import read_samples
from model.errors import PolicyError, ScorerError
from model.scorers.entrypoint import find_entrypoint
from model.scorers.measure import ScorerResult, checked_call, measure
from model.scorers.rows import read_rows
from model.scoring.policy import policy
from model.scoring.score_table import version_samples
from pipeline.config import ThresholdsConfig
from tests.model.dataset import make_dataset

CLIPS = 8
LIBRARY = """
import json, os, sys, time
import numpy as np

def frames(clips):
    print("a library that prints")
    for clip in clips:
        yield {"score": np.float32(len(np.load(clip["npy"]))), "bytes": os.path.getsize(clip["mp4"])}

def by_clip(clips, factor=1):
    return [{"score": factor * int(clip["clip_id"][1])} for clip in clips]

def hangs(clips):
    yield {"score": 1.0}
    time.sleep(60)

def crashes(clips):
    for clip in clips[:3]:
        yield {"score": 1.0}
    raise RuntimeError("no such weights")

def dies(clips):
    os.kill(os.getpid(), 9)

def nan(clips):
    return [{"score": float("nan") if clip["clip_id"] == "s0c0" else 2.0} for clip in clips]

def few(clips):
    return [{"score": 1.0}] * 5

def text(clips):
    return [{"score": "good" if clip["clip_id"] == "s0c1" else 3.0} for clip in clips]

def true(clips):
    return [{"score": True} for clip in clips]

def other_columns(clips):
    return [{"score": 1.0} if clip["clip_id"] < "s2" else {"score": 1.0, "more": 2.0} for clip in clips]

def bad_name(clips):
    return [{"Robert'); DROP TABLE": 1.0} for clip in clips]

def many(clips):
    return [{"score": 1.0}] * 12

def beside(clips):
    import helper_beside
    return helper_beside.rows(clips)

def nothing(clips):
    return []
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("scorers") / "data")


@pytest.fixture
def data(made: Path, tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(LIBRARY)
    return Path(shutil.copytree(made, tmp_path / "data"))


def run(
    data: Path, function: str, name: str = "mine", batch: int | None = None, timeout: float = 60, **more: object
) -> ScorerResult:
    call = checked_call(name, f"{data.parent / 'mine.py'}:{function}", dict(more), batch, timeout)
    done = measure(data, call)
    merge_measures(DataFolder(data), name)
    return done


def column(data: Path, name: str = "mine") -> dict[str, float | None]:
    with open_catalog(data / "catalog.duckdb", read_only=True) as con:
        return dict(con.execute(f"SELECT clip_id, {name} FROM clips ORDER BY clip_id").fetchall())


def test_a_functions_numbers_are_columns_of_clips_and_of_the_page(data):
    done = run(data, "frames")
    assert (done.made, done.there, done.wrong, done.columns) == (CLIPS, 0, (), ("mine", "mine_bytes"))
    assert set(column(data).values()) == {25.0}
    assert column(data, "mine_bytes") == {s.clip_id: s.mp4_length for s in read_samples(data)}
    with open_catalog(data / "catalog.duckdb", read_only=True) as con:
        assert {"mine", "mine_bytes"} <= set(clip_table(con).column_names)


def test_a_program_does_the_same(data):
    program = data.parent / "scorer"
    program.write_text(
        f"#!{sys.executable}\nimport json, sys\nfor line in sys.stdin:\n    clip = json.loads(line)\n"
        "    print(json.dumps({'clip_id': clip['clip_id'], 'score': clip['scores']['motion_energy'] * 2}))\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    assert measure(data, checked_call("twice", str(program), {}, 3, 60)).made == CLIPS
    merge_measures(DataFolder(data))
    assert column(data, "twice") == {k: 2 * v for k, v in column(data, "motion_energy").items()}


def test_what_is_measured_is_not_measured_again_until_code_settings_or_video_change(data):
    assert run(data, "by_clip").made == CLIPS
    assert run(data, "by_clip").made == 0
    assert run(data, "by_clip", factor=10).made == CLIPS
    assert column(data)["s3c0"] == 30
    assert run(data, "by_clip").there == CLIPS  # the first version's are still there
    assert column(data)["s3c0"] == 3
    (data.parent / "mine.py").write_text(LIBRARY + "\n")
    assert run(data, "by_clip").made == CLIPS
    with open_catalog(data / "catalog.duckdb") as con:
        con.execute("UPDATE sample_rows SET mp4_sha256 = 'other' WHERE clip_id = 's0c0'")
    assert run(data, "by_clip").made == 1


WRONG = {
    "hangs": (1, r"took longer than 2 s for 8 clips and was stopped"),
    "crashes": (3, r"ended with exit code 1: RuntimeError: no such weights"),
    "dies": (0, r"was ended by signal 9"),
    "nan": (CLIPS, r"gave NaN or infinity for 1 clips, which stay unmeasured"),
    "few": (5, r"gave 5 rows for 8 clips"),
    "text": (CLIPS - 1, r"gave 'good' as score, where a number is expected"),
    "true": (0, r"gave 'True' as score, where a number is expected and 7 more"),
    "other_columns": (4, r"gave the columns more, score after score"),
    "bad_name": (0, r"use lower-case letters"),
    "nothing": (0, r"gave 0 rows for 8 clips"),
    "many": (CLIPS, r"gave more rows than the 8 clips"),
}


@pytest.mark.parametrize("function", WRONG)
def test_what_goes_wrong_is_a_sentence_and_what_is_right_is_kept(data, function):
    kept, sentence = WRONG[function]
    run(data, "by_clip", "other")
    done = run(data, function, timeout=2 if function == "hangs" else 60)
    assert done.made == kept
    assert any(re.search(sentence, one) for one in done.wrong), done.wrong
    assert all("\n" not in one and len(one) < 400 for one in done.wrong)
    assert column(data, "other")["s3c1"] == 3
    if kept:
        assert sum(value is not None for value in column(data).values()) == kept - (function == "nan")
    assert run(data, "by_clip").made == CLIPS
    assert column(data)["s2c0"] == 2


def test_a_batch_that_fails_costs_no_other(data):
    done = run(data, "crashes", batch=4)
    assert done.made == 6
    assert done.wrong == ("ended with exit code 1: RuntimeError: no such weights",)


def test_thresholds_and_policies_go_by_a_measured_column(data):
    run(data, "by_clip")
    with open_catalog(data / "catalog.duckdb") as con:
        set_thresholds(con, ThresholdsConfig(measured={"mine": "<2"}, motion_energy=0).rows())
        bad = con.execute("SELECT clip_id, reason FROM clips WHERE verdict = 'bad' ORDER BY 1").fetchall()
        set_thresholds(con, ThresholdsConfig().rows())
    assert bad == [(f"s{s}c{c}", "mine") for s in (0, 1) for c in (0, 1)]
    stored = read_samples(data)
    kept = version_samples(data, None, stored, [], [], policy(measured={"mine": ">1"}))
    assert {sample.source_id for sample in kept} == {"source-0", "source-1"}
    with pytest.raises(PolicyError, match="no score 'taste'"):
        version_samples(data, None, stored, [], [], policy(measured={"taste": ">1"}))
    with pytest.raises(PolicyError, match="is no rule"):
        policy(measured={"mine": "=1"})


def test_a_threshold_keeps_its_column(data):
    run(data, "by_clip")
    with open_catalog(data / "catalog.duckdb") as con:
        set_thresholds(con, ThresholdsConfig(measured={"mine": "<2"}).rows())
        with pytest.raises(ThresholdError, match="no longer gives"):
            replace_measures(con, "mine", [])
    assert column(data)["s2c0"] == 2


@pytest.mark.parametrize("name", ["blur", "licence", "span", "decision", "verdict", "sound", "source_id"])
def test_a_name_that_clips_has_is_refused_before_anything_is_kept(data, name):
    with pytest.raises(ThresholdError, match="`clips` has already"):
        run(data, "by_clip", name)
    assert not (data / "measures" / name).exists()


@pytest.mark.parametrize("name", ["select", "end", "order", "similar", "left", "by"])
def test_a_word_of_sql_is_refused_before_anything_is_kept(data, name):
    with pytest.raises(ThresholdError, match="a word of SQL"):
        run(data, "by_clip", name)
    assert not (data / "measures" / name).exists()


def test_a_scorer_whose_name_was_taken_since_is_passed_over_with_a_warning(data, caplog):
    run(data, "by_clip")
    (data / "measures" / "mine").rename(data / "measures" / "blur")
    merge_measures(DataFolder(data))
    assert "which `clips` has already" in caplog.text


@pytest.mark.parametrize("clip_id", ['["x"]', "7", "null", '{"a": 1}', '"unknown"'])
def test_a_row_of_no_clip_is_a_sentence(clip_id):
    found = read_rows(f'{{"clip_id": {clip_id}, "score": 1}}', ["s0c0"])
    assert not found.values
    assert "which was not asked for" in found.wrong[0]


def test_the_same_clip_twice_is_told_as_such():
    found = read_rows('{"clip_id": "a", "score": 1}\n{"clip_id": "a", "score": 2}', ["a"])
    assert found.values == {"a": {"score": 1.0}}
    assert "a second time" in found.wrong[0]


def test_a_function_may_import_what_lies_beside_its_file(data, tmp_path):
    (tmp_path / "helper_beside.py").write_text("def rows(clips): return [{'score': 4.0} for _ in clips]")
    assert run(data, "beside").made == CLIPS


def test_a_file_that_a_setting_names_is_a_part_of_the_version(tmp_path):
    (tmp_path / "scorer.py").write_text("def score(clips, head): return []")
    found = find_entrypoint(f"{tmp_path}/scorer.py:score")
    head = tmp_path / "head.bin"
    head.write_bytes(b"one")
    before = found.version({"head": str(head)})
    assert before == found.version({"head": str(head)})
    head.write_bytes(b"another")
    assert before != found.version({"head": str(head)})


@pytest.mark.parametrize(
    ("entrypoint", "sentence"),
    [
        ("nowhere.py:score", "no Python file"),
        ("no-such-program", "no program that can be run"),
        ("no.module:f", "no Python"),
    ],
)
def test_a_scorer_that_is_not_there_is_one_sentence(data, entrypoint, sentence):
    with pytest.raises(ScorerError, match=sentence):
        measure(data, checked_call("mine", entrypoint, {}, None, 60))
    with pytest.raises(ScorerError, match="names a column"):
        checked_call("My Score", entrypoint, {}, None, 60)
