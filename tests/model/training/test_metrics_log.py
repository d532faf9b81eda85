"""Metrics continue at their place, and pictures are whole."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

from model.training.metrics_log import MetricsLog, picture_rows, write_gif, write_png


def test_lines_beyond_the_checkpoint_are_written_again(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    log = MetricsLog(path, 0)
    log.write({"step": 1})
    kept = log.sync()
    log.write({"step": 2})
    log.close()
    with path.open("ab") as file:
        file.write(b'{"step": 3, "torn')
    log = MetricsLog(path, kept)
    log.write({"step": 2})
    log.close()
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [1, 2]


def test_a_log_that_was_cut_short_is_not_filled_with_zeros(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"step":1}\n')
    MetricsLog(path, 1000).close()
    assert path.read_bytes() == b'{"step":1}\n'


def test_pictures_are_rows_of_frames(tmp_path: Path) -> None:
    clips = [np.full((3, 4, 4, 3), 10, np.uint8), np.full((2, 4, 4, 3), 20, np.uint8)]
    rows = picture_rows(clips)
    assert rows.shape == (8, 12, 3)
    assert rows[4:, :8].min() == 20
    assert (rows[4:, 8:] == 128).all()
    write_png(tmp_path / "a.png", rows)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "a.png")), rows)
    write_gif(tmp_path / "a.gif", np.concatenate([clips[0][:1], clips[1]]))
    assert Image.open(tmp_path / "a.gif").n_frames >= 2  # frames that are alike are merged
