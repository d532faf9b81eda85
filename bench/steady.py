"""Handheld cameras held still: drawn dancers before shaken, zoomed and panned cameras whose path is known.

    python bench/steady.py --out OUT

44 handheld videos (shake of 1 to 4 pixels a frame RMS, a slow pan and a slow zoom together), 14 sweeps and 14 pans
that leave. `motion` is the background's, in pixels a frame at 512: `left` by the true camera, `measured` in the stored
clip itself. `joints`: median distance of stored joints to the truth, moved as the sample's json says. A clip cannot be
steadied where the same code rejects it with the camera known exactly. What OUT holds already is not done again.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pipeline.analysis.pose import pose_finder
from pipeline.analysis.pose_model import pose_model_path
from tests.pipeline.handheld import CASES, CONFIG, Judged, figures, judged


def main() -> None:
    """Judge what is not judged yet; print the table of what is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after so many; go on another time")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    kept, stop = args.out / "cases.jsonl", time.monotonic() + args.seconds
    rows = [Judged(**json.loads(line)) for line in kept.read_text().splitlines()] if kept.exists() else []
    done = {(row.kind, row.number) for row in rows}
    with pose_finder(pose_model_path(), CONFIG.analysis.max_people, CONFIG.analysis.min_pose_confidence) as finder:
        for kind, number in (case for case in CASES if case not in done):
            if time.monotonic() > stop:
                break
            rows.append(judged(kind, number, args.out, finder))
            with kept.open("a") as file:
                file.write(json.dumps(asdict(rows[-1])) + "\n")
    print(f"{len(rows)} of {len(CASES)} cases judged")
    if {row.kind for row in rows} == {kind for kind, _ in CASES}:
        print("\n".join(f"{name:26} {value:.4g}" for name, value in figures(rows).items()))


if __name__ == "__main__":
    main()
