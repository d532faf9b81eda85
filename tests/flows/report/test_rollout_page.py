"""A rollout's page in a real browser, from disk: the curves of its numbers, and nothing asked of anybody."""

import json
import shutil
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from flows.report.rollout_page import DrawnDance, write_page
from model.drift.metrics import METRICS, TRUTH_METRICS
from model.drift.table import COLUMNS
from model.plans.plan import make_plan
from pipeline.picture_size import PictureSize
from tests.flows.browser import PHONE, errors, open_browser, ready, requests
from tests.flows.evidence import drift_metrics
from tests.model.dataset import dancing_joints

FRAMES = 181
NAME = "a <b># 100%?.mp4"


@pytest.fixture
def page(dancer: Path, tmp_path: Path) -> Path:
    """The page of a video whose name is as hostile as its identity."""
    video = Path(shutil.copy(dancer, tmp_path / NAME))
    report = json.loads(json.dumps(drift_metrics(1.0, FRAMES)))
    report["curves"]["found"] = [1.0 if frame == 90 else None for frame in range(FRAMES)]  # one point alone
    path = tmp_path / "page.html"
    write_page(path, video, "tree", make_plan("tree", FRAMES), report, {"seed": 7, "runs": {"any": "</script><i>x"}})
    return path


def test_the_page_draws_each_metric_beside_the_real_clip_and_within_its_band(page: Path, tmp_path: Path) -> None:
    with open_browser(tmp_path / "profile") as chrome:
        ready(chrome, page.as_uri())
        assert errors(chrome) == []
        assert {url for url in requests(chrome) if not url.startswith(("data:", "chrome:", "about:"))} == {
            page.as_uri()
        }
        assert chrome.execute_script("return document.querySelector('video').videoWidth") == 270
        plots = chrome.find_elements("css selector", "#curves .plot")
        names = [plot.find_element("tag name", "figcaption").text.replace(" ", "_") for plot in plots]
        assert names == [*METRICS, *TRUTH_METRICS]
        for plot, name in zip(plots, names):
            real = name in METRICS
            assert len(plot.find_elements("css selector", "path.line")) == 1 + real
            assert len(plot.find_elements("css selector", "rect.band")) == real
            assert (METRICS | TRUTH_METRICS)[name] in plot.text
        lone = chrome.execute_script("return document.querySelectorAll('#curves path.line-0')[4].getAttribute('d')")
        assert lone.count("M") == 1
        heads = [head.text for head in chrome.find_elements("css selector", "table:first-of-type th")]
        assert heads[: len(COLUMNS)] == list(COLUMNS)
        assert "</script><i>x" in chrome.find_element("id", "main").text
        assert chrome.title == NAME


def test_dances_are_drawn_beside_the_video_and_in_step_with_it(page: Path, tmp_path: Path) -> None:
    dance = dancing_joints(FRAMES, 256, 1).astype(float)
    dance[3, 15] = np.nan
    drawn = [
        DrawnDance.framed("as it was danced", dance, Fraction(30)),
        DrawnDance("as it was put on the picture", dance / 2, PictureSize(128, 128), Fraction(30)),
    ]
    report = {"frames": FRAMES, "metrics": {}}
    write_page(page, tmp_path / NAME, "star", make_plan("star", FRAMES), report, {}, drawn)
    with open_browser(tmp_path / "profile") as chrome:
        ready(chrome, page.as_uri())
        assert errors(chrome) == []
        seek = "const v = document.querySelector('video'), [t, done] = arguments; v.pause(); v.currentTime = t;"
        seek += "setTimeout(() => done([...document.querySelectorAll('canvas.dance')].map(c => c.dataset.frame)), 500)"
        assert chrome.execute_async_script(seek, 0) == ["0", "0"]
        assert chrome.execute_async_script(seek, 1.05) == ["31", "31"]
        painted = "return [...document.querySelectorAll('canvas.dance')].map(c => "
        painted += (
            "c.getContext('2d').getImageData(0, 0, c.width, c.height).data.filter((v, i) => i % 4 == 3 && v).length)"
        )
        assert min(chrome.execute_script(painted)) > 2000
        names = [figure.text for figure in chrome.find_elements("css selector", ".stage figcaption")]
        assert names[1] == "The dance as it was put on the picture: her left blue, her right orange."


def test_a_long_dance_is_drawn_with_fewer_poses_at_the_same_speed() -> None:
    row = DrawnDance("x", np.zeros((4001, 33, 4)), PictureSize(8, 8), Fraction(30)).row()
    assert len(row["poses"]) == 1334
    assert row["fps"] == 10


def test_on_a_phone_nothing_hangs_over_the_edge(page: Path, tmp_path: Path) -> None:
    with open_browser(tmp_path / "profile", PHONE) as chrome:
        ready(chrome, page.as_uri())
        assert chrome.execute_script("return document.documentElement.scrollWidth") <= PHONE[0]


def test_a_large_video_is_linked_by_a_name_that_is_none_of_a_urls(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.report.rollout_page.EMBEDDED_BYTES", 1000)
    write_page(page, tmp_path / NAME, "tree", make_plan("tree", FRAMES), {"frames": FRAMES, "metrics": {}}, {})
    with open_browser(tmp_path / "profile") as chrome:
        ready(chrome, page.as_uri())
        assert errors(chrome) == []
        width = "const v = document.querySelector('video'), done = arguments[0];"
        width += " if (v.readyState) done(v.videoWidth); else v.onloadedmetadata = () => done(v.videoWidth);"
        assert chrome.execute_async_script(width) == 270
        assert "No drift curves." in chrome.find_element("id", "curves").text
