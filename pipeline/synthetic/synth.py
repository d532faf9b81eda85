"""Videos of drawn dancers with music and their truth: joints, cuts, camera path, beats and planted faults."""

import json
import os
import pathlib

import cv2

from data_catalog.base.processes import defer_sigint, worker_pool
from pipeline.synthetic.recording import (
    VERSION,
    content_frames,
    encode,
    kept_frames,
    pictures,
    shots_of,
    truth_of,
)
from pipeline.synthetic.video_plan import FAULTS, SynthVideo, plan_videos

__all__ = ["FAULTS", "SynthVideo", "is_complete", "plan_videos", "synth", "write_video"]


def synth(out: pathlib.Path, videos: int, seed: int, workers: int | None = None) -> list[pathlib.Path]:
    """Draw a set of videos into a folder, `workers` at a time (one per core by default).

    Videos that are there complete, from the same spec, are left as they are.
    """
    out.mkdir(parents=True, exist_ok=True)
    specs = plan_videos(videos, seed)
    todo = [spec for spec in specs if not is_complete(spec, out)]
    if todo:
        count = min(workers or os.cpu_count() or 1, len(todo))
        with worker_pool(count) as pool:
            with defer_sigint():
                drawn = pool.map(write_video, todo, [out] * len(todo))
            list(drawn)
    return [out / f"{spec.name}.mp4" for spec in specs]


def is_complete(spec: SynthVideo, folder: pathlib.Path) -> bool:
    """Whether the video and its truth, written last, are there and come from this very spec."""
    truth, video = folder / f"{spec.name}.json", folder / f"{spec.name}.mp4"
    if not (truth.is_file() and video.is_file()):
        return False
    written = json.loads(truth.read_text())
    return bool(written["version"] == VERSION and written["spec"] == spec.model_dump(mode="json"))


def write_video(spec: SynthVideo, folder: pathlib.Path) -> pathlib.Path:
    """Write NAME.mp4 and NAME.json, the truth, into a folder; the same spec gives the same bytes.

    Raises RuntimeError with ffmpeg's words where it fails.
    """
    cv2.setNumThreads(1)
    path = folder / f"{spec.name}.mp4"
    partial = folder / f".{spec.name}.{os.getpid()}.mp4"
    content, times = content_frames(spec)
    shots = shots_of(spec, times)
    kept = kept_frames(spec)
    try:
        encode(spec, pictures(spec, shots, content, kept), kept, shots[0].music, partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    truth = json.dumps(truth_of(spec, shots, content, kept), separators=(",", ":"))
    draft = folder / f".{spec.name}.{os.getpid()}.json"
    draft.write_text(truth)
    draft.replace(folder / f"{spec.name}.json")
    return path
