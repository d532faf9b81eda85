"""A build of real footage gives what is to be expected of each file, where LONGDANCE_FOOTAGE names its folder."""

import subprocess
import sys

from data_catalog.connection import open_catalog
from tests.footage import footage

EXPECTED = {
    "dance_stage.mp4": ("ok", None, 1),
    "dance_studio.mp4": ("ok", None, 5),
    "turn_white.mp4": ("ok", None, 1),
    "selfie_15fps.mp4": ("rejected", "low_rate", 0),
    "hiker_8fps.mp4": ("rejected", "low_rate", 0),
    "street_crowd.avi": ("rejected", "too_short", 0),
    "cartoon.mp4": ("rejected", "no_dancer", 0),
}
FOUND = """
SELECT parse_filename(s.path), s.status, s.reason, count(c.clip_id)
FROM sources s LEFT JOIN clips c ON c.source_id = s.source_id AND c.verdict = 'ok'
GROUP BY ALL
"""


def test_real_footage_gives_the_clips_and_the_rejections_that_are_to_be_expected(server, tmp_path):
    data = tmp_path / "data"
    command = [sys.executable, "-m", "flows.cli", "build", str(footage()), "--data", str(data), "--variants", "0"]
    done = subprocess.run(command, env=server, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    with open_catalog(data / "catalog.duckdb", read_only=True) as con:
        found = {name: (status, reason, clips) for name, status, reason, clips in con.execute(FOUND).fetchall()}
    assert found == EXPECTED
