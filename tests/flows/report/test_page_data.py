"""The page's data: exact numbers, curves out of whatever a run wrote, and text that stays text."""

import base64
import hashlib
import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from flows.report.columns import coded, number_column, packed
from flows.report.curves import MAX_POINTS, drift_curves, plain_values, thinned, training_curves
from flows.report.page_data import loss_label
from flows.report.render import embedded, policy, render
from model.drift.metrics import METRICS, TRUTH_METRICS
from model.drift.report import CURVE_POINTS
from tests.flows.evidence import HOSTILE, drift_metrics

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "flows" / "report" / "page"


def test_a_number_reaches_the_page_bit_for_bit_and_an_unknown_one_is_nan():
    values = [0.1, 1 / 3, 5e-324, -1.7976931348623157e308, None]
    column = number_column("blur", pa.chunked_array([pa.array(values, pa.float64())]), "score")
    back = np.frombuffer(base64.b64decode(column["values"]), "<f8")
    assert back[:4].tolist() == values[:4]
    assert np.isnan(back[4])


def test_a_ledgers_column_is_named_by_the_first_digits_of_its_hashes():
    label = loss_label({"stage": "starter", "run": "a" * 32, "checkpoint": "b" * 64, "bank": "c" * 16})
    assert label == "loss: starter, run aaaaaaaa, checkpoint bbbbbbbb, bank cccccccc"


def test_texts_are_numbers_of_a_short_list_and_none_has_its_own():
    names, values = coded(["b", None, "a", "b"])
    assert names == ["a", "b"]
    assert np.frombuffer(base64.b64decode(values), "<u2").tolist() == [1, 65535, 0, 1]
    assert packed(np.array([1, 2], np.uint16)) == packed(np.array([1, 2], ">u2"))


@pytest.mark.parametrize("text", [HOSTILE, "<!--<script>", "]]>", "\u2028\u2029", "&lt;", "\\", '"', "\udcff", "\0"])
def test_no_text_ends_the_script_element_and_every_text_comes_back(text):
    shown = embedded({text: [text]})
    assert not set("<>&\u2028\u2029") & set(shown)
    if text != "\udcff":  # half a character can be shown, not kept
        assert json.loads(shown) == {text: [text]}
    shown.encode()


def test_the_page_runs_its_own_script_and_no_other_and_asks_nobody_else():
    value = {"title": HOSTILE, "mode": "file"}
    html = render(value)
    assert html.count("<script") == html.count("</script>") == 2
    assert "<img src=x" not in html
    assert "&lt;/script&gt;" in html.split("<style>")[0]
    for tag in ("script", "style"):
        [text] = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.S)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"&#39;sha256-{digest}&#39;" in html
    stated = policy("", "", "file")
    assert "default-src 'none'" in stated
    assert "http" not in stated
    assert "unsafe" not in stated
    assert not re.findall(r'(?:src|href)="(?!#|data:,)[^"]*"', html.split("<script")[0])


def test_the_page_makes_no_markup_out_of_text():
    for path in PAGE.glob("*.js"):
        code = path.read_text()
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|new Function|https?://(?!www\.w3)", code
        )
        assert "</script" not in code


def test_a_runs_curves_are_its_numbers_and_a_torn_last_line_is_passed_over(tmp_path):
    lines = [{"kind": "step", "step": s, "loss": 1.0 / s, "losses": [9.0], "learning_rate": 0.1} for s in range(1, 11)]
    lines += [{"kind": "validation", "step": 5, "loss": 0.5, "bins": [0.25, None, 0.75]}]
    (tmp_path / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)) + '\n{"kind": "st')
    curves = training_curves(tmp_path)
    assert set(curves) == {"loss", "learning rate", "validation loss", "validation bin 0", "validation bin 2"}
    assert curves["loss"]["x"] == list(range(1, 11))
    assert curves["loss"]["y"] == pytest.approx([1 / s for s in range(1, 11)], rel=1e-5)
    assert curves["validation bin 2"] == {"x": [5.0], "y": [0.75]}
    assert training_curves(tmp_path / "gone") == {}


def test_a_long_curve_is_thinned_to_means_that_keep_its_total():
    points = [(float(i), float(i % 7)) for i in range(10_000)]
    thin = thinned(points)
    assert len(thin["x"]) == len(thin["y"]) == MAX_POINTS
    assert np.mean(thin["y"]) == pytest.approx(np.mean([y for _, y in points]), rel=1e-4)


def test_a_rollouts_curves_are_its_metrics_of_the_video_and_of_the_real_clip_over_their_frames():
    metrics = drift_metrics(1.0, frames=361)
    stored = json.loads(json.dumps(metrics, sort_keys=True))
    curves = {curve["name"]: curve for curve in drift_curves(stored)}
    assert list(curves) == [*METRICS, *TRUTH_METRICS]
    assert [side["name"] for side in curves["colour"]["series"]] == ["generated", "real"]
    assert [side["name"] for side in curves["psnr"]["series"]] == ["generated"]
    assert curves["psnr"]["band"] is None
    assert curves["picture_motion"]["band"] == list(metrics["reference"]["metrics"]["picture_motion"]["band"])
    made, real = curves["picture_motion"]["series"]
    assert len(made["x"]) == len(made["y"]) == CURVE_POINTS
    assert 0 <= made["x"][0] < 1 < 359 < made["x"][-1] <= 360  # over frames, whatever the catalog keeps of them
    assert real["x"] == list(range(181))
    assert real["y"][50] is None
    assert real["y"][1] == metrics["reference"]["curves"]["picture_motion"][1]


def test_a_rollout_that_was_not_measured_has_no_curves_and_every_plain_number_is_shown():
    for metrics in (None, {}, {"curves": None, "metrics": None}):
        assert drift_curves(metrics) == []
    metrics = {"deep": {"er": {"b": 1.5}}, "flag": True, "said": "x", "list": [1, 2], "nothing": None}
    assert plain_values(metrics) == {"deep.er.b": 1.5, "flag": True, "said": "x"}
    assert plain_values(None) == {}


def test_a_wheel_carries_the_page(tmp_path):
    code = "from setuptools import build_meta; import sys; print(build_meta.build_wheel(sys.argv[1]))"
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split(
        "\n"
    )
    copy = tmp_path / "copy"
    for name in tracked:
        if name.startswith(("flows/", "pipeline/", "model/", "data_catalog/", "pyproject", "README")):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes((ROOT / name).read_bytes())
    (tmp_path / "out").mkdir()
    command = [sys.executable, "-c", code, str(tmp_path / "out")]
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    [wheel] = (tmp_path / "out").glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {f"flows/report/page/{path.name}" for path in PAGE.iterdir()} <= names
