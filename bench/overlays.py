"""Bars and overlays on drawn dancers: what is found, what is invented, and the camera that is measured behind them.

    python bench/overlays.py --out OUT

100 clean videos of a seed that nothing was tuned on; bars around 40 of them, captions, logos and timers on 66.
A few seconds a video; what OUT holds already is not done again. The cases are those of
`pytest -m soak tests/pipeline/test_not_the_picture.py`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pipeline.analysis.pose import pose_finder
from pipeline.analysis.pose_model import pose_model_path
from tests.pipeline.not_the_picture import CASES, CONFIG, base, figures, judged


def main() -> None:
    """Judge what is not judged yet; print the table of what is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after so many; go on another time")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    kept, stop = args.out / "cases.jsonl", time.monotonic() + args.seconds
    rows = [json.loads(line) for line in kept.read_text().splitlines()] if kept.exists() else []
    done = {(row["kind"], row["number"]) for row in rows}
    with pose_finder(pose_model_path(), CONFIG.analysis.max_people, CONFIG.analysis.min_pose_confidence) as finder:
        for kind, number in (case for case in CASES if case not in done):
            if time.monotonic() > stop:
                break
            rows.append(judged(kind, number, base(number, args.out / "raw"), finder, args.out))
            with kept.open("a") as file:
                file.write(json.dumps(rows[-1]) + "\n")
    print(f"{len(rows)} of {len(CASES)} cases judged")
    if {row["kind"] for row in rows} == {kind for kind, _ in CASES}:
        print("\n".join(f"{name:26} {value:.4g}" for name, value in figures(rows).items()))


if __name__ == "__main__":
    main()
