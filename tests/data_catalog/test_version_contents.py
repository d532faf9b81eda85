"""What a version weighs has one truth: the view, `prune`, `diff`, the named query and the page say the same."""

from pathlib import Path

import pytest

from data_catalog.connection import open_catalog
from data_catalog.examples import EXAMPLES
from data_catalog.queries import run_query
from data_catalog.report_rows import overview
from data_catalog.views import set_thresholds
from data_catalog.writes import merge_clips, merge_versions, register_shards
from flows.report.prune_report import prune_rows
from flows.report.version_diff import diff, mass
from tests.data_catalog.rows import clip, sample, threshold

# clip-3 is bad, so it is part of no comparison; the clips differ in frames and in motion.
CLIPS = [
    clip(n, motion_energy=motion, frames=frames, blur=blur)
    for n, (motion, frames, blur) in enumerate([(1.0, 100, 0.1), (2.0, 50, 0.1), (4.0, 25, 0.1), (8.0, 100, 0.9)])
]
KEYS = [(n, variant) for n in range(4) for variant in range(2)]
VERSIONS = {  # version: (parent, its samples, the share of motion that it lost, by hand: every good sample weighs 100)
    "thinned": (None, [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0)], 1 / 6),  # no clip is gone as a whole
    "whole": (None, [(0, 0), (0, 1), (1, 0), (1, 1)], 2 / 6),
    "further": ("whole", [(0, 0), (1, 0)], 2 / 4),
    "nothing": (None, [], 1.0),
}


@pytest.fixture
def filled(path: Path) -> Path:
    with open_catalog(path) as con:
        merge_clips(con, CLIPS)
        set_thresholds(con, [threshold("blur", ">", 0.5, "blurred")])
        register_shards(con, [{"shard": "a.tar", "samples": len(KEYS)}], [sample(*key) for key in KEYS])
        members = [
            {"version": name, "sample_key": f"clip-{n}-v{variant}", "weight": 1.0}
            for name, (_, keys, _) in VERSIONS.items()
            for n, variant in keys
        ]
        merge_versions(con, [{"version": name, "parent": parent} for name, (parent, *_) in VERSIONS.items()], members)
    return path


@pytest.mark.parametrize("version", VERSIONS)
def test_all_who_say_how_much_motion_a_version_lost_say_the_same(filled: Path, version: str) -> None:
    parent, keys, lost = VERSIONS[version]
    [(_, samples, _, _, _, share)] = [row for row in prune_rows(filled.parent, [version], parent) if row[0] == version]
    assert (samples, share) == (len(keys), pytest.approx(1 - lost))
    with open_catalog(filled, read_only=True) as con:
        assert mass(con, version)["motion_lost"] == pytest.approx(lost)
        [shown] = [row for row in overview(con)["versions"] if row["version"] == version]
    assert shown["motion_lost"] == pytest.approx(lost)
    named = {row[0]: row[-1] for row in run_query(filled, EXAMPLES["motion-lost"][0])[1]}
    assert named[version] == pytest.approx(100 * lost, abs=0.005)


def test_a_diff_from_the_parent_states_the_motion_that_the_view_states(filled: Path) -> None:
    with open_catalog(filled, read_only=True) as con:
        [(lost,)] = con.execute("SELECT motion_lost FROM version_contents WHERE version = 'further'").fetchall()
    # The same set of samples, so nothing goes and no picture of it is drawn.
    assert diff(filled.parent, "further", "further")[2] == 0
    with open_catalog(filled, read_only=True) as con:
        assert 1 - mass(con, "further")["motion"] / mass(con, "whole")["motion"] == pytest.approx(lost)


def test_where_no_motion_was_measured_what_was_lost_is_unknown(path: Path) -> None:
    with open_catalog(path) as con:
        merge_clips(con, [clip(0)])
        register_shards(con, [{"shard": "a.tar", "samples": 1}], [sample(0)])
        merge_versions(con, [{"version": "v"}], [{"version": "v", "sample_key": "clip-0-v0", "weight": 1.0}])
        assert con.execute("SELECT DISTINCT motion_lost FROM version_contents").fetchall() == [(None,)]
