"""The door and what lies behind it: every hostile file has its own code, and the rest of a batch is unharmed."""

import contextlib
import os
import random
import re
import shutil
import socket
import struct
import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from data_catalog.base.errors import LongdanceError, RejectedError
from data_catalog.base.files import read_json
from data_catalog.base.paths import DataFolder
from pipeline.analysis.pose import PoseFinder
from pipeline.batches.prepare_sources import (
    build_keys,
    forget_limited,
    prepare_source,
    prepare_sources,
    record_rejected,
)
from pipeline.batches.sources import hash_source, nameless_id, require_videos
from pipeline.config import BuildConfig, LimitsConfig, SoundConfig
from pipeline.video.ffmpeg import decode, ffmpeg_exe, open_source, source_input
from tests.conftest import SMALL
from tests.pipeline.videos import ffmpeg, write_numbered

X264 = ("-c:v", "libx264", "-crf", "20", "-pix_fmt", "yuv420p")
Manifests = dict[bytes, dict[str, Any]]


def prepare_folder(raw: Path, data: DataFolder, config: BuildConfig, model: Path) -> Manifests:
    """What the flow does with a folder of raw files: file name to clip manifest."""
    ids: dict[bytes, str] = {}
    batch: dict[str, bytes] = {}
    for file in require_videos(raw):
        try:
            ids[file.path] = hash_source(file)
            batch.setdefault(ids[file.path], file.path)
        except RejectedError as error:
            ids[file.path] = nameless_id(file.path)
            record_rejected(data, ids[file.path], file.path, config, error.code, error.detail)
    done = prepare_sources(data, sorted(batch.items()), config, model)
    assert done["sources_failed"] == 0
    folder = data.clip_set(build_keys(config).clip_set)
    return {os.path.basename(path): read_json(folder / f"{name}.json") for path, name in ids.items()}  # noqa: PTH119


def apng(path: Path, side: int) -> None:
    """A hand-written animated PNG whose header states `side` x `side` pixels; the binary cannot encode that."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    control = struct.pack(">IIIIIHHBB", 0, side, side, 0, 0, 1, 25, 0, 0)
    pixels = zlib.compress(bytes(1 << 20))
    parts = [chunk(b"IHDR", header), chunk(b"acTL", struct.pack(">II", 1, 0)), chunk(b"fcTL", control)]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join([*parts, chunk(b"IDAT", pixels), chunk(b"IEND", b"")]))


def patched(source: Path, path: Path, offset: int, data: bytes) -> None:
    """A copy with some bytes replaced."""
    content = bytearray(source.read_bytes())
    content[offset : offset + len(data)] = data
    path.write_bytes(content)


def flipped(source: Path, path: Path) -> None:
    """A copy with random bits of its picture data flipped."""
    content, rng = bytearray(source.read_bytes()), random.Random(0)
    for _ in range(400):
        content[rng.randrange(3000, len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(content)


def over_reporting(source: Path, path: Path) -> None:
    """A copy of an AVI whose headers promise a thousand times the frames."""
    content = bytearray(source.read_bytes())
    for mark, distance in ((b"avih", 8 + 16), (b"strh", 8 + 32)):
        at = content.index(mark) + distance
        frames = struct.unpack_from("<I", content, at)[0]
        assert 30 <= frames <= 60
        struct.pack_into("<I", content, at, frames * 1000)
    path.write_bytes(content)


def make_files(raw: Path, dancer: Path) -> dict[bytes, str | None]:
    """Hostile files and fine ones; each name's expected reject code (None: status ok)."""
    film = write_numbered(raw / "nobody.mp4", 60, *X264)
    slow_end = write_numbered(raw / "no_faststart.mp4", 60, *X264)
    fast = write_numbered(raw / "faststart.mp4", 60, *X264, "-movflags", "+faststart")
    shutil.copy(dancer, raw / "dancer.mp4")
    shutil.copy(dancer, raw / "the same dancer.mp4")
    (raw / "empty.mp4").touch()
    (raw / "text.mp4").write_text("This is a text, not a video.\n" * 40)
    (raw / "random.mp4").write_bytes(random.Random(1).randbytes(50000))
    (raw / "half.mp4").write_bytes(fast.read_bytes()[: fast.stat().st_size // 2])
    (raw / "no_index.mp4").write_bytes(slow_end.read_bytes()[: slow_end.stat().st_size // 2])
    flipped(dancer, raw / "flipped.mp4")
    ffmpeg("-f", "lavfi", "-i", "sine=d=1", "-c:a", "aac", str(raw / "audio.mp4"))
    write_numbered(raw / "one_frame.mp4", 1, *X264)
    ffmpeg("-f", "lavfi", "-i", "testsrc=s=64x64:d=1:r=1", "-frames:v", "1", "-f", "apng", str(raw / "still.mp4"))
    write_numbered(raw / "24_frames.mp4", 24, *X264)
    write_numbered(raw / "15_fps.mp4", 60, *X264, rate="15")
    apng(raw / "huge_apng.mp4", 16384)
    small = write_numbered(raw / "small.gif", 30)
    patched(small, raw / "huge.gif", 6, struct.pack("<HH", 16384, 16384))
    motion = write_numbered(raw / "small.avi", 30, "-c:v", "mjpeg", "-pix_fmt", "yuvj420p")
    start = motion.read_bytes().index(b"\xff\xc0") + 5
    patched(motion, raw / "huge.avi", start, struct.pack(">HH", 16384, 16384))
    over_reporting(write_numbered(raw / "fine.avi", 50, "-c:v", "mpeg4"), raw / "over_reports.avi")
    (raw / "hls.mp4").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\ndancer.mp4\n#EXT-X-ENDLIST\n")
    (raw / "concat.mp4").write_text(f"ffconcat version 1.0\nfile '{raw / 'dancer.mp4'}'\n")
    (raw / "dash.mp4").write_text('<?xml version="1.0"?>\n<MPD><BaseURL>dancer.mp4</BaseURL></MPD>\n')
    (raw / "link.mp4").symlink_to(raw / "dancer.mp4")
    (raw / "folder link").symlink_to(dancer.parent)
    os.mkfifo(raw / "pipe.mp4")
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as server:
        server.bind(str(raw / "socket.mp4"))
    film.rename(raw / "nobody.mp4")
    return {
        b"dancer.mp4": None, b"the same dancer.mp4": None,
        b"nobody.mp4": "no_dancer", b"no_faststart.mp4": "no_dancer", b"faststart.mp4": "no_dancer",
        b"small.gif": "no_dancer", b"small.avi": "no_dancer", b"fine.avi": "no_dancer",
        b"empty.mp4": "empty_file", b"text.mp4": "not_a_video", b"random.mp4": "not_a_video",
        b"half.mp4": "truncated", b"no_index.mp4": "truncated", b"flipped.mp4": "damaged",
        b"audio.mp4": "no_video_stream", b"one_frame.mp4": "still_picture", b"still.mp4": "not_a_video",
        b"24_frames.mp4": "too_short", b"15_fps.mp4": "low_rate",
        b"huge_apng.mp4": "picture_too_large", b"huge.gif": "picture_too_large", b"huge.avi": "picture_too_large",
        b"over_reports.avi": "truncated",
        b"hls.mp4": "playlist_refused", b"concat.mp4": "playlist_refused", b"dash.mp4": "playlist_refused",
        b"link.mp4": "not_regular", b"folder link": "not_regular", b"pipe.mp4": "not_regular",
        b"socket.mp4": "not_regular",
    }  # fmt: skip


def listing(folder: Path) -> list[tuple[str, int, int, int]]:
    return sorted(
        (str(path), path.lstat().st_size, path.lstat().st_mtime_ns, path.lstat().st_mode) for path in folder.rglob("*")
    )


def ffmpegs() -> list[int]:
    """Running children of this process."""
    return [child.pid for child in psutil.Process().children(recursive=True) if "ffmpeg" in child.name()]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory, dancer: Path, pose_model: Path) -> dict[str, Any]:
    """A folder of hostile files, prepared while it is read-only."""
    raw, data = tmp_path_factory.mktemp("raw"), DataFolder(tmp_path_factory.mktemp("data"))
    expected = make_files(raw, dancer)
    raw.chmod(0o555)
    before = listing(raw)
    found = prepare_folder(raw, data, SMALL, pose_model)
    after = listing(raw)
    raw.chmod(0o755)
    return {"raw": raw, "data": data, "expected": expected, "found": found, "before": before, "after": after}


def test_every_hostile_file_has_its_own_reject_code_and_the_rest_is_unharmed(hostile: dict[str, Any]) -> None:
    found = {name: manifest["reason"] for name, manifest in hostile["found"].items()}
    assert found == hostile["expected"]
    dancer = hostile["found"][b"dancer.mp4"]
    assert dancer["status"] == "ok"
    assert len(dancer["clips"]) == 2


def test_every_rejection_says_in_one_printable_sentence_what_was_found(hostile: dict[str, Any]) -> None:
    for name, manifest in hostile["found"].items():
        if manifest["status"] == "rejected":
            assert re.fullmatch(r"[A-Z0-9].{15,400}\.", manifest["detail"]), name
            assert manifest["detail"].isprintable()


def test_the_raw_folder_is_only_read(hostile: dict[str, Any]) -> None:
    assert hostile["before"] == hostile["after"]


def test_no_ffmpeg_and_no_temp_file_is_left_behind(hostile: dict[str, Any]) -> None:
    assert ffmpegs() == []
    assert list(hostile["data"].root.rglob(".tmp-*")) == []


def test_180_frames_are_too_short_and_181_are_not(tmp_path: Path, finder: PoseFinder) -> None:
    config = BuildConfig(analysis=SMALL.analysis)
    for frames, code in ((180, "too_short"), (181, "no_dancer")):
        path = write_numbered(tmp_path / f"{frames}.mp4", frames, *X264)
        data = DataFolder(tmp_path / "data")
        prepare_source(data, str(frames), bytes(path), config, finder)
        assert read_json(data.clips(str(frames), build_keys(config).clip_set))["reason"] == code


NAMES = [
    b"two words.mp4", b"it's \"quoted\".mp4", b"new\nline.mp4", b"-i.mp4", b"-vf.mp4", b"a%03d.mp4", b"caf\xe9\xff.mp4",
    b"'); DROP TABLE sources; --.mp4", b"concat:a|b.mp4", b"http:__x.mp4", b"$(touch x)`id`.mp4", b"*?[a].mp4",
    b"fd:0.mp4", "日本語 🕺.mp4".encode(), b"no suffix", b"not.hidden.mp4", b"x" * 251 + b".mp4",
]  # fmt: skip


def test_no_name_keeps_a_file_from_being_read(tmp_path: Path, pose_model: Path) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    content = write_numbered(tmp_path / "film.mp4", 30, *X264).read_bytes()
    for number, name in enumerate(NAMES):
        free = struct.pack(">I4s", 8 + number, b"free") + bytes(number)  # its own bytes, so its own source
        with open(os.path.join(bytes(raw), name), "wb") as file:  # noqa: PTH118, PTH123
            file.write(content + free)
    found = prepare_folder(raw, DataFolder(tmp_path / "data"), SMALL, pose_model)
    assert {name: (m["reason"], m["frames"]) for name, m in found.items()} == dict.fromkeys(NAMES, ("no_dancer", 30))
    assert sorted(os.fsencode(path.name) for path in raw.iterdir()) == sorted(NAMES)


@contextlib.contextmanager
def without_root() -> Iterator[None]:
    """Run as nobody, where permissions hold."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_an_unreadable_file_and_an_unreadable_folder_are_recorded_as_such(tmp_path: Path) -> None:
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.getuid() and folder.name.startswith(("pytest", "popen", "test")):
            folder.chmod(folder.stat().st_mode | 0o055)
    for name in ("fine.mp4", "secret.mp4"):
        (tmp_path / name).write_bytes(b"bytes of " + name.encode())
    (tmp_path / "closed").mkdir()
    (tmp_path / "closed" / "inside.mp4").touch()
    (tmp_path / "secret.mp4").chmod(0)
    (tmp_path / "closed").chmod(0)
    codes: dict[bytes, str] = {}
    try:
        with without_root():
            for file in require_videos(tmp_path):
                try:
                    codes[file.path.rpartition(b"/")[2]] = hash_source(file)[:4]
                except RejectedError as error:
                    codes[file.path.rpartition(b"/")[2]] = error.code
    finally:
        (tmp_path / "closed").chmod(0o755)
    assert codes == {b"closed": "unreadable", b"fine.mp4": codes[b"fine.mp4"], b"secret.mp4": "unreadable"}
    assert codes[b"fine.mp4"] != "unreadable"


def test_a_source_that_vanishes_before_its_turn_is_tried_again_by_the_next_run(
    tmp_path: Path, dancer: Path, pose_model: Path
) -> None:
    data, path = DataFolder(tmp_path / "data"), tmp_path / "gone.mp4"
    done = prepare_sources(data, [("s1", bytes(path)), ("s2", bytes(dancer))], SMALL, pose_model)
    assert (done["sources_unopened"], done["sources_failed"]) == (1, 0)
    assert not data.clips("s1", build_keys(SMALL).clip_set).exists()
    assert read_json(data.clips("s2", build_keys(SMALL).clip_set))["status"] == "ok"
    shutil.copy(dancer, path)
    done = prepare_sources(data, [("s1", bytes(path))], SMALL, pose_model)
    assert read_json(data.clips("s1", build_keys(SMALL).clip_set))["status"] == "ok"


def rejected_with(limits: LimitsConfig, path: Path, tmp_path: Path, finder: PoseFinder) -> dict[str, Any]:
    config = SMALL.model_copy(update={"limits": limits})
    data = DataFolder(tmp_path / "data")
    prepare_source(data, "s", bytes(path), config, finder)
    return dict(read_json(data.clips("s", build_keys(config).clip_set)))


@pytest.mark.parametrize("wall_s", [0.001, 0.6])
def test_the_wall_clock_ends_a_decode_that_takes_too_long(wall_s: float, tmp_path: Path, finder: PoseFinder) -> None:
    path = tmp_path / "long.mp4"
    ffmpeg("-f", "lavfi", "-i", "testsrc2=s=1280x720:r=25:d=20", "-c:v", "libx264", "-preset", "ultrafast",
           "-crf", "20", str(path))  # fmt: skip
    manifest = rejected_with(LimitsConfig(wall_s=wall_s), path, tmp_path, finder)
    assert manifest["reason"] == "timeout"
    assert f"{wall_s:g} s" in manifest["detail"]
    assert ffmpegs() == []


def test_the_memory_limit_ends_a_decode_that_takes_too_much(tmp_path: Path, finder: PoseFinder) -> None:
    path = tmp_path / "wide.mp4"
    ffmpeg("-f", "lavfi", "-i", "color=s=4096x4096:r=25:d=1.2", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt",
           "yuv420p", str(path))  # fmt: skip
    assert rejected_with(LimitsConfig(), path, tmp_path / "a", finder)["reason"] == "no_dancer"
    assert rejected_with(LimitsConfig(memory_mb=256), path, tmp_path / "b", finder)["reason"] == "damaged"
    assert ffmpegs() == []


def test_a_playlist_opens_nothing_else_even_where_it_is_taken_for_a_video(dancer: Path, tmp_path: Path) -> None:
    """Without the door, ffmpeg does decode the sibling; behind the door, the format is not even recognised."""
    for name, text in {
        "concat.mp4": f"ffconcat version 1.0\nfile '{dancer}'\n",
        "hls.m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{dancer}\n#EXT-X-ENDLIST\n",
    }.items():
        (tmp_path / name).write_text(text)
        plain = [ffmpeg_exe(), "-v", "error", "-safe", "0"] if name == "concat.mp4" else [ffmpeg_exe(), "-v", "error"]
        opened = subprocess.run(
            [*plain, "-i", str(tmp_path / name), "-frames:v", "1", "-f", "null", "-"], capture_output=True, check=False
        )
        assert opened.returncode == 0, opened.stderr
        descriptor = open_source(bytes(tmp_path / name))
        try:
            with (
                decode(source_input(descriptor, LimitsConfig(), 0), descriptor, (480, 270), LimitsConfig()) as frames,
                pytest.raises(RejectedError) as caught,
            ):
                next(frames)
        finally:
            os.close(descriptor)
        assert "Error opening input" in caught.value.detail


def test_what_is_done_is_not_done_again(hostile: dict[str, Any], pose_model: Path) -> None:
    raw, data = hostile["raw"], hostile["data"]
    before = {path: path.stat().st_mtime_ns for path in data.root.rglob("*") if path.is_file()}
    assert prepare_folder(raw, data, SMALL, pose_model).keys() == hostile["expected"].keys()
    assert {path: path.stat().st_mtime_ns for path in data.root.rglob("*") if path.is_file()} == before


def test_another_crop_tiles_again_without_decoding(hostile: dict[str, Any], pose_model: Path) -> None:
    config = SMALL.model_copy(update={"crop": SMALL.crop.model_copy(update={"margin": 0.06})})
    path = hostile["raw"] / "dancer.mp4"
    source_id = hostile["found"][b"dancer.mp4"]["source_id"]
    done = prepare_sources(hostile["data"], [(source_id, bytes(path))], config, pose_model)
    assert done == {"sources_tiled": 1}


@pytest.mark.parametrize("make", [None, "empty"])
def test_a_missing_or_empty_raw_folder_is_one_sentence(make: str | None, tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    if make:
        (raw / "inner").mkdir(parents=True)
    with pytest.raises(LongdanceError) as caught:
        require_videos(raw)
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


def test_a_change_of_config_renames_exactly_what_depends_on_it() -> None:
    def changed(section: str, **values: Any) -> tuple[bool, bool, bool]:
        part = getattr(SMALL, section).model_copy(update=values)
        new, old = build_keys(SMALL.model_copy(update={section: part})), build_keys(SMALL)
        return new.analysis != old.analysis, new.clip_set != old.clip_set, new.sample_set != old.sample_set

    assert changed("thresholds", blur=0.1) == (False, False, False)
    assert changed("limits", wall_s=5) == (False, False, False)
    assert changed("shards", samples=9, keep_bad=True) == (False, False, False)
    assert changed("variants", seed=5) == (False, False, True)
    assert changed("video", crf=30) == (False, False, True)
    assert changed("sound", rate=44100) == (False, False, True)
    assert changed("sound", loudness=-14.0) == (False, False, True)
    assert changed("sound", keep=False) == (False, True, True)
    assert changed("crop", margin=0.1) == (False, True, True)
    assert changed("clips", frames=30) == (False, True, True)
    assert changed("analysis", pose_hz=3.0) == (True, True, True)
    assert build_keys(SMALL.model_copy(update={"workers": 7})) == build_keys(SMALL)


def test_without_sound_no_setting_of_it_counts() -> None:
    silent = BuildConfig(sound=SoundConfig(keep=False))
    assert build_keys(silent).sound is None
    assert build_keys(BuildConfig(sound=SoundConfig(keep=False, rate=8000, channels=2))) == build_keys(silent)


def test_a_sound_setting_hears_and_detects_nothing_again(tmp_path: Path, dancer: Path, pose_model: Path) -> None:
    data, batch = DataFolder(tmp_path / "data"), [("a" * 64, os.fsencode(dancer))]
    assert prepare_sources(data, batch, SMALL, pose_model)["sources_heard"] == 1
    for values in ({"rate": 22050}, {"channels": 2}, {"loudness": -14.0}, {"keep": False}):
        config = SMALL.model_copy(update={"sound": SMALL.sound.model_copy(update=values)})
        assert prepare_sources(data, batch, config, pose_model) == {"sources_tiled": 1}


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("-an",), "no_sound"),
        (("-c:a", "wavpack"), "sound_codec"),
        (("-af", "volume=0"), "silent"),
        (("-c:a", "aac", "-bsf:a", "noise=amount=1"), "damaged"),
    ],
)
def test_a_source_without_sound_is_a_fact_and_no_fault(
    arguments: tuple[str, ...], reason: str, tmp_path: Path, dancer: Path, finder: PoseFinder
) -> None:
    path, data = tmp_path / "video.mkv", DataFolder(tmp_path / "data")
    ffmpeg("-i", str(dancer), "-c:v", "copy", *arguments, str(path))
    prepare_source(data, "s", bytes(path), SMALL, finder)
    manifest = read_json(data.clips("s", build_keys(SMALL).clip_set))
    assert (manifest["status"], manifest["sound"], manifest["sound_reason"]) == ("ok", False, reason)
    assert manifest["sound_detail"].endswith(".")
    assert [clip["sound"] for clip in manifest["clips"]] == [False, False]


def test_an_ffmpeg_that_somebody_kills_while_it_listens_is_asked_again(
    tmp_path: Path, dancer: Path, pose_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = tmp_path / "ffmpeg"
    killed.write_text(f'#!/bin/sh\ncase "$*" in *aresample*) kill -9 $$;; esac\nexec {ffmpeg_exe()} "$@"\n')
    killed.chmod(0o755)
    data, batch = DataFolder(tmp_path / "data"), [("a" * 64, os.fsencode(dancer))]
    monkeypatch.setattr("pipeline.video.ffmpeg.ffmpeg_exe", lambda: str(killed))
    assert prepare_sources(data, batch, SMALL, pose_model) == {"sources_interrupted": 1}
    monkeypatch.undo()
    assert prepare_sources(data, batch, SMALL, pose_model) == {"sources_heard": 1, "sources_tiled": 1}


def test_an_ffmpeg_that_somebody_kills_says_nothing_about_the_source(
    tmp_path: Path, dancer: Path, pose_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = tmp_path / "ffmpeg"
    killed.write_text("#!/bin/sh\nkill -9 $$\n")
    killed.chmod(0o755)
    data, source = DataFolder(tmp_path / "data"), os.fsencode(dancer)
    monkeypatch.setattr("pipeline.video.ffmpeg.ffmpeg_exe", lambda: str(killed))
    assert prepare_sources(data, [("a" * 64, source)], SMALL, pose_model) == {"sources_interrupted": 1}
    assert not list(data.root.rglob("*.json"))
    monkeypatch.undo()
    assert prepare_sources(data, [("a" * 64, source)], SMALL, pose_model)["sources_tiled"] == 1


def test_a_source_that_a_limit_rejected_is_tried_again_under_another_limit(
    tmp_path: Path, dancer: Path, pose_model: Path
) -> None:
    data, source = DataFolder(tmp_path / "data"), os.fsencode(dancer)
    tight = SMALL.model_copy(update={"limits": LimitsConfig(max_pixels=1000)})
    prepare_sources(data, [("a" * 64, source)], tight, pose_model)
    assert read_json(data.clips("a" * 64, build_keys(tight).clip_set))["reason"] == "picture_too_large"
    assert forget_limited(data, ["a" * 64], tight) == set()
    assert forget_limited(data, ["a" * 64], SMALL) == {"a" * 64}
    prepare_sources(data, [("a" * 64, source)], SMALL, pose_model)
    assert read_json(data.clips("a" * 64, build_keys(SMALL).clip_set))["status"] == "ok"
