"""What a choreographer's dances are worth, beside real ones and beside doing without it.

    python bench/choreograph.py --run RUN --data DATA [--starts 50] [--seeds 3] [--long 5] [--set NAME=VALUE]

DATA holds clips that the run has not seen: starts are their poses, and they are the real dances. Songs are drawn ones
of unseen tempo, their beats exactly known. Beside the run stand `still` (the start's pose, repeated), `random` (a
random clip that the run was trained on, retargeted, begun anywhere, to and fro) and `nearest` (the training's moment
that is nearest to the start, from there on). Distances are Frechet distances of as many windows of 3 s as half of
the real ones are, means of 20 draws; for `real` it is that of their two halves, split by source. `other song` is beat
alignment with the beats of another dance's song: what keeps no time scores as well there as on its own. Settings of
dances (`--set`) are chosen on clips that are neither the run's nor these.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from flows.options import overrides
from model.choreography import measures
from model.choreography.choreographer import Choreographer
from model.choreography.compose import DanceOrder, compose
from model.choreography.config import choreographer_config, dance_config
from model.choreography.dances import StoredDance, load_dances, stored_dance
from model.choreography.rig import DancerBody, body_of_pose
from model.choreography.task import ChoreographerTask, begun_network
from model.data.dataset import choose_samples
from model.data.samples import read_samples
from model.pose.retarget import paced, retarget
from model.runs.record import read_record
from pipeline.picture_size import PictureSize
from pipeline.synthetic.music import random_music

DRAWS = 20
TIMED = 20
SHIFTS = (0.0, 0.25, 0.5, 0.75)


@dataclass(frozen=True)
class Measured:
    """One dance, its body, and its features."""

    dance: StoredDance
    body: DancerBody
    source: str
    kinetic: np.ndarray
    geometric: np.ndarray

    @classmethod
    def of(cls, dance: StoredDance, body: DancerBody, source: str = "") -> Measured:
        """With its features, which are of the dance's own body."""
        own = measures.body_of(dance)
        return cls(dance, body, source, measures.kinetic_features(dance, own), measures.geometric_features(dance, own))


def real_dances(data: Path) -> list[Measured]:
    """Every good clip of a data set."""
    found = []
    for sample in read_samples(data):
        if sample.ok:
            dance = stored_dance(data, sample)
            found.append(Measured.of(dance, measures.body_of(dance), sample.source_id))
    return found


def training_dances(run: Path) -> list[StoredDance]:
    """The clips that the run was trained on."""
    record = read_record(run)
    data = Path(record["environment"]["data"])
    chosen = choose_samples(data, record["identity"]["config"]["holdout"], record["identity"]["config"]["version"])
    return [stored_dance(data, sample) for sample in chosen.good if sample.key in chosen.train]


def training_seconds(run: Path) -> float:
    """CPU seconds of all steps of the run's training, from TIMED of them done again; checks and checkpoints aside."""
    record = read_record(run)
    config = choreographer_config(**record["identity"]["config"])
    data = load_dances(
        Path(record["environment"]["data"]), config.network.keys_per_beat, config.holdout, config.version
    )
    task = ChoreographerTask(config, data, begun_network(config, data), run)
    positions = np.arange((2 * TIMED) * config.batch).reshape(-1, config.batch).tolist()
    for number, batch in enumerate(task.batches(positions)):
        if number == TIMED:  # styles are known by then
            begun = time.process_time()
        task.losses(task.network, batch).mean().backward()
    return (time.process_time() - begun) / (TIMED - 1) * config.steps


def orders(real: Sequence[Measured], starts: int, seeds: int, frames: int) -> list[tuple[DanceOrder, int]]:
    """Starts spread over the clips and over their time, each with a song and a seed of its own for every seed."""
    found = []
    for number in range(starts):
        clip = real[number % len(real)].dance
        frame = (number // len(real)) * (len(clip.landmarks) // 2)
        for seed in range(seeds):
            beats = random_music(100_000 + 1000 * seed + number).beats(frames / float(clip.fps) + 1)
            order = DanceOrder(clip.landmarks[frame], PictureSize(*clip.size), frames, clip.fps, beats)
            found.append((order, 1000 * seed + number))
    return found


def still(order: DanceOrder) -> StoredDance:
    """The start's pose, repeated."""
    return StoredDance(order.start[None].repeat(order.frames, 0), order.fps, order.beats, order.size)


def random_clip(order: DanceOrder, clips: Sequence[StoredDance], generator: np.random.Generator) -> StoredDance:
    """A training clip on the start's body, begun anywhere."""
    clip = clips[int(generator.integers(len(clips)))].landmarks
    begun = clip[int(generator.integers(len(clip) - 30)) :]
    return StoredDance(retarget(paced(begun, order.frames), order.start), order.fps, order.beats, order.size)


def nearest_clip(order: DanceOrder, clips: Sequence[StoredDance]) -> StoredDance:
    """The training's moment that is most like the start, from there on."""

    def shape(landmarks: np.ndarray) -> np.ndarray:
        points = landmarks[:, measures.MAIN, :2]
        points = points - points.mean(1, keepdims=True)
        return np.asarray((points / np.linalg.norm(points, axis=(1, 2), keepdims=True)).reshape(len(points), -1))

    wanted = shape(order.start[None])[0]
    distances = [np.linalg.norm(shape(clip.landmarks[:-30]) - wanted, axis=1) for clip in clips]
    which = int(np.argmin([distance.min() for distance in distances]))
    begun = clips[which].landmarks[int(distances[which].argmin()) :]
    return StoredDance(retarget(paced(begun, order.frames), order.start), order.fps, order.beats, order.size)


def drawn_distance(made: np.ndarray, real: Sequence[np.ndarray], half: int, generator: np.random.Generator) -> float:
    """Mean Frechet distance of `half` windows of each."""
    pool = np.concatenate(real)
    scale = pool.std(0) + 1e-6
    found = []
    for _ in range(DRAWS):
        one = made[generator.choice(len(made), half, replace=len(made) < half)]
        other = pool[generator.choice(len(pool), half, replace=False)]
        found.append(measures.frechet_distance(one / scale, other / scale))
    return float(np.mean(found))


def halves_distance(real: Sequence[Measured], name: str, generator: np.random.Generator) -> tuple[float, int]:
    """The same of two halves of the real dances, split by source; and how many windows half of them are."""
    scale = np.concatenate([getattr(one, name) for one in real]).std(0) + 1e-6
    sources = sorted({one.source for one in real})
    half = sum(len(getattr(one, name)) for one in real) // 2
    found = []
    for _ in range(DRAWS):
        mine = set(generator.permutation(sources)[: len(sources) // 2].tolist())
        sides = [
            np.concatenate([getattr(o, name) for o in real if (o.source in mine) == side]) for side in (True, False)
        ]
        size = min(len(side) for side in sides)
        found.append(measures.frechet_distance(*(side[:size] / scale for side in sides)))
    return float(np.mean(found)), half


def copied(made: Sequence[Measured], real: Sequence[Measured], clips: Sequence[StoredDance]) -> float:
    """Share of dances of which a window is nearer to the training's than any real one's is."""
    training = np.concatenate([_windows(clip, 3) for clip in clips])
    least_real = min(float(measures.nearest(_windows(one.dance, 45), training).min()) for one in real)
    near = [float(measures.nearest(_windows(one.dance, 45), training).min()) < least_real for one in made]
    return float(np.mean(near))


def _windows(dance: StoredDance, step: int) -> np.ndarray:
    """(windows, numbers) of 3 s of poses about the pelvis, in standing heights, every `step` 15ths of a second."""
    whole = np.concatenate(measures.parts_of(dance, measures.body_of(dance)))
    whole = whole - whole[:, measures.HIP_ROWS].mean(1, keepdims=True)
    size = min(45, len(whole))
    return np.stack([whole[at : at + size].ravel() for at in range(0, len(whole) - size + 1, step)])


def row(name: str, dances: Sequence[Measured], real: Sequence[Measured], seed: int = 0) -> dict[str, float]:
    """All columns of one kind of dance."""
    generator = np.random.default_rng(seed)
    steady = [measures.steadiness(one.dance, one.body) for one in dances]
    found = {
        key: float(np.mean([getattr(s, key) for s in steady])) for key in ("speed", "least", "outside", "skate", "pfc")
    }
    found["limbs"] = float(np.max([s.limbs for s in steady]))
    found["frozen"] = float(np.mean([s.least < measures.FROZEN for s in steady]))
    for kind in ("kinetic", "geometric"):
        truth = [getattr(one, kind) for one in real]
        scale = np.concatenate(truth).std(0) + 1e-6
        halves, half = halves_distance(real, kind, np.random.default_rng(seed))
        features = np.concatenate([getattr(one, kind) for one in dances])
        found[f"{kind} FD"] = halves if name == "real" else drawn_distance(features, truth, half, generator)
        one_each = np.stack([getattr(one, kind)[-1] for one in dances])
        found[f"{kind} div"] = measures.diversity(one_each, scale)
    return (
        found
        | {f"beat {shift:g}": aligned([one.dance for one in dances], shift) for shift in SHIFTS}
        | {"other song": aligned(with_other_songs([one.dance for one in dances]))}
    )


def aligned(dances: Sequence[StoredDance], shift: float = 0.0) -> float:
    """Mean beat alignment of those that have music."""
    met = [measures.alignment(dance, shift) for dance in dances if dance.beats is not None and len(dance.beats) > 3]
    known = [value for value in met if value is not None]
    return float(np.mean(known)) if known else float("nan")


def with_other_songs(dances: Sequence[StoredDance]) -> list[StoredDance]:
    """The same dances, each with the beats of the next one's music."""
    heard = [dance for dance in dances if dance.beats is not None and len(dance.beats) > 3]
    return [replace(dance, beats=heard[number - 1].beats) for number, dance in enumerate(heard)]


def table(rows: dict[str, dict[str, float]]) -> list[str]:
    """Kinds across, measures down."""
    names = list(rows)
    lines = [f"{'':14}" + "".join(f"{name:>11}" for name in names)]
    for key in rows[names[0]]:
        lines.append(f"{key:14}" + "".join(f"{rows[name][key]:11.4f}" for name in names))
    return lines


def best(column: dict[str, float]) -> float:
    """Beat alignment at the shift at which it is highest: not everybody rests on the beat."""
    return max(column[f"beat {shift:g}"] for shift in SHIFTS)


def worst(column: dict[str, float]) -> float:
    """The same where it is lowest."""
    return min(column[f"beat {shift:g}"] for shift in SHIFTS)


def verdicts(rows: dict[str, dict[str, float]], made: Sequence[Measured]) -> list[str]:
    """What it comes to, in sentences."""
    made_row, real, random = rows["made"], rows["real"], rows["random"]
    return [
        f"speed: {made_row['speed'] / real['speed']:.2f} of the real dances'",
        f"skate {made_row['skate'] / real['skate']:.2f}, pfc {made_row['pfc'] / real['pfc']:.2f} of the real",
        *(
            f"{kind} FD: {made_row[f'{kind} FD'] / real[f'{kind} FD']:.2f} of that between halves, "
            f"{made_row[f'{kind} FD'] / random[f'{kind} FD']:.2f} of a random clip's (the halves: "
            f"{real[f'{kind} FD'] / random[f'{kind} FD']:.2f}); "
            f"diversity {made_row[f'{kind} div'] / real[f'{kind} div']:.2f} of the real"
            for kind in ("kinetic", "geometric")
        ),
        f"beat alignment: {made_row['beat 0'] / real['beat 0']:.2f} of the real; half a beat later it is "
        f"{made_row['beat 0.5'] / made_row['beat 0']:.2f} of that (the real: {real['beat 0.5'] / real['beat 0']:.2f})",
        f"at the best shift it is {best(made_row) / made_row['other song']:.2f} of that with another song, at worst "
        f"{worst(made_row) / best(made_row):.2f} of the best (the real: {best(real) / real['other song']:.2f}, "
        f"{worst(real) / best(real):.2f})",
        f"{len(made)} dances",
    ]


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--starts", type=int, default=50)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--frames", type=int, default=724)
    parser.add_argument("--long", type=int, default=5, help="dances of 10,000 frames")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of the dances")
    given = parser.parse_args()
    real, clips = real_dances(given.data), training_dances(given.run)
    settings = overrides(given.set)
    network, generator = Choreographer.open(given.run).network, np.random.default_rng(0)
    usual = network.usual_bones.double().numpy()
    asked = orders(real, given.starts, given.seeds, given.frames)
    made, seconds = [], []
    for order, seed in asked:
        begun = time.process_time()
        dance = compose(network, order, dance_config(**settings, seed=seed))
        seconds.append(time.process_time() - begun)
        made.append(Measured.of(dance, body_of_pose(order.start, order.size.width, usual)))
    bodies = [body_of_pose(order.start, order.size.width, usual) for order, _ in asked]
    others = {
        "random": [Measured.of(random_clip(order, clips, generator), body) for (order, _), body in zip(asked, bodies)],
        "nearest": [Measured.of(nearest_clip(order, clips), body) for (order, _), body in zip(asked, bodies)],
        "still": [
            Measured.of(still(order), body) for (order, _), body in zip(asked[:: given.seeds], bodies[:: given.seeds])
        ],
    }
    rows = {"real": row("real", real, real), "made": row("made", made, real)}
    rows |= {name: row(name, dances, real) for name, dances in others.items()}
    print(f"{len(real)} real clips, {len(clips)} training clips, {len(made)} dances of {given.frames} frames")
    print("\n".join(table(rows)))
    print("\n".join(verdicts(rows, made)))
    print(f"nearer to the training than any real dance: {copied(made, real, clips):.2f} of the dances")
    print(f"CPU time: one dance {np.median(seconds):.2f} s, the training {training_seconds(given.run):.0f} s")
    for number in range(given.long):
        order, _ = asked[number * given.seeds]
        begun = time.process_time()
        beats = random_music(900_000 + number).beats(10_000 / float(order.fps) + 1)
        long = compose(
            network,
            DanceOrder(order.start, order.size, 10_000, order.fps, beats),
            dance_config(**settings, candidates=1, seed=number),
        )
        found = measures.steadiness(long, bodies[number * given.seeds])
        last = measures.joint_speed(long.landmarks[-1000:], float(long.fps), bodies[number * given.seeds]).mean()
        print(
            f"10,000 frames: speed {found.speed:.3f}, of the last 1,000 {last:.3f}, slowest second {found.least:.2f}, "
            f"outside {found.outside:.3f}, limbs {found.limbs:+.4f}, {time.process_time() - begun:.1f} s of CPU time"
        )


if __name__ == "__main__":
    main()
