"""Captions by a real HTTP endpoint: each reaches its clip, whatever the server does; the key reaches nobody else."""

from __future__ import annotations

import gzip
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from data_catalog.base.paths import DataFolder
from data_catalog.connection import open_catalog
from flows.catalog.caption_rows import merge_captions
from model.captioning.caption import caption_clips, clips_to_caption, estimate
from model.captioning.config import CaptionConfig, caption_config
from model.captioning.endpoint import RefusedError, api_key
from model.captioning.pictures import question
from model.config import EncodeConfig
from model.data.caption_sets import stored_captions
from model.data.samples import read_samples
from model.errors import ConfigError, DataError
from tests.model.captioning.stub import Stub, chat, endpoint, picture_name, sizes_of
from tests.model.dataset import make_dataset, micro_encode

KEY = "sk-verysecret-0123456789"
CLIPS = 8


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("caption") / "data")


@pytest.fixture
def data(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "data"))


@pytest.fixture
def stub() -> Iterator[Stub]:
    with endpoint() as one:
        yield one


def config(stub: Stub, **more: Any) -> CaptionConfig:
    return caption_config(
        **{"endpoint": stub.url, "model": "eyes/7b", "name": "eyes", "wait_s": 0.01, "frames": 3, **more}
    )


def right(data: Path, config: CaptionConfig) -> dict[str, str]:
    """What the stub says of each clip."""
    asked = {s.clip_id: {"messages": [{"content": question(data, s, 30.0, config)}]} for s in clips_to_caption(data)}
    return {clip: f"dancer {picture_name(one)}" for clip, one in asked.items()}


def texts(data: Path, name: str = "eyes") -> dict[str, str]:
    return {clip: record["caption"] for clip, record in stored_captions(data, name).items()}


def test_each_answer_reaches_its_clip_though_they_come_in_another_order(data, stub):
    stub.delay = lambda question: int(picture_name(question), 16) % 7 * 0.02
    done = caption_clips(data, config(stub, parallel=8), None)
    assert (done.made, done.there, done.failed) == (CLIPS, 0, {})
    assert texts(data) == right(data, config(stub))
    assert len(set(texts(data).values())) == CLIPS


def test_a_clip_is_asked_about_with_its_frames_in_order_and_a_filled_in_question(data, stub):
    caption_clips(data, config(stub, longest=48), None)
    assert all(sizes_of(one) == [(32, 32)] * 3 for one in stub.questions)
    [text, *_] = stub.questions[0]["messages"][0]["content"]
    assert "3 frames of one dance clip of 0.8 seconds" in text["text"]
    assert stub.questions[0]["model"] == "eyes/7b"


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_or_failing_server_is_asked_again(data, stub, status):
    stub.behave = lambda number, question: (status, {"retry-after": "0.02"}, b"later") if number < 3 else None
    done = caption_clips(data, config(stub), None)
    assert done.failed == {}
    assert set(stub.seen.values()) == {3}
    assert texts(data) == right(data, config(stub))


def test_a_server_that_asks_for_time_is_given_it(data, stub):
    stub.behave = lambda number, question: (429, {"retry-after": "0.4"}, b"") if number == 1 else None
    started = time.monotonic()
    caption_clips(data, config(stub, parallel=8), None)
    assert time.monotonic() - started >= 0.4


BROKEN = {
    "no json": (200, {}, b"<html>"),
    "no choices": (200, {}, b'{"choices": []}'),
    "null": chat(None),
    "a number": chat(7),
    "empty": chat("  \n"),
    "endless": chat("la " * 5000),
    "half a character": chat("\ud800"),
    "a list of nothing": chat([]),
    "not an object": (200, {}, b"[1, 2]"),
    "nested without end": (200, {}, b'{"choices": ' + b"[" * 100_000),
    "megabytes": (200, {}, b'{"choices": "' + b"la " * (1 << 20)),
    "compressed megabytes": (200, {"content-encoding": "gzip"}, gzip.compress(bytes(64 << 20))),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_malformed_answer_is_asked_for_again_and_never_kept(data, stub, name):
    bad = picture_name({"messages": [{"content": question(data, clips_to_caption(data)[0], 30.0, config(stub))}]})
    stub.behave = lambda number, question: BROKEN[name] if picture_name(question) == bad else None
    done = caption_clips(data, config(stub, retries=2), None)
    assert list(done.failed) == [clips_to_caption(data)[0].clip_id]
    assert "no caption after 3 tries" in done.failed[clips_to_caption(data)[0].clip_id]
    assert len(texts(data)) == CLIPS - 1
    stub.behave = lambda number, question: None
    again = caption_clips(data, config(stub), None)
    assert (again.made, again.there) == (1, CLIPS - 1)
    assert texts(data) == right(data, config(stub))


def test_content_in_parts_is_read(data, stub):
    stub.behave = lambda number, question: chat([{"type": "text", "text": "she"}, {"type": "text", "text": "turns"}])
    caption_clips(data, config(stub), None)
    assert set(texts(data).values()) == {"she turns"}


def test_at_most_as_many_as_allowed_are_asked_at_once(data, stub):
    stub.delay = lambda question: 0.1
    caption_clips(data, config(stub, parallel=10), None)
    assert stub.most_at_once == CLIPS
    stub.most_at_once = 0
    caption_clips(data, config(stub, parallel=2, name="two"), None)
    assert stub.most_at_once == 2


@pytest.mark.parametrize(
    ("status", "sentence"), [(401, "LONGDANCE_API_KEY"), (404, "check the address"), (400, "vision")]
)
def test_a_refusal_ends_it_in_one_sentence_that_does_not_tell_the_key(data, stub, status, sentence):
    stub.behave = lambda number, question: (status, {}, f"bad key {KEY}".encode())
    with pytest.raises(RefusedError, match=sentence) as refused:
        caption_clips(data, config(stub), KEY)
    assert KEY not in str(refused.value)
    assert len(stub.questions) <= 2 * config(stub).parallel


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_clip_that_is_refused_costs_no_other(data, stub, status):
    bad = picture_name({"messages": [{"content": question(data, clips_to_caption(data)[0], 30.0, config(stub))}]})
    stub.behave = lambda number, question: (status, {}, b"policy") if picture_name(question) == bad else None
    done = caption_clips(data, config(stub), None)
    assert list(done.failed) == [clips_to_caption(data)[0].clip_id]
    assert "policy" in done.failed[clips_to_caption(data)[0].clip_id]
    assert len(texts(data)) == CLIPS - 1
    assert stub.seen[bad] == 1


def test_an_answer_that_drips_is_given_up_in_time(data, stub):
    stub.drip_s = 0.1
    started = time.monotonic()
    done = caption_clips(data, config(stub, retries=0, timeout_s=0.5, parallel=8), None)
    assert len(done.failed) == CLIPS
    assert time.monotonic() - started < 5


CHILD = """
import sys
from pathlib import Path
from model.captioning.caption import caption_clips
from model.captioning.config import caption_config
config = caption_config(endpoint=sys.argv[2], model="eyes/7b", name="eyes", frames=3, parallel=2)
caption_clips(Path(sys.argv[1]), config, None)
"""


def test_a_kill_in_the_middle_loses_only_what_was_in_the_air(data, stub):
    stub.delay = lambda question: 0.15
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(data), stub.url])
    deadline = time.monotonic() + 60
    while len(texts(data)) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    there = texts(data)
    assert 3 <= len(there) < CLIPS
    asked = len(stub.questions)
    done = caption_clips(data, config(stub), None)
    assert done.there == len(there)
    assert len(stub.questions) - asked == CLIPS - len(there)
    assert texts(data) == right(data, config(stub))


def test_the_key_goes_to_the_server_and_nowhere_else(data, stub, tmp_path, caplog, monkeypatch):
    monkeypatch.setenv("LONGDANCE_API_KEY", KEY)
    stub.behave = lambda number, question: (500, {}, KEY.encode()) if number < 2 else None
    with caplog.at_level(logging.DEBUG):
        done = caption_clips(data, config(stub, retries=1), api_key())
        stub.behave = lambda number, question: (500, {}, KEY.encode())
        failed = caption_clips(data, config(stub, retries=0, name="other"), api_key())
    merge_captions(DataFolder(data))
    assert {headers["authorization"] for headers in stub.headers} == {f"Bearer {KEY}"}
    assert done.failed == {}
    assert len(failed.failed) == CLIPS
    assert KEY not in caplog.text
    assert KEY not in "".join(failed.failed.values())
    assert not [path for path in data.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]


def test_a_key_in_the_address_is_refused_and_without_one_none_is_sent(data, stub):
    with pytest.raises(ConfigError, match="from the environment"):
        caption_config(endpoint="http://user:secret@host/v1", model="x")
    with pytest.raises(ConfigError, match="from the environment"):
        caption_config(endpoint="http://host/v1?key=secret", model="x")
    caption_clips(data, config(stub), api_key({}))
    assert "authorization" not in stub.headers[0]
    assert api_key({"OPENAI_API_KEY": "b", "LONGDANCE_API_KEY": "a"}) == "a"


def test_no_refusal_shows_the_key():
    for address in (
        "http://127.0.0.1:secret/v1",
        "http://[secret/v1",
        "http://secret@host/v1",
        "http://host/v1?key=secret",
        "secret@host",
    ):
        with pytest.raises(ConfigError) as refused:
            caption_config(endpoint=address, model="x")
        assert "secret" not in str(refused.value)
    for key in ("secret\u00e9", "secret\nmore", "secret\x00"):
        with pytest.raises(DataError) as refused:
            api_key({"LONGDANCE_API_KEY": key})
        assert "secret" not in str(refused.value)
    assert api_key({"LONGDANCE_API_KEY": "secret\r\n"}) == "secret"


def test_training_asks_which_set_and_captions_csv_comes_before_it(data, stub):
    caption_clips(data, config(stub), None)
    (data / "captions.csv").write_text("clip_id,caption\ns1c0,by hand\n")
    assert {s.clip_id: s.caption for s in read_samples(data)} == {
        clip: "by hand" if clip == "s1c0" else None for clip in right(data, config(stub))
    }
    by_set = {s.clip_id: s.caption for s in read_samples(data, "eyes")}
    assert by_set == {**right(data, config(stub)), "s1c0": "by hand"}
    with pytest.raises(DataError, match=r"Unknown set of captions 'eye'; there are: eyes"):
        read_samples(data, "eye")
    from model.data.latents import codec_folder

    told = EncodeConfig(**{**micro_encode().model_dump(), "captions": "eyes"})
    assert codec_folder(data, micro_encode()) == codec_folder(data, told)


def test_captions_are_rows_with_model_prompt_and_time_and_a_changed_clip_is_asked_about_again(data, stub):
    caption_clips(data, config(stub), None)
    merge_captions(DataFolder(data))
    with open_catalog(data / "catalog.duckdb", read_only=True) as con:
        rows = con.execute("SELECT clip_id, caption, model, prompt, created IS NOT NULL FROM captions").fetchall()
    assert {row[0]: row[1] for row in rows} == right(data, config(stub))
    assert {row[2:] for row in rows} == {("eyes/7b", config(stub).prompt, True)}
    path = data / "captions" / "eyes" / "s0c0.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "caption": "forged"}))  # the seal no longer fits
    assert caption_clips(data, config(stub), None).made == 1


def test_the_cost_is_counted_before_anything_is_asked(data, stub):
    counts = estimate(data, config(stub, max_tokens=100))
    assert counts["clips"] == CLIPS
    assert counts["pictures"] == 3 * CLIPS
    assert counts["tokens_back"] == 100 * CLIPS
    assert 3 * 255 * CLIPS < counts["tokens_out"] < 3 * 255 * CLIPS + 200 * CLIPS
    assert stub.questions == []
    caption_clips(data, config(stub), None)
    assert estimate(data, config(stub))["clips"] == 0
