"""What sound costs and how right it is: listening and cutting beside the picture's passes, KB a clip, beats found.

    python bench/sound.py [RAW] [--videos N]

Without RAW, drawn dancers at 1080x1920 with music, whose beats are known. Processor seconds are those of this process
and of its ffmpeg together.
"""

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from data_catalog.base.files import read_json
from data_catalog.base.paths import DataFolder
from pipeline.analysis import sound_pass
from pipeline.analysis.beat_tracking import beats_of_block
from pipeline.analysis.pose import PoseFinder, pose_finder
from pipeline.analysis.pose_model import pose_model_path
from pipeline.batches.pack_shards import encode_clips, pack_shard
from pipeline.batches.prepare_sources import analyse_source, build_keys, listen_to_source, tile_source
from pipeline.batches.sources import hash_source, walk
from pipeline.config import BuildConfig, LandmarksConfig, SoundConfig, VariantConfig
from pipeline.synthetic.synth import SynthVideo, plan_videos, write_video

SEED, NEAR_S = 300, 0.05


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("raw", nargs="?", type=Path, help="folder of videos")
    parser.add_argument("--videos", type=int, default=6)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        raw = options.raw or draw(Path(folder) / "raw", options.videos)
        start = cpu_s()
        beats_of_block(np.zeros(1 << 16, np.float32))
        print(f"{'the beat tracker to import, once a worker':64} {cpu_s() - start:7.2f} s")
        listened, analysed, seconds, data, heard = prepare(raw, Path(folder) / "data")
        print(f"{'listening, of the analysis pass':64} {listened / analysed:7.3f}")
        print(f"{'listening to a minute of sound':64} {60 * listened / seconds:7.3f} s")
        for variants in (0, 2):
            with_sound, without = (encode(data, raw, variants, keep) for keep in (True, False))
            print(f"{f'encoding with sound, over without, {variants} variants':64} {with_sound[0] / without[0]:7.3f}")
        for channels in (1, 2):
            _, flac, video = encode(data, raw, 0, True, channels)
            print(f"{f'KB of sound a clip, {channels} channels (its video: {video / 1000:.0f})':64} {flac / 1000:7.0f}")
        for name, share in accuracy(raw, heard).items():
            print(f"{name:64} {share:7.3f}")
        print(f"{'largest process, MiB':64} {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:7.0f}")


def draw(raw: Path, videos: int) -> Path:
    """Drawn dancers in full size whose music is known, none with a fault."""
    raw.mkdir(parents=True)
    specs = [spec for spec in plan_videos(4 * videos, SEED) if spec.fault is None][:videos]
    for spec in specs:
        changed = {"width": 1080, "height": 1920, "standing": 0.34, "sound": True}
        write_video(SynthVideo(**{**spec.model_dump(), **changed}), raw)
    return raw


def cpu_s() -> float:
    """Processor seconds of this process and of the children that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def timed(work: Callable[..., Any], *arguments: Any) -> float:
    """Processor seconds of a call."""
    start = cpu_s()
    work(*arguments)
    return cpu_s() - start


def prepare(raw: Path, root: Path) -> tuple[float, float, float, DataFolder, dict[str, Path]]:
    """(seconds to listen, seconds to analyse, seconds of sound, the data folder, where each source's beats lie)."""
    data, config, listened, analysed, seconds, heard = DataFolder(root), BuildConfig(), 0.0, 0.0, 0.0, {}
    names = build_keys(config)
    with pose_finder(pose_model_path(), 4, 0.5) as finder:
        for file in walk(raw):
            if not file.path.endswith(b".mp4"):
                continue
            source_id = hash_source(file)
            analysed += timed(analyse_source, data, source_id, file.path, config, finder)
            listened += timed(listen_to_source, data, source_id, file.path, config)
            tile_source(data, source_id, config)
            tile_source(data, source_id, config.model_copy(update={"sound": SoundConfig(keep=False)}))
            heard[Path(file.path.decode()).stem] = data.sound(source_id, str(names.sound))
            seconds += read_json(data.clips(source_id, names.clip_set))["duration_s"]
    return listened, analysed, seconds, data, heard


def encode(data: DataFolder, raw: Path, variants: int, keep: bool, channels: int = 1) -> tuple[float, float, float]:
    """(processor seconds to encode all clips, mean bytes of a clip's sound, mean bytes of its video)."""
    sound = SoundConfig(keep=keep, channels=channels)
    poses = LandmarksConfig(every_frame=False)  # another pass, whatever is heard
    config = BuildConfig(variants=VariantConfig(count=variants), sound=sound, landmarks=poses)
    finder = PoseFinder(pose_model_path(), 1, 0.5)
    took, flac, video = 0.0, [], []
    for file in walk(raw):
        if not file.path.endswith(b".mp4"):
            continue
        source_id = hash_source(file)
        manifest = read_json(data.clips(source_id, build_keys(config).clip_set))
        ids = [clip["clip_id"] for clip in manifest["clips"] if clip["align_reason"] is None]
        took += timed(encode_clips, data, source_id, file.path, ids, config, finder)
        packed = pack_shard(data, ids, config) or {"samples": []}
        flac += [sample.get("flac_length", 0) for sample in packed["samples"]]
        video += [sample["mp4_length"] for sample in packed["samples"]]
    return took, float(np.mean(flac)), float(np.mean(video))


def accuracy(raw: Path, heard: dict[str, Path]) -> dict[str, float]:
    """How many beats are found within 50 ms, where the truth lies beside the videos."""
    played_found, found_played = [], []
    for name, path in heard.items():
        truth = raw / f"{name}.json"
        if truth.is_file():
            played, found = np.array(json.loads(truth.read_text())["beats_s"]), np.array(sound_pass.load(path).beats)
            apart = np.abs(found[:, None] - played[None])
            played_found += list(apart.min(0) <= NEAR_S)
            found_played += list(apart.min(1) <= NEAR_S)
    if not played_found:
        return {}
    return {
        "beats played that are found within 50 ms": float(np.mean(played_found)),
        "beats found that were played": float(np.mean(found_played)),
    }


if __name__ == "__main__":
    main()
