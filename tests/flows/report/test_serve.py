"""`longdance serve` over real sockets: it reads, it answers nobody else, and a write needs its token."""

import http.client
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import av
import psutil
import pytest

from data_catalog.base.paths import DataFolder
from data_catalog.connection import open_catalog
from flows.report.loopback import ranged
from flows.report.serve import Server
from flows.report.stored_clip import stored_member, stored_video
from tests.flows.shown import Shown, serving, shown

__all__ = ["shown"]
TOKEN = "X-Longdance-Token"


@pytest.fixture(scope="module")
def server(shown: Shown) -> Iterator[tuple[str, str]]:
    with serving(shown.data) as found:
        yield found


def ask(
    address: str, method: str, path: str, headers: dict[str, str] | None = None, body: Any = None
) -> tuple[int, dict[str, str], bytes]:
    """One request exactly as given: the path is sent as it is, the Host header may be anything."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=30)
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        data = json.dumps(body).encode() if body is not None else b""
        given = {"Host": urlsplit(address).netloc, "Content-Length": str(len(data))} | (headers or {})
        for name, value in given.items():
            connection.putheader(name, value)
        connection.endheaders(data)
        answer = connection.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def decide(address: str, token: str, body: Any, **more: str) -> tuple[int, Any]:
    headers = {"Origin": address, TOKEN: token, "Content-Type": "application/json"} | more
    status, _, data = ask(address, "POST", "/api/decisions", headers, body)
    return status, json.loads(data)


def test_it_listens_on_loopback_alone(server):
    port = urlsplit(server[0]).port
    listening = [c.laddr.ip for c in psutil.net_connections("tcp") if c.status == "LISTEN" and c.laddr.port == port]
    assert listening == ["127.0.0.1"]
    outside = [a.address for group in psutil.net_if_addrs().values() for a in group if a.family == socket.AF_INET]
    for host in set(outside) - {"127.0.0.1"}:
        with pytest.raises(OSError, match=r"refused|timed out|unreachable"):
            socket.create_connection((host, port), timeout=2)


def test_the_page_comes_with_a_policy_and_without_the_token(server):
    status, headers, body = ask(server[0], "GET", "/")
    assert status == 200
    assert b"Content-Security-Policy" in body
    assert server[1].encode() not in body
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1", "127.0.0.1:1", "localhost.evil.example", ""]
)
@pytest.mark.parametrize("path", ["/", "/api/stamp", "/media/posters/dr/drawn-00001.jpg"])
def test_another_name_for_this_address_is_refused(server, host, path):
    status, _, body = ask(server[0], "GET", path, {"Host": host})
    assert status == 403
    assert b"<html" not in body


def test_localhost_is_its_other_name(server):
    assert ask(server[0], "GET", "/api/stamp", {"Host": f"localhost:{urlsplit(server[0]).port}"})[0] == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1", "http://127.0.0.1:1"])
def test_another_sites_page_may_neither_read_nor_write_even_with_the_token(server, shown, origin):
    assert ask(server[0], "GET", "/api/stamp", {"Origin": origin})[0] == 403
    status, _ = decide(server[0], server[1], {"clips": shown.real[:1], "decision": "drop"}, Origin=origin)
    assert status == 403
    assert shown.ids("SELECT clip_id FROM decisions") == []


def test_a_write_without_origin_token_or_json_is_refused_and_leaves_nothing(server, shown):
    body = {"clips": shown.real[:1], "decision": "drop"}
    address, token = server
    json_type = {"Content-Type": "application/json"}
    assert ask(address, "POST", "/api/decisions", {TOKEN: token, **json_type}, body)[0] == 403
    assert ask(address, "POST", "/api/decisions", {"Origin": address, **json_type}, body)[0] == 403
    for wrong in ("", "x", token[:-1], token + "a", "é"):
        headers = {"Origin": address, TOKEN: wrong.encode().decode("latin-1"), **json_type}
        assert ask(address, "POST", "/api/decisions", headers, body)[0] == 403
    assert decide(address, token, body, **{"Content-Type": "text/plain"})[0] == 415
    assert decide(address, token, body, **{"Content-Type": "application/x-www-form-urlencoded"})[0] == 415
    for method in ("PUT", "DELETE", "PATCH"):
        assert ask(address, method, "/api/decisions", {"Origin": address, TOKEN: token}, body)[0] in (403, 405)
    assert shown.ids("SELECT clip_id FROM decisions") == []
    assert not shown.data.decisions.exists()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ([], "JSON like"),
        ({"clips": "x", "decision": "drop"}, "JSON like"),
        ({"clips": [1], "decision": "drop"}, "JSON like"),
        ({"clips": ["nobody"], "decision": "drop"}, "no clip 'nobody'"),
        ({"clips": ["drawn-00001"]}, "'None'"),
        ({"clips": ["drawn-00001"], "decision": "drop", "why": 3}, "expected a text"),
        ({"clips": ["drawn-00001"], "decision": "drop", "why": "\ud800"}, "is not text"),
        ({"clips": ["x' OR 1=1 --"], "decision": "drop"}, "no clip"),
        ({"clips": ["drawn-00000"], "decision": "keep"}, "cannot be kept"),
    ],
)
def test_a_decision_that_does_not_fit_is_one_sentence(server, shown, body, words):
    status, answer = decide(*server, body)
    assert status == 400
    assert words in answer["error"]
    assert shown.ids("SELECT clip_id FROM decisions") == []


@pytest.mark.parametrize("text", ["[" * 400_000, '{"clips":' * 100_000, "{", "\\", ""])
def test_what_is_no_json_or_nested_too_deeply_is_refused(server, text):
    headers = {"Origin": server[0], TOKEN: server[1], "Content-Type": "application/json"}
    request = urllib.request.Request(f"{server[0]}/api/decisions", text.encode(), headers)
    with pytest.raises(urllib.error.HTTPError, match="400") as refused:
        urllib.request.urlopen(request, timeout=30)
    assert "not JSON" in json.load(refused.value)["error"]


def test_a_decision_is_stored_with_who_when_and_why_and_changes_the_verdict(server, shown):
    clip = shown.real[0]
    status, answer = decide(*server, {"clips": [clip], "decision": "drop", "why": "<script>"})
    assert (status, answer["who"]) == (200, "ann <b>")
    assert answer["clips"][clip]["verdict"] == "bad"
    assert shown.ids(f"SELECT reason FROM clips WHERE clip_id = '{clip}'") == ["marked_drop"]
    assert shown.ids("SELECT why FROM decisions WHERE newest") == ["<script>"]
    assert decide(*server, {"clips": [clip], "decision": "clear"})[0] == 200
    assert shown.ids(f"SELECT verdict FROM clips WHERE clip_id = '{clip}'") == ["ok"]
    with open_catalog(shown.data.catalog) as con:  # back to what the other tests expect
        con.execute("DELETE FROM decision_rows")
    for path in shown.data.decisions.iterdir():
        path.unlink()
    shown.data.decisions.rmdir()


@pytest.mark.parametrize(
    "path",
    [
        "/media/posters/../../catalog.duckdb",
        "/media/posters/%2e%2e/%2e%2e%2fcatalog.duckdb",
        "/../../../etc/passwd",
        "/media/frames/et/..%2f..%2f..%2fetc%2fpasswd",
        "/media/rollouts/..%2f..%2fcatalog.duckdb",
        "//etc/passwd",
        "/media/rollouts/%2fetc%2fpasswd",
        "/media/rollouts/.mp4",
        "/media/videos/ca/..%2fcatalog.mp4",
        "/catalog.duckdb",
        "/media/other/dr/drawn-00001.jpg",
        "/media/posters/dr/drawn-00001.mp4",
        "/media/posters/xx/drawn-00001.jpg",
        "/media/posters/dr/drawn-00001.jpg%00.png",
        "/build.json",
        "/media/posters/dr/drawn-00001.jpg",
        "/flows/cli/main.py",
        f"/media/posters/aa/{'a' * 300}.jpg",
        f"/media/videos/aa/{'a' * 300}.mp4",
        f"/media/rollouts/{'%C3%A9' * 90}.mp4",
    ],
)
def test_no_path_but_a_clips_own_pictures_is_answered(server, path):
    status, _, body = ask(server[0], "GET", path)
    assert status == 404, body[:200]
    assert b"DUCK" not in body
    assert b"root:" not in body


def test_a_link_among_the_rollouts_leads_nowhere(server, shown):
    folder = shown.data.root / "report_files" / "rollouts"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "abc.mp4").symlink_to("/etc/passwd")
    assert ask(server[0], "GET", "/media/rollouts/abc.mp4")[0] == 404
    (folder / "abc.mp4").unlink()


def packets(data: bytes, kind: str) -> list[bytes]:
    with av.open(io.BytesIO(data)) as container:
        return [bytes(packet) for packet in container.demux(getattr(container.streams, kind)) if packet.size]


def test_a_stored_clip_plays_with_its_sound_from_its_shard_and_by_ranges(server, shown):
    clip = shown.real[0]
    url = f"/media/videos/{clip[:2]}/{clip}.mp4"
    status, headers, whole = ask(server[0], "GET", url)
    assert (status, headers["content-type"]) == (200, "video/mp4")
    stored = stored_member(shown.data, clip, "mp4")
    assert packets(whole, "video") == packets(stored, "video")
    assert len(packets(whole, "audio")) >= 47
    status, headers, part = ask(server[0], "GET", url, {"Range": "bytes=100-199"})
    assert (status, headers["content-range"], part) == (206, f"bytes 100-199/{len(whole)}", whole[100:200])


def test_a_clip_without_sound_plays_as_it_is_stored_byte_for_byte(shown, tmp_path):
    clip = shown.real[0]
    copy = DataFolder(tmp_path / "data")
    copy.root.mkdir()
    shutil.copy(shown.data.catalog, copy.catalog)
    copy.shards.symlink_to(shown.data.shards)
    with open_catalog(copy.catalog) as con:
        con.execute("UPDATE sample_rows SET flac_offset = NULL, flac_length = NULL")
    assert stored_video(copy, clip) == stored_member(shown.data, clip, "mp4")
    assert stored_member(copy, clip, "flac") is None
    assert stored_video(copy, "no such clip") is None


@pytest.mark.parametrize(
    ("wanted", "status", "part"),
    [
        (None, 200, b"0123456789"),
        ("bytes=0-", 206, b"0123456789"),
        ("bytes=3-5", 206, b"345"),
        ("bytes=-2", 206, b"89"),
        ("bytes=8-99", 206, b"89"),
        ("bytes=-99", 206, b"0123456789"),
        ("bytes=10-", 416, b""),
        ("bytes=5-3", 416, b""),
        ("bytes=0-1,3-4", 200, b"0123456789"),
        ("lines=0-1", 200, b"0123456789"),
        ("bytes=-", 200, b"0123456789"),
        ("bytes=a-b", 200, b"0123456789"),
        ("bytes=-0", 416, b""),
    ],
)
def test_a_range_of_bytes_is_what_rfc_9110_says(wanted, status, part):
    answer = ranged(b"0123456789", wanted, "video/mp4")
    assert (answer.status_code, answer.body) == (status, part)


def test_pictures_are_made_when_they_are_asked_for(server, shown):
    clip = shown.real[0]
    for kind, suffix, kind_of in (
        ("posters", "jpg", "image/jpeg"),
        ("frames", "jpg", "image/jpeg"),
        ("previews", "mp4", "video/mp4"),
    ):
        status, headers, body = ask(server[0], "GET", f"/media/{kind}/{clip[:2]}/{clip}.{suffix}")
        assert (status, headers["content-type"]) == (200, kind_of)
        assert len(body) > 500


def test_ctrl_c_ends_it_without_a_word_and_a_taken_port_is_one_sentence(shown):
    command = [sys.executable, "-m", "flows.cli", "serve", "--data", str(shown.data.root), "--port"]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        refused = subprocess.run([*command, str(taken.getsockname()[1])], capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "choose another with --port" in refused.stderr
    assert refused.stderr.count("\n") == 1
    process = subprocess.Popen([*command, "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    os.kill(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=90)
    assert process.returncode == 0
    assert "Traceback" not in said


def test_a_name_that_no_mark_can_carry_is_refused_before_anything_is_served(shown):
    command = [sys.executable, "-m", "flows.cli", "serve", "--data", str(shown.data.root), "--port", "0"]
    done = subprocess.run([*map(os.fsencode, command), b"--who", b"J\xf6rg"], capture_output=True, check=False)
    assert done.returncode == 2
    assert b"is not text in UTF-8" in done.stderr
    assert done.stderr.count(b"\n") == 1


def test_a_folder_without_a_data_set_is_one_sentence_and_exit_code_2(tmp_path: Path):
    for name in ("serve", "report"):
        done = subprocess.run(
            [sys.executable, "-m", "flows.cli", name, "--data", str(tmp_path)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 2
        assert "holds no data set" in done.stderr
        assert done.stderr.count("\n") == 1


def test_many_readers_beside_a_build_share_the_pages_that_are_made(shown):
    """Each reader would otherwise wait for a page of its own, made after everybody else's."""
    server, built = Server(shown.data, "token", "ann"), threading.Event()

    def change() -> None:
        while not built.wait(0.005):
            os.utime(shown.data.catalog)

    changing = threading.Thread(target=change)
    changing.start()
    try:
        with ThreadPoolExecutor(12) as readers:
            pages = list(readers.map(lambda _: server.page(), range(12)))
    finally:
        built.set()
        changing.join()
    assert len({id(page) for page in pages}) <= 3
