from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from flows.cli.main import main
from model.plans.plan import PLANS, make_plan, plan_length
from model.plans.view import CUT, GIVEN, HINT, PAPER, TARGET, plan_cells, plan_cost, plan_picture, plan_table


@settings(deadline=None, max_examples=15)
@given(st.sampled_from(sorted(PLANS)), st.integers(2, 1200))
def test_the_picture_shows_each_hint_and_target_of_each_call(name: str, frames: int) -> None:
    plan = make_plan(name, frames)
    cells = plan_cells(plan, frames)
    assert cells.shape == (len(plan), plan_length(plan), 3)
    for call, row in zip(plan, cells):
        seen = np.flatnonzero((row != PAPER).any(-1))
        assert tuple(seen) == call.frames
        for frame in call.frames:
            made = TARGET if frame < frames else CUT
            expected = made if frame in call.targets else HINT if frame else GIVEN
            assert tuple(row[frame]) == expected


@pytest.mark.parametrize("frames", [2, 181, 10_000])
@pytest.mark.parametrize("name", sorted(PLANS))
def test_any_plan_can_be_drawn_in_a_picture_of_bearable_size(name: str, frames: int) -> None:
    width, height = plan_picture(make_plan(name, frames), frames).size
    assert 100 < width < 9000
    assert 60 < height < 9000


def test_the_cost_counts_what_the_network_sees() -> None:
    cost = plan_cost(make_plan("origin", 181), 181)
    assert cost.calls == {"starter": 1, "extrapolation": 15, "interpolation": 23}
    assert (cost.frames_made, cost.depth) == (187, 17)
    assert plan_cost(make_plan("streaming", 8), 8).frames_made == 15  # the picture, 6 by the starter, 3 keys, 5 between
    assert cost.network_frames == 7 + 15 * 7 + 22 * 9 + 5


def test_the_tables_depth_is_that_of_the_calls_targets() -> None:
    columns, rows = plan_table(make_plan("tree", 181))
    assert columns == ["call", "stage", "hints", "targets", "depth"]
    assert rows[0] == (0, "starter", "0", "36 72 108 144 180", 1)
    assert {row[-1] for row in rows} == {1, 2, 3}


def test_the_command_prints_calls_as_json_and_draws_them(tmp_path: Path) -> None:
    picture = tmp_path / "plan.png"
    done = CliRunner().invoke(main, ["plan", "--frames", "181", "--format", "json", "--draw", str(picture)])
    assert done.exit_code == 0
    calls = json.loads(done.stdout)
    assert calls[1] == {"stage": "extrapolation", "hints": [0, 1, 2, 6], "targets": [10, 14, 18]}
    assert len(calls) == 39
    assert all(set(call) == {"stage", "hints", "targets"} for call in calls)
    with Image.open(picture) as drawn:
        assert drawn.format == "PNG"


def test_the_commands_table_has_a_row_per_call_and_says_what_it_costs() -> None:
    done = CliRunner().invoke(main, ["plan", "--frames", "30", "--plan", "streaming"])
    assert done.exit_code == 0
    assert f"{len(make_plan('streaming', 30))} rows" in done.stdout
    assert "depth at most" in done.stdout.splitlines()[-1]


@pytest.mark.parametrize("arguments", [["--plan", "spiral"], ["--frames", "1"], ["--frames", "10001"]])
def test_a_plan_that_cannot_be_is_one_sentence_and_exit_code_2(arguments: list[str]) -> None:
    done = CliRunner().invoke(main, ["plan", *arguments])
    assert done.exit_code == 2
    assert done.stderr.startswith("longdance: ")
    assert done.stderr.count("\n") == 1
