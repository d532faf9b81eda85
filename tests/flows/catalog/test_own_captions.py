"""A caption of a person's own, by the page: it goes into captions.csv, and what else stands there stays."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from data_catalog.base.errors import LongdanceError
from data_catalog.base.paths import DataFolder
from flows.catalog.own_captions import captions_for_page, write_own_caption
from flows.report.serve import Server, make_app
from model.data.caption_sets import write_caption
from model.data.samples import read_samples
from tests.model.dataset import make_dataset

PORT = 8123


@pytest.fixture
def data(tmp_path: Path) -> DataFolder:
    return DataFolder(make_dataset(tmp_path / "data"))


def captions(data: DataFolder) -> dict[str, str | None]:
    return {sample.clip_id: sample.caption for sample in read_samples(data.root) if sample.caption}


def test_lines_are_added_changed_and_taken_back_and_others_stay(data):
    data.captions.write_text('\ufeffsource_id,caption,who\nsource-0,"a dance, slow",anna\n', "utf-8")
    assert write_own_caption(data, "s1c0", " she\nturns ")["caption"] == "she turns"
    assert captions(data) == {"s0c0": "a dance, slow", "s0c1": "a dance, slow", "s1c0": "she turns"}
    assert "anna" in data.captions.read_text()
    write_own_caption(data, "s1c0", "she leaps")
    assert captions(data)["s1c0"] == "she leaps"
    assert write_own_caption(data, "s1c0", "") == {"clip": "s1c0", "caption": ""}
    assert captions(data) == {"s0c0": "a dance, slow", "s0c1": "a dance, slow"}


def test_a_broken_file_of_a_persons_is_not_written_over(data):
    data.captions.write_text("clip_id,caption\nnobody,x\n")
    with pytest.raises(LongdanceError, match="no clip 'nobody'"):
        write_own_caption(data, "s1c0", "she turns")
    assert data.captions.read_text() == "clip_id,caption\nnobody,x\n"
    with pytest.raises(LongdanceError, match="There is no clip 's9c9'"):
        write_own_caption(data, "s9c9", "x")


def test_the_page_is_told_every_set_and_the_persons_own(data):
    record = dict.fromkeys(("source_id", "mp4_sha256", "model", "prompt", "created"), "x")
    write_caption(data.root, "eyes", {**record, "clip_id": "s0c0", "caption": "by a machine"})
    write_own_caption(data, "s0c0", "by hand")
    assert captions_for_page(data) == {"s0c0": {"": "by hand", "eyes": "by a machine"}}


def test_the_server_takes_a_caption_with_its_token_alone(data):
    server = Server(data, "token", "anna")
    client = TestClient(
        make_app(server, PORT), base_url=f"http://127.0.0.1:{PORT}", headers={"origin": f"http://127.0.0.1:{PORT}"}
    )
    body, own = {"clip": "s0c0", "caption": "she turns"}, {"x-longdance-token": "token"}
    assert client.post("/api/captions", json=body).status_code == 403
    assert captions(data) == {}
    answer = client.post("/api/captions", json=body, headers=own)
    assert (answer.status_code, answer.json()) == (200, {"clip": "s0c0", "caption": "she turns"})
    assert captions(data) == {"s0c0": "she turns"}
    assert "she turns" in client.get("/").text
    wrong = client.post("/api/captions", json={"clip": 7}, headers=own)
    assert wrong.status_code == 400
    assert "{clip: clip id, caption: text}" in wrong.json()["error"]
