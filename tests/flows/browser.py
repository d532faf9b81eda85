"""A real Chromium for the tests of the page, driven by selenium; found as Debian installs it."""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PHONE = (390, 844)
DESK = (1360, 900)


def find_browser() -> tuple[str, str]:
    """(browser, driver); skips the test, saying so, where there is none."""
    pytest.importorskip("selenium", reason="selenium is not installed: pip install 'longdance[dev]'")
    browser = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    driver = shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.skip("no browser can be had: run tools/browser.sh (apt-get install chromium chromium-driver)")
    return browser, driver


@contextmanager
def open_browser(profile: Path, size: tuple[int, int] = DESK, dark: bool = False) -> Iterator[Any]:
    """A headless browser with a new profile that keeps its console and its requests."""
    from selenium.webdriver import Chrome, ChromeOptions
    from selenium.webdriver.chrome.service import Service

    browser, driver = find_browser()
    options = ChromeOptions()
    options.binary_location = browser
    for flag in (
        "--headless=new", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync",
        "--disable-component-update", "--force-device-scale-factor=1", "--autoplay-policy=no-user-gesture-required",
        f"--user-data-dir={profile}", f"--window-size={size[0]},{size[1]}",
    ):  # fmt: skip
        options.add_argument(flag)
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    chrome = Chrome(options=options, service=Service(driver))
    try:
        chrome.set_page_load_timeout(60)
        # A phone's width is narrower than headless windows get.
        metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size == PHONE}
        chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        if size == PHONE:
            chrome.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True})
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
        yield chrome
    finally:
        chrome.quit()


def until(what: Callable[[], Any], why: str, seconds: float = 20.0) -> Any:
    """What the function gives once it is true."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := what():
            return found
        time.sleep(0.05)
    raise AssertionError(f"after {seconds:g} s still not: {why}")


def ready(chrome: Any, url: str) -> None:
    """Open a page and wait until its script has run to its end."""
    chrome.get(url)
    until(lambda: chrome.execute_script("return document.documentElement.dataset.ready"), "the page is ready")


def errors(chrome: Any) -> list[str]:
    """What the console complained about, policy violations among it."""
    return [entry["message"] for entry in chrome.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]


def requests(chrome: Any) -> set[str]:
    """Every URL that the browser asked for."""
    events = [json.loads(entry["message"])["message"] for entry in chrome.get_log("performance")]
    return {e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"}


def show_part(chrome: Any, part: str) -> None:
    """Go to a part of the page by its hash, as a link would."""
    chrome.execute_script("location.hash = arguments[0]", part)
    name = part.lstrip("#").split("?")[0]
    until(lambda: chrome.execute_script("return document.getElementById('main').dataset.part") == name, part)


def shown_clips(chrome: Any) -> list[str]:
    """Ids of all clips that the gallery lists, in order, by scrolling through it."""
    found: dict[int, str] = {}
    wanted = int(chrome.execute_script("return document.getElementById('grid').dataset.count"))
    chrome.execute_script("scrollTo(0, 0)")

    def seen() -> bool:
        cards = chrome.execute_async_script(
            "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => done("
            "[...document.querySelectorAll('.card')].map((c) => [Number(c.dataset.at), c.dataset.clip]))))"
        )
        found.update(dict(cards))
        chrome.execute_script("scrollBy(0, innerHeight * 0.7)")
        return len(found) >= wanted

    until(seen, f"{wanted} cards were drawn")
    return [found[at] for at in sorted(found)]
