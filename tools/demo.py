"""longdance from nothing to a long video, on drawn dancers: each step is a command that you would type.

    python tools/demo.py                 # into demo/; run it again and it resumes
    python tools/demo.py --dry-run       # the commands alone

Prints what each step is for and the seconds that it took. Ends with the exit status of the step that failed. The
trainings are as long as a coffee: they show the way, not what a trained network can do.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))  # found whether or not PYTHONSAFEPATH is set

from steps import LONGDANCE, NO_HANDS, SHOWCASE_BODY, Step, run_steps

PICTURE, DANCE, SONG = "PICTURE", "DANCE", "SONG"
UNSEEN = """SELECT clip_id FROM samples JOIN clips USING (clip_id) WHERE verdict = 'ok' AND source_id NOT IN
(SELECT clips.source_id FROM version_samples JOIN samples USING (sample_key) JOIN clips USING (clip_id)
WHERE version LIKE 'fold%')
ORDER BY motion_energy"""
"""Clips that no training has seen: the folds' versions hold all that is not held out. The video begins with the first
frame of the calmest, and its dancer is given the dance of the liveliest."""
LONGEST = "SELECT path FROM sources WHERE sound ORDER BY duration_s DESC, path LIMIT 1"
"""A video whose song is taken: drawn dancers dance to drawn ones."""
QUERIES = {PICTURE: f"{UNSEEN} LIMIT 1", DANCE: f"{UNSEEN} DESC LIMIT 1", SONG: LONGEST}
SHOWCASE = os.path.relpath(Path(__file__).parent.parent / "showcase")
"""Weights that `make showcase` taught other drawn dancers, and their codec."""
CHOREOGRAPHER = f"{SHOWCASE}/choreographer"
"""Weights that learnt the dances of those."""

WHY = {
    "starter": "shows a tiny network, which knows other drawn dancers, these ones: the first frames after a picture",
    "extrapolation": "continues from it: the frames after those that are there",
    "interpolation": "continues from it, too: the frames between",
    "star": "shows these dancers to a network that is told the dance: every frame from one picture and a pose",
}
STAR = {"timestep_shift": 3, "sample_temperature": 0, "sample_steps": 2}
"""As `make showcase` taught it."""


def training(stage: str, out: Path, steps: int) -> Step:
    """One stage, from weights that know other drawn dancers; the two that continue begin with the starter's."""
    init = f"run:{out}/runs/starter" if stage in ("extrapolation", "interpolation") else SHOWCASE
    settings: dict[str, object] = {"init": init, "steps": steps}
    settings |= STAR if stage == "star" else {"plans": "streaming"}
    settings |= {"learning_rate": 3e-4}  # gently: what it knows of other dancers is worth more than a few minutes
    settings |= {"holdout": 0.2, "checkpoint_every": 50, "validate_every": steps, "sample_every": steps}
    given = tuple(f"--set={name}={value}" for name, value in settings.items())
    arguments = ("train", stage, "--data", f"{out}/data", "--run", f"{out}/runs/{stage}", *given)
    return Step(f"train {stage}", WHY[stage], arguments)


def steps_of(out: Path, videos: int, seed: int, steps: int, frames: int) -> list[Step]:
    """The whole demo."""
    data, runs = f"{out}/data", [f"{out}/runs/{stage}" for stage in WHY]
    half = max(1, steps // 2)
    lean = f"{out}/runs/extrapolation-lean"
    return [
        Step("synth", "draws raw videos of dancers, with faults among them",
             ("synth", f"{out}/raw", "--videos", str(videos), "--seed", str(seed))),
        Step("build", "finds the dancers, cuts and aligns clips of 181 frames, judges them, stores them in shards",
             ("build", f"{out}/raw", "--data", data, "--variants", "1", SHOWCASE_BODY, NO_HANDS)),
        Step("verify", "decodes every stored clip and checks every byte", ("verify", "--data", data)),
        *(training(stage, out, steps) for stage in WHY),
        Step("prune", "scores every sample, cross-fits two models, leaves out the worst, trains on what stays",
             ("prune", "--run", runs[1], "--data", data, "--score", "rho", "--name", "lean",
              "--set=policy.motion_strata=2", f"--set=fit.steps={half}", "--then-train",
              "--then-steps", str(half))),
        Step("generate", "goes on from a picture that no training has seen, told nothing: so she stands still",
             ("generate", "--runs", runs[0], lean, runs[2], "--clip", PICTURE, "--data", data, "--plan", "streaming",
              "--frames", str(frames), "--steps", "5", "--temperature", "0.5", "--out", f"{out}/generated.mp4")),
        Step("dance", "lets the same picture dance what another danced, which no training has seen either",
             ("generate", "--runs", runs[3], "--clip", PICTURE, "--pose", DANCE, "--data", data,
              "--frames", str(frames), "--out", f"{out}/danced.mp4")),
        Step("warp", "does the same limb by limb and without any network: what the network has to beat",
             ("warp", "--clip", PICTURE, "--pose", DANCE, "--data", data, "--frames", str(frames),
              "--out", f"{out}/warped.mp4")),
        Step("new dance", "lets it dance what nobody has danced: a dance that is made for it, to a song",
             ("generate", "--runs", runs[3], "--clip", PICTURE, "--data", data, "--choreographer", CHOREOGRAPHER,
              "--music", SONG, "--frames", str(frames), "--out", f"{out}/sung.mp4")),
        Step("report", "one page to look at it all", ("report", "--data", data)),
    ]  # fmt: skip


def named(out: Path, text: str) -> str:
    """An argument; for PICTURE and DANCE the id of the clip that is meant, for SONG a file."""
    query = QUERIES.get(text)
    if query is None:
        return text
    command = [str(LONGDANCE), "sql", query, "--data", f"{out}/data", "--format", "json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return str(next(iter(json.loads(done.stdout)[0].values())))


def metrics_of(rollout: Path) -> dict[str, Any]:
    """What was measured of a rollout."""
    measured: dict[str, Any] = json.loads((rollout / "metrics.json").read_text())
    return measured


def numbers(out: Path) -> str:
    """How well she follows the dances, the first beside the clip that it is from: her motion beside that of its joints,
    and motion and PCK beside those of its picture as the codec shows it."""
    told = metrics_of(out / "danced.rollout")
    made, real = ({name: one["mean"] for name, one in of["metrics"].items()} for of in (told, told["reference"]))
    new = {name: one["mean"] for name, one in metrics_of(out / "sung.rollout")["metrics"].items()}
    return (
        f"danced.mp4: found {made['found']:.3f} (at least 0.95), "
        f"motion {made['joint_motion'] / real['dance_motion']:.2f} of the dance's (0.8 to 1.25) and "
        f"{made['joint_motion'] / real['joint_motion']:.2f} of what is seen of the real clip as the codec shows it, "
        f"PCK {made['pck'] / real['pck']:.2f} of the real clip's (at least 0.9)\n"
        f"sung.mp4: found {new['found']:.3f} (at least 0.9), PCK {new['pck']:.3f}, "
        f"motion {new['joint_motion'] / new['dance_motion']:.2f} of the dance's"
    )


def main() -> None:
    """Run every step in order."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("demo"))
    parser.add_argument("--videos", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=50, help="of each of the four trainings")
    parser.add_argument("--frames", type=int, default=181)
    parser.add_argument("--dry-run", action="store_true")
    options = parser.parse_args()
    steps = steps_of(options.out, options.videos, options.seed, options.steps, options.frames)
    if options.dry_run:
        print("\n".join(step.command for step in steps))
        return
    seconds = run_steps(steps, options.out, lambda text: named(options.out, text))
    print(f"\n{numbers(options.out)}")
    print(
        f"\n{seconds:.0f} s in all. Look at\n"
        f"  {options.out}/danced.html             the picture, given a dance: how well she follows it\n"
        f"  {options.out}/warped.mp4              the same without a network\n"
        f"  {options.out}/sung.html               the picture, given a dance that nobody has danced, and its song\n"
        f"  {options.out}/generated.html          the same picture, given none\n"
        f"  {options.out}/data/report.html        clips, scores, losses, runs\n"
        f"  {options.out}/data/contact_sheet.jpg  every clip at a glance\n"
        f"Ask: longdance sql 'FROM clips' --data {options.out}/data"
    )


if __name__ == "__main__":
    main()
