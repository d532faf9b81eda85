"""What a user sees in Prefect's own pages, in a real browser: names that read well, progress, logs, tables, a form."""

import io
import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.flows.browser import open_browser, until
from tests.flows.conftest import build, deploy_all


@pytest.fixture(scope="module")
def chrome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with open_browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture(scope="module")
def built_run(raw: Path, server: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The flow run of a build that has ended."""
    build(raw, tmp_path_factory.mktemp("shown") / "my-dance", server)
    return newest(server, "flow_runs", {"flow_runs": {"name": {"any_": ["build my-dance"]}}})


def newest(env: dict[str, str], kind: str, where: dict[str, Any]) -> dict[str, Any]:
    """The first object that the server's API finds."""
    url = f"{env['PREFECT_API_URL']}/{kind}/filter"
    request = urllib.request.Request(url, json.dumps(where).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return dict(json.loads(answer.read())[0])


def shows(chrome: Any, env: dict[str, str], page: str, *texts: str) -> None:
    """Open a page of the UI and wait for every text; the picture of it lies in the browser's folder and is no blank."""
    chrome.get(env["PREFECT_API_URL"].removesuffix("/api") + page)
    for text in texts:
        until(lambda text=text: text in chrome.find_element("tag name", "body").text, f"{page} shows {text!r}", 60)
    picture = np.asarray(Image.open(io.BytesIO(chrome.get_screenshot_as_png())).convert("L"), float)
    assert picture.std() > 5


def test_a_build_reads_well_in_prefects_pages(server, chrome, built_run):
    shows(chrome, server, "/runs", "build my-dance")
    shows(chrome, server, f"/runs/flow-run/{built_run['id']}", "build my-dance", "Completed", "prepare: 3 of 3")
    shows(chrome, server, "/artifacts", "clips-by-verdict", "build-counters")


def test_the_form_of_a_deployment_says_what_each_parameter_means(server, chrome):
    env = deploy_all(server)
    name = {"flows": {"name": {"any_": ["build-dataset"]}}}
    form = f"/deployments/deployment/{newest(env, 'deployments', name)['id']}/run"
    texts = ("Folder of raw videos, or their address in object storage", "frames of a clip", "Validate parameters")
    shows(chrome, env, form, *texts)


def test_a_task_is_named_after_what_it_works_on(server, built_run):
    where = {"flow_runs": {"id": {"any_": [built_run["id"]]}}, "task_runs": {"name": {"like_": "hash "}}}
    name = newest(server, "task_runs", where)["name"]
    assert name.startswith("hash ")
    assert Path(name.removeprefix("hash ").split(" and ")[0]).suffix == ".mp4"
    assert "and 0 more" not in name
