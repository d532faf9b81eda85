"""The page in a real browser, from disk and served: what it shows is what SQL says."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from data_catalog.base.files import write_json
from data_catalog.base.paths import DataFolder
from data_catalog.connection import open_catalog
from data_catalog.writes import merge_rollouts
from model.drift.metrics import METRICS, TRUTH_METRICS
from model.drift.table import COLUMNS
from tests.flows.browser import (
    DESK,
    PHONE,
    errors,
    find_browser,
    open_browser,
    ready,
    requests,
    show_part,
    shown_clips,
    until,
)
from tests.flows.evidence import RUN_C
from tests.flows.shown import DRAWN, NAME, Shown, serving, shown

__all__ = ["shown"]
PARTS = ("overview", "clips", "versions", "runs", "rollouts")
GRID = "document.getElementById('grid')"


@pytest.fixture(scope="module")
def page(shown: Shown) -> str:
    """`longdance report` of the data set, as a URL on disk."""
    find_browser()
    command = [sys.executable, "-m", "flows.cli", "report", "--data", str(shown.data.root), "--workers", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip()).as_uri()


@pytest.fixture(scope="module")
def chrome(page: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with open_browser(tmp_path_factory.mktemp("profile")) as found:
        ready(found, page)
        yield found


def by_key(chrome: Any, key: str) -> None:
    """Press a key wherever the focus is."""
    from selenium.webdriver import ActionChains

    ActionChains(chrome).send_keys(key).perform()


def focused(chrome: Any, what: str) -> Any:
    """An attribute or property of what has the focus."""
    return chrome.execute_script(f"return document.activeElement.{what}")


def test_every_part_loads_without_errors_and_asks_for_nothing_outside_its_folder(chrome, page, shown):
    for part in PARTS:
        show_part(chrome, f"#{part}")
        assert chrome.execute_script("return document.getElementById('main').innerText.length") > 50
    show_part(chrome, "#clips")
    until(
        lambda: chrome.execute_script("return [...document.images].some((i) => i.naturalWidth > 0)"),
        "a poster is there",
    )
    assert errors(chrome) == []
    inside = shown.data.root.as_uri()
    asked = {url for url in requests(chrome) if not url.startswith(("data:", "chrome:", "about:"))}
    assert page in asked
    assert [url for url in asked if not url.startswith(inside)] == []


def test_names_with_html_and_script_in_them_show_as_text(chrome):
    for part in PARTS:
        show_part(chrome, f"#{part}")
        assert chrome.title == "data · longdance"
        assert chrome.execute_script("return document.querySelectorAll('img[src=\"x\"], main script').length") == 0
    show_part(chrome, "#overview")
    assert f"/somewhere/2/{NAME}" in chrome.execute_script("return document.body.textContent")
    show_part(chrome, "#rollouts")
    assert "</script><script>document.title='owned'" in chrome.execute_script("return document.body.textContent")
    assert errors(chrome) == []


HOLDS = "SELECT clip_id FROM samples JOIN version_samples USING (sample_key) WHERE version = 'pruned-10'"
FILTERS = [
    ("verdict=ok", "verdict = 'ok'", "clip_id"),
    ("verdict=bad&reason=blurred", "verdict = 'bad' AND list_contains(reasons, 'blurred')", "clip_id"),
    ("limits=blur|>|0.5", "blur > 0.5", "clip_id"),
    ("limits=blur|>=|0.5", "blur >= 0.5", "clip_id"),
    ("limits=blur|<|0.5;visibility|<=|0.7", "blur < 0.5 AND visibility <= 0.7", "clip_id"),
    ("limits=blur|unknown|NaN", "blur IS NULL", "clip_id"),
    ("text=drawn-0001", "contains(clip_id, 'drawn-0001')", "clip_id"),
    ("text=SOMEWHERE/1", "source_id IN (SELECT source_id FROM sources WHERE contains(path, 'somewhere/1'))", "clip_id"),
    ("sort=cam_translation", "true", "cam_translation NULLS LAST, clip_id"),
    ("sort=blur&descending=1", "true", "blur DESC NULLS LAST, clip_id"),
    ("sort=blur", "true", "blur NULLS LAST, clip_id"),
    ("sort=loss_0&descending=1", "true", "loss DESC NULLS LAST, clip_id"),
    ("verdict=bad&sort=visibility&limits=blur|>|0.2", "verdict = 'bad' AND blur > 0.2", "visibility, clip_id"),
    ("version=removed:pruned-10", "clip_id IN (SELECT clip_id FROM removed)", "clip_id"),
    ("version=in:pruned-10", f"clip_id IN ({HOLDS})", "clip_id"),
]  # fmt: skip


@pytest.mark.parametrize(("said", "where", "order"), FILTERS, ids=[said for said, *_ in FILTERS])
def test_filter_and_sort_give_what_sql_gives(chrome, shown, said, where, order):
    sql = f"""WITH removed AS (SELECT clip_id FROM samples GROUP BY ALL HAVING count(*) FILTER (sample_key IN
                  (SELECT sample_key FROM version_samples WHERE version = 'pruned-10')) = 0),
              ledger AS (SELECT clip_id, avg(loss) AS loss FROM losses JOIN samples USING (sample_key) GROUP BY ALL)
              SELECT clip_id FROM clips LEFT JOIN ledger USING (clip_id) WHERE {where} ORDER BY {order}"""
    show_part(chrome, f"#clips?{said}")
    assert shown_clips(chrome) == shown.ids(sql)


def test_what_a_user_types_and_chooses_filters_as_the_address_does(chrome, shown):
    from selenium.webdriver.support.select import Select

    show_part(chrome, "#clips?")
    find = lambda name: chrome.find_element("css selector", name)  # noqa: E731
    Select(find("#f-verdict")).select_by_value("bad")
    find("#add-limit").click()
    score, op = (Select(e) for e in chrome.find_elements("css selector", ".limit-row select"))
    score.select_by_value("visibility")
    op.select_by_value("<")
    find(".limit-row input").send_keys("0.35")
    Select(find("#f-sort")).select_by_value("motion_energy")
    find("#f-turn").click()
    wanted = shown.ids(
        """SELECT clip_id FROM clips WHERE verdict = 'bad' AND visibility < 0.35
           ORDER BY motion_energy DESC NULLS LAST, clip_id"""
    )
    assert wanted
    assert shown_clips(chrome) == wanted
    address = chrome.current_url
    chrome.refresh()
    until(lambda: chrome.execute_script("return document.documentElement.dataset.ready"), "it loaded again")
    assert chrome.current_url == address
    assert shown_clips(chrome) == wanted


def test_borderline_first_begins_with_the_clip_nearest_to_its_threshold(chrome, shown):
    show_part(chrome, "#clips?")
    chrome.find_element("id", "review").click()
    first = shown_clips(chrome)
    with open_catalog(shown.data.catalog, read_only=True) as con:
        from data_catalog.report_rows import clip_table

        rows = sorted(
            clip_table(con).to_pylist(), key=lambda r: (r["borderline"] is None, r["borderline"], r["clip_id"])
        )
    assert first == [row["clip_id"] for row in rows]


def test_hovering_plays_a_clip_and_leaving_stops_it(chrome, shown):
    from selenium.webdriver import ActionChains

    show_part(chrome, f"#clips?text={shown.real[0]}")
    card = until(lambda: chrome.find_elements("css selector", f"[data-clip='{shown.real[0]}']"), "the card is there")[0]
    ActionChains(chrome).move_to_element(card).perform()
    moving = "const v = document.querySelector('.card video'); return v && v.currentTime > 0.1 && v.videoWidth"
    assert until(lambda: chrome.execute_script(moving), "the clip plays") == 256
    ActionChains(chrome).move_to_element(chrome.find_element("id", "theme")).perform()
    until(lambda: not chrome.find_elements("css selector", ".card video"), "it stopped")


def test_a_histogram_draws_its_threshold_and_a_bar_opens_its_clips(chrome, shown):
    show_part(chrome, "#overview")
    cards = chrome.find_elements("css selector", ".chart-card")
    card = next(c for c in cards if c.find_element("tag name", "h3").text.startswith("blur"))
    assert "bad > 0.62" in card.find_element("css selector", ".limit").get_attribute("textContent")
    bars = card.find_elements("css selector", ".bin")
    said = [bar.find_element("tag name", "title").get_attribute("textContent") for bar in bars]
    counts = [int(text.split()[0]) for text in said]
    assert sum(counts) == len(shown.ids("SELECT 1 FROM clips WHERE blur IS NOT NULL"))
    busiest = counts.index(max(counts))
    chrome.execute_script("arguments[0].dispatchEvent(new MouseEvent('click', {bubbles: true}))", bars[busiest])
    until(
        lambda: chrome.execute_script(f"return {GRID}?.dataset.count") == str(counts[busiest]),
        "the bar's clips are shown",
    )


def test_the_whole_gallery_works_by_keyboard_and_says_where_it_is(chrome, shown):
    from selenium.webdriver import Keys

    show_part(chrome, "#clips?sort=blur")
    order = shown_clips(chrome)
    chrome.execute_script("scrollTo(0, 0)")
    first = (
        "const c = document.querySelector('.card[tabindex=\"0\"]'); return c?.dataset.at === '0' && (c.focus(), true)"
    )
    until(lambda: chrome.execute_script(first), "the first card takes the focus")
    assert focused(chrome, "dataset.clip") == order[0]
    by_key(chrome, Keys.ARROW_RIGHT)
    assert focused(chrome, "dataset.clip") == order[1]
    by_key(chrome, Keys.END)
    assert focused(chrome, "dataset.clip") == order[-1]
    by_key(chrome, Keys.HOME)
    by_key(chrome, Keys.PAGE_DOWN)
    assert order.index(focused(chrome, "dataset.clip")) > 3
    assert "blur" in focused(chrome, "getAttribute('aria-label')")
    here = focused(chrome, "dataset.clip")
    by_key(chrome, Keys.ENTER)
    until(lambda: chrome.execute_script("return document.getElementById('detail').open"), "the clip opens")
    assert here in chrome.find_element("id", "detail").text
    by_key(chrome, Keys.ARROW_RIGHT)
    following = order[order.index(here) + 1]
    until(lambda: following in chrome.find_element("id", "detail").text, "the next clip is shown")
    by_key(chrome, Keys.ESCAPE)
    until(lambda: not chrome.execute_script("return document.getElementById('detail').open"), "it closes")
    assert errors(chrome) == []


def test_a_clip_shows_its_video_its_source_frame_and_every_score(chrome, shown):
    show_part(chrome, f"#clips?text={shown.real[0]}")
    until(lambda: chrome.find_elements("css selector", ".card"), "the card is there")[0].click()
    loaded = "const i = document.querySelector('#detail .frame'); return i && i.naturalWidth"
    assert until(lambda: chrome.execute_script(loaded), "the source's frame is there") == 270
    playing = "const v = document.querySelector('#detail video'); return v && v.currentTime > 0"
    until(lambda: chrome.execute_script(playing), "the video plays")
    text = chrome.find_element("id", "detail").text
    for name in ("camera translation", "blur", "visibility", "> 0.62 is bad", "loss: starter"):
        assert name in text
    chrome.find_element("id", "close").click()
    assert focused(chrome, "dataset.clip") == shown.real[0]


def test_lineage_versions_curves_and_drift_are_drawn(chrome, shown):
    show_part(chrome, "#runs")
    count = lambda css: len(chrome.find_elements("css selector", css))  # noqa: E731
    assert count(".graph .node") == 2 + 3 + 2
    assert count(".graph .edge.parent") == 2  # pruned-10 from all, the forked run from the first
    assert count(".graph .edge.init") == 1
    assert count(".graph .edge.made") == 4
    names = [e.text for e in chrome.find_elements("css selector", f"#run-{RUN_C} figcaption")]
    assert names == ["Loss", "Validation loss by log-SNR bin", "Gradient norm", "Learning rate"]
    points = chrome.execute_script(
        f"return document.querySelector('#run-{RUN_C} .line-0').getAttribute('d').split(/[ML]/).length - 1"
    )
    assert points == 200
    assert "learning_rate" in chrome.find_element("id", f"run-{RUN_C}").text
    show_part(chrome, "#versions")
    text = chrome.find_element("id", "version-pruned-10").text
    assert f"{len(shown.evidence['removed_clips'])}\nclips removed" in text
    with open_catalog(shown.data.catalog, read_only=True) as con:
        [(lost,)] = con.execute("SELECT motion_lost FROM version_contents WHERE version = 'pruned-10'").fetchall()
    assert f"{100 * lost:.3g} %\nof the motion removed" in text


def test_a_rollouts_drift_is_drawn_metric_by_metric_beside_the_real_clips(chrome):
    show_part(chrome, "#rollouts")
    plots = chrome.find_elements("css selector", "section:first-of-type .plot")
    names = [name.replace("_", " ") for name in (*METRICS, *TRUTH_METRICS)]
    assert [plot.find_element("tag name", "figcaption").text for plot in plots] == names
    for plot, name in zip(plots, names):
        said = [span.text.split()[0] for span in plot.find_elements("css selector", ".legend span")]
        sides = ["generated"] if name.replace(" ", "_") in TRUTH_METRICS else ["generated", "real"]
        assert said == [*sides, "frame"]
        assert "frame to 360" in plot.text  # 361 frames, of which the catalog keeps 200 points
    table = chrome.find_element("css selector", "section:first-of-type .values table")
    assert [head.text for head in table.find_elements("tag name", "th")] == list(COLUMNS)
    assert table.find_element("css selector", "tbody tr").text.startswith(next(iter(METRICS)))


def test_no_score_is_named_so_long_that_its_card_hangs_over_the_next(chrome):
    show_part(chrome, "#overview")
    wide = "return [...document.querySelectorAll('.chart-card')].filter((c) => c.scrollWidth > c.clientWidth).length"
    assert "loss: starter" in chrome.find_element("id", "main").text
    assert chrome.execute_script(wide) == 0


def test_on_a_phone_nothing_hangs_over_the_edge_and_a_tap_plays(page, shown, tmp_path):
    with open_browser(tmp_path, PHONE) as phone:
        ready(phone, page)
        for part in PARTS:
            show_part(phone, f"#{part}")
            assert phone.execute_script("return document.documentElement.scrollWidth") <= PHONE[0], part
        show_part(phone, f"#clips?text={shown.real[0]}")
        card = until(lambda: phone.find_elements("css selector", ".card"), "the card is there")[0]
        tap(phone, card)
        playing = "const v = document.querySelector('.card video'); return v && v.currentTime > 0"
        until(lambda: phone.execute_script(playing), "a tap plays the clip")
        assert not phone.execute_script("return document.getElementById('detail').open")
        tap(phone, card)
        until(lambda: phone.execute_script("return document.getElementById('detail').open"), "a second tap opens it")
        assert phone.execute_script("return document.getElementById('detail').scrollWidth") <= PHONE[0]
        assert errors(phone) == []


def tap(phone: Any, element: Any) -> None:
    """A finger on the middle of an element."""
    box = phone.execute_script(
        "const b = arguments[0].getBoundingClientRect(); return [b.x + b.width / 2, b.y + 60]", element
    )
    point = [{"x": box[0], "y": box[1]}]
    phone.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": point})
    phone.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


@pytest.mark.parametrize("dark", [False, True])
def test_text_can_be_read_in_light_and_dark(page, tmp_path, dark):
    with open_browser(tmp_path, DESK, dark=dark) as found:
        ready(found, page)
        for part in PARTS:
            show_part(found, f"#{part}")
            poor = found.execute_script(CONTRAST)
            assert poor == [], part


# WCAG 2.2, 1.4.3: the contrast of every visible text with the first opaque background behind it.
CONTRAST = """
const linear = (v) => v / 255 <= 0.03928 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4;
const lum = (c) => { const [r, g, b] = c.map(linear);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
const rgb = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
const poor = [];
for (const node of document.querySelectorAll("body *")) {
  const own = [...node.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
  if (!own || node.closest("svg, script, style, option, [disabled]") || !node.getClientRects().length) continue;
  let at = node, back = [255, 255, 255];
  for (; at; at = at.parentElement) {
    const c = rgb(getComputedStyle(at).backgroundColor);
    if (c.length === 3 || c[3] === 1) { back = c.slice(0, 3); break; }
  }
  const style = getComputedStyle(node), a = lum(rgb(style.color).slice(0, 3)), b = lum(back);
  const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  if (ratio < 4.5 && parseFloat(style.fontSize) < 18) poor.push([node.textContent.slice(0, 30), ratio.toFixed(2)]);
}
return poor;
"""


def test_served_a_mark_is_stored_and_the_verdict_follows_at_once(shown, tmp_path):
    find_browser()
    from selenium.webdriver import ActionChains, Keys

    shutil.copytree(shown.data.root, tmp_path / "data")
    own = Shown(DataFolder(tmp_path / "data"), shown.evidence, shown.real)
    with serving(own.data) as (address, token), open_browser(tmp_path / "profile") as live:
        ready(live, f"{address}/?token={token}")
        assert token not in live.current_url
        show_part(live, f"#clips?text={own.real[0]}")
        until(lambda: live.find_elements("css selector", ".card.ok"), "the clip is ok")[0].click()
        until(
            lambda: live.execute_script("return document.querySelector('#detail video')?.videoWidth"),
            "the shard's clip plays",
        )
        live.find_element("id", "why").send_keys("feet <b>cut</b> off")
        live.find_element("id", "drop").click()
        until(lambda: "marked drop" in live.find_element("id", "detail").text, "the page shows it")
        assert own.ids(f"SELECT verdict || reason FROM clips WHERE clip_id = '{own.real[0]}'") == ["badmarked_drop"]
        assert own.ids("SELECT who || why FROM decisions") == ["ann <b>feet <b>cut</b> off"]
        live.find_element("id", "close").click()
        ActionChains(live).key_down(Keys.CONTROL).send_keys("d").key_up(Keys.CONTROL).perform()  # a bookmark
        by_key(live, "k")
        until(lambda: own.ids("SELECT decision FROM decisions WHERE newest") == ["keep"], "K keeps")
        assert own.ids("SELECT decision || why FROM decisions ORDER BY decided") == ["dropfeet <b>cut</b> off", "keep"]
        live.refresh()
        until(lambda: live.find_elements("css selector", ".card.ok"), "it is ok again, from the catalog")
        assert errors(live) == []
        outside = {url for url in requests(live) if not url.startswith((address, "data:", "chrome:", "about:"))}
        assert outside == set()


def test_served_a_clip_that_is_marked_is_found_by_its_reason_without_a_reload(shown, tmp_path):
    from selenium.webdriver.support.select import Select

    find_browser()
    shutil.copytree(shown.data.root, tmp_path / "data")
    own = Shown(DataFolder(tmp_path / "data"), shown.evidence, shown.real)
    with serving(own.data) as (address, token), open_browser(tmp_path / "profile") as live:
        ready(live, f"{address}/?token={token}")
        show_part(live, f"#clips?text={own.real[0]}")
        until(lambda: live.find_elements("css selector", ".card.ok"), "the clip is ok")[0].click()
        live.find_element("id", "drop").click()
        until(lambda: "marked drop" in live.find_element("id", "detail").text, "the page shows it")
        live.find_element("id", "close").click()
        Select(live.find_element("id", "f-reason")).select_by_value("marked_drop")
        assert shown_clips(live) == own.ids("SELECT clip_id FROM clips WHERE list_contains(reasons, 'marked_drop')")
        show_part(live, "#clips?reason=marked_drop")
        assert shown_clips(live) == [own.real[0]]


def test_served_without_the_token_nothing_can_be_marked_and_a_change_is_announced(shown, tmp_path):
    find_browser()
    with serving(shown.data) as (address, _), open_browser(tmp_path / "profile") as live:
        ready(live, address)
        show_part(live, f"#clips?text={shown.real[0]}")
        until(lambda: live.find_elements("css selector", ".card"), "the card is there")[0].click()
        assert not live.find_elements("id", "drop")
        assert "Open the address" in live.find_element("id", "detail").text
        live.find_element("id", "close").click()
        with open_catalog(shown.data.catalog) as con:
            rows = con.execute("SELECT * FROM rollout_rows").fetchall()
            merge_rollouts(con, [{"rollout": "late"}])
        until(lambda: live.find_elements("id", "stale"), "the change is announced")
        live.find_element("id", "stale").click()
        until(
            lambda: (
                live.execute_script("return document.querySelector('[data-part=rollouts] small').textContent") == "3"
            ),
            "it is shown",
        )
        with open_catalog(shown.data.catalog) as con:
            con.execute("DELETE FROM rollout_rows WHERE rollout = 'late'")
        assert len(rows) == 2


def test_an_empty_data_set_has_a_page_that_says_so(tmp_path):
    find_browser()
    with open_catalog(tmp_path / "data" / "catalog.duckdb"):
        pass
    write_json(tmp_path / "data" / "build.json", {"raw": "raw", "config": {}})
    command = [
        sys.executable,
        "-m",
        "flows.cli",
        "report",
        "--data",
        str(tmp_path / "data"),
        "--out",
        str(tmp_path / "a b#?.html"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
    assert done.returncode == 0, done.stderr
    with open_browser(tmp_path / "profile") as found:
        ready(found, Path(done.stdout.strip()).as_uri())
        for part in PARTS:
            show_part(found, f"#{part}")
        assert "longdance generate" in found.find_element("id", "main").text
        time.sleep(0.2)
        assert errors(found) == []


def test_the_gallery_holds_no_more_cards_than_are_in_view(chrome):
    show_part(chrome, "#clips?")
    seen = int(chrome.execute_script(f"return {GRID}.dataset.count"))
    assert seen == DRAWN + 2
    assert chrome.execute_script("return document.querySelectorAll('.card').length") < seen * 0.7
