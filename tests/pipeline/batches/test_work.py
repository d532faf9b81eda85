"""What killed its workers is written down, counted, and tried again under other limits."""

from collections import Counter

from data_catalog.base.files import read_sealed
from data_catalog.base.paths import DataFolder
from pipeline.batches.prepare_sources import build_keys, forget_limited
from pipeline.batches.work import KILLED, fail_killers, reject_killer
from pipeline.config import BuildConfig, LimitsConfig


def test_a_source_that_killed_its_workers_is_rejected_until_limits_change(tmp_path):
    data, config = DataFolder(tmp_path), BuildConfig()
    reject_killer(data, "abc", b"/raw/\xff.mp4", config)
    manifest = read_sealed(data.clips("abc", build_keys(config).clip_set))
    assert (manifest["status"], manifest["reason"], manifest["clips"]) == ("rejected", KILLED, [])
    assert forget_limited(data, ["abc"], config) == set()
    assert forget_limited(data, ["abc"], BuildConfig(limits=LimitsConfig(memory_mb=9999))) == {"abc"}


def test_clips_that_killed_their_workers_are_failures(tmp_path):
    data, config = DataFolder(tmp_path), BuildConfig()
    assert fail_killers(data, [("abc", b"/raw/a.mp4", ["abc-0", "abc-1"])], config) == Counter(clips_failed=2)
    assert fail_killers(data, [], config) == Counter()
    failures = [read_sealed(data.failure(clip_id, build_keys(config).sample_set)) for clip_id in ("abc-0", "abc-1")]
    assert {failure["code"] for failure in failures} == {KILLED}
