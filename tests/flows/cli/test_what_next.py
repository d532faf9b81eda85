"""A build's last lines name what exists, why nothing came of it, and the next command."""

from pathlib import Path

from data_catalog.base.paths import DataFolder
from data_catalog.connection import open_catalog
from data_catalog.writes import merge_clips
from flows.cli.data import what_next


def test_without_a_clip_the_question_why_is_the_next_command(tmp_path: Path) -> None:
    [line] = what_next(DataFolder(tmp_path), {"total_clips": 0}, [("source", "rejected", "not_regular", 4)])
    assert (
        line == f'no clip came of it; why: longdance sql "SELECT path, reason, detail FROM sources" --data {tmp_path}'
    )


def test_good_clips_name_the_page_and_a_training_and_much_filling_names_shapes(tmp_path: Path) -> None:
    data = DataFolder(tmp_path)
    row = {"source_id": "s", "shot": 0, "first_frame": 0, "frames": 181, "fps": 30.0, "current": True}
    with open_catalog(data.catalog) as con:
        merge_clips(con, [{**row, "clip_id": f"c{n}", "filled": filled} for n, filled in enumerate((0.0, 0.5, 0.7))])
    lines = what_next(data, {"total_clips": 3}, [("clip", "ok", None, 3)])
    assert lines[0].endswith(f"or: longdance report --data {tmp_path}")
    assert lines[1].startswith("2 clips lie outside of their pictures by 60% on average")
    assert lines[2] == f"next: longdance train starter --data {tmp_path} --run RUN"
    assert not any("next:" in line for line in what_next(data, {"total_clips": 3}, [("clip", "bad", "blurred", 3)]))
