"""Loading: 9-frame windows a second from latents, against decoding the videos and against raw pread.

    python bench/loader.py                  # the real latent size, 4 x 64 x 64 a frame

Latents hold noise, which takes as long to read as any. The videos are a drawn dancer at 512 x 512, encoded as the
build encodes them. Everything is in the page cache: what is compared is the work, not the disk. All are measured in
turn, several times, and the best counts: others use this machine, too. The bounds are on the loader as it is by
default.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from model.config import train_config
from model.data.dataset import DataIndex, LatentReader, LatentSample, frame_runs
from model.data.loader import BatchPlan, WindowDataset, window_loader
from model.plans.stages import CLIP_FRAMES, Window
from pipeline.synthetic.synth import SynthVideo, write_video

SHAPE = (4, 64, 64)
AT_LEAST_OVER_VIDEO, AT_LEAST_OF_PREAD = 20.0, 0.5


def write_latents(folder: Path, clips: int, per_shard: int = 16) -> DataIndex:
    """Shards of random latents."""
    noise = np.random.default_rng(0).standard_normal((CLIP_FRAMES, *SHAPE)).astype("<f2").tobytes()
    samples = []
    for first in range(0, clips, per_shard):
        path = folder / f"{first}.f16"
        with path.open("wb") as file:
            for clip in range(first, min(clips, first + per_shard)):
                samples.append(LatentSample(str(clip), "s", path, file.tell(), CLIP_FRAMES, ""))
                file.write(noise)
    return DataIndex(tuple(samples), SHAPE)


def write_mp4(folder: Path, gop: int) -> bytes:
    """A drawn dancer, 181 frames of 512 x 512."""
    source = write_video(SynthVideo(width=512, height=512, frames=CLIP_FRAMES), folder)
    buffer = io.BytesIO()
    with av.open(str(source)) as read, av.open(buffer, "w", format="mp4") as written:
        options = {"crf": "20", "preset": "veryfast", "g": str(gop), "keyint_min": str(gop)}
        stream = written.add_stream("libx264", rate=Fraction(30), options=options)
        stream.width, stream.height, stream.pix_fmt = 512, 512, "yuv420p"
        for frame in read.decode(video=0):
            written.mux(stream.encode(frame.reformat(format="yuv420p")))
        written.mux(stream.encode())
    return buffer.getvalue()


def decode_window(mp4: bytes, window: Window) -> np.ndarray:
    """The window's frames by seeking to the key frame before and decoding up to the last one."""
    wanted, found = set(window.frames), []
    with av.open(io.BytesIO(mp4)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        per_frame = Fraction(1, 30) / stream.time_base
        container.seek(int(window.frames[0] * per_frame), stream=stream)
        for frame in container.decode(stream):
            number = round(frame.pts / per_frame)
            if number in wanted:
                found.append(frame.to_ndarray(format="rgb24"))
            if number >= window.frames[-1]:
                break
    if len(found) != len(wanted):
        raise RuntimeError(f"decoded {len(found)} of {len(wanted)} frames")
    return np.stack(found)


def raw_preads(index: DataIndex, windows: list[tuple[int, Window]]) -> None:
    """The same bytes with nothing but pread, files open, into a buffer that is used again."""
    stride = 2 * int(np.prod(SHAPE))
    files = {sample.path: os.open(sample.path, os.O_RDONLY) for sample in index.samples}
    buffer = bytearray(16 * stride)
    for number, window in windows:
        sample = index.samples[number]
        for place, first, length in frame_runs(window.frames):
            part = memoryview(buffer)[place * stride : (place + length) * stride]
            os.preadv(files[sample.path], [part], sample.offset + first * stride)
    for descriptor in files.values():
        os.close(descriptor)


def best_rates(works: dict[str, tuple[Callable[[], None], int]], rounds: int) -> dict[str, float]:
    """Windows a second of each (work, windows), the best of `rounds` in turn."""
    best = dict.fromkeys(works, 0.0)
    for _ in range(rounds):
        for name, (work, windows) in works.items():
            start = time.perf_counter()
            work()
            best[name] = max(best[name], windows / (time.perf_counter() - start))
    return best


def main() -> None:
    """Print the rates and their ratios; exit 1 if a bound does not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=64)
    parser.add_argument("--windows", type=int, default=2000)
    parser.add_argument("--batch", type=int, default=4, help="windows a batch")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--gop", type=int, default=12, help="distance of key frames in the videos")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        index = write_latents(Path(scratch), options.clips)
        mp4 = write_mp4(Path(scratch), options.gop)
        dataset = WindowDataset(index, "interpolation", seed=0, batch=options.batch)
        # The lone last gap of the plan has 5 frames: these windows all have 9.
        drawn = (dataset.window(position) for position in range(2 * options.windows))
        chosen = [item for item in drawn if len(item[1].frames) == 9][: options.windows]
        reader = LatentReader(index)
        works = {
            "raw pread": (lambda: raw_preads(index, chosen), len(chosen)),
            "reader": (lambda: _read(reader, chosen), len(chosen)),
        }
        default = train_config("interpolation").workers
        for workers in sorted({0, 2, default}):
            works[f"loader, {workers} workers"] = (
                partial(_drain, dataset, options.windows, options.batch, workers),
                options.windows // options.batch * options.batch,
            )
        few = [window for _, window in chosen[:40]]
        rates = best_rates(works, options.rounds) | best_rates({"mp4": (lambda: _decode(mp4, few), len(few))}, 1)
    for name, rate in rates.items():
        print(f"{name:20s} {rate:10.0f} windows/s   {rate / rates['raw pread']:6.2f} of pread")
    loader = rates[f"loader, {default} workers"]
    over_video, of_pread = loader / rates["mp4"], loader / rates["raw pread"]
    print(
        f"loader by default ({default} workers) over mp4 {over_video:.0f}x (at least {AT_LEAST_OVER_VIDEO:.0f}), ",
        end="",
    )
    print(f"of pread {of_pread:.2f} (at least {AT_LEAST_OF_PREAD})")
    sys.exit(over_video < AT_LEAST_OVER_VIDEO or of_pread < AT_LEAST_OF_PREAD)


def _read(reader: LatentReader, windows: list[tuple[int, Window]]) -> None:
    for sample, window in windows:
        reader.read(sample, window.frames)


def _decode(mp4: bytes, windows: list[Window]) -> None:
    for window in windows:
        decode_window(mp4, window)


def _drain(dataset: WindowDataset, windows: int, batch: int, workers: int) -> None:
    for _ in window_loader(dataset, BatchPlan(batch).positions(0, 0, windows // batch), workers):
        pass


if __name__ == "__main__":
    main()
