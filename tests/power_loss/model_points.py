"""The commit points of the model: latents, checkpoints, versions, a rollout's windows."""

from pathlib import Path
from typing import Any

import torch

from data_catalog.base.paths import DataFolder, RolloutFolder, RunFolder
from data_catalog.connection import open_catalog
from flows.catalog.manifests import repair_catalog
from flows.catalog.scoring_rows import merge_version_files
from model.config import EncodeConfig
from model.data.latents import encode_dataset, latents_manifests, verify_latents
from model.data.versions import Version, VersionSample, read_version, version_names, write_version
from model.plans.plan import Call
from model.rollout.record import check_record, open_record
from model.rollout.steps import Step
from model.rollout.store import RolloutStore
from model.runs.checkpoint import TrainingState, load_checkpoint, newest_checkpoint, save_checkpoint
from model.runs.record import open_run
from model.training.metrics_log import MetricsLog
from tests.power_loss.build_points import CONFIG, KEYS
from tests.power_loss.point import Acknowledge, CommitPoint, World, same_files

ENCODE = EncodeConfig(picture=32, patch=4, channels=4, fit_frames=8)


class Latents(CommitPoint):
    """A codec, and each shard's latents."""

    name = "latents"
    after = "catalog"

    def act(self, folder: Path, world: World, done: Acknowledge) -> None:
        """As a training begins."""
        encode_dataset(folder, ENCODE, progress=lambda number, _: done(str(number)))
        done("all")

    def check(self, folder: Path, finished: Path, acknowledged: tuple[str, ...], world: World) -> None:
        """Latents are believed as soon as their sealed manifest is there and their size is right."""
        whole = {path.name: path for path in latents_manifests(finished)}
        for manifest in latents_manifests(folder):
            assert manifest.read_bytes() == whole[manifest.name].read_bytes(), f"{manifest.name} says something else"
            assert verify_latents(manifest), f"the latents of {manifest.name} have other bytes"
        if "all" in acknowledged:
            same_files(folder, finished, "latents", all_of_them=True)
        same_files(folder, finished, "codecs", all_of_them=bool(acknowledged))
        encode_dataset(folder, ENCODE)
        for part in ("latents", "codecs"):
            same_files(folder, finished, part, all_of_them=True)


def state_at(step: int, metrics_bytes: int) -> TrainingState:
    """The training state after a step."""
    generator = torch.Generator().manual_seed(step)
    tensors = {part: {"a": torch.randn(8, 8, generator=generator)} for part in ("weights", "ema", "optimizer")}
    return TrainingState(tensors, {"step": step, "metrics_bytes": metrics_bytes}, {"width": 8})


class Checkpoints(CommitPoint):
    """A run's record, its metrics and its checkpoints."""

    name = "checkpoint"
    identity: dict[str, Any] = {"config": {"stage": "starter"}, "code": {"model": "abc"}}  # noqa: RUF012

    def act(self, folder: Path, world: World, done: Acknowledge) -> None:
        """Three checkpoints, of which two are kept."""
        run = RunFolder(folder / "runs" / "one")
        open_run(run.root, self.identity, None)
        done("0")
        log = MetricsLog(run.metrics, 0)
        for step in (10, 20, 30):
            log.write({"step": step})
            save_checkpoint(run.checkpoints, state_at(step, log.sync()), keep=2)
            done(str(step))
        log.close()

    def check(self, folder: Path, finished: Path, acknowledged: tuple[str, ...], world: World) -> None:
        """The newest that was finished is there, whole, with its metrics; the next one is written."""
        run, said = RunFolder(folder / "runs" / "one"), []
        if run.record.exists() or acknowledged:
            assert run.record.read_bytes() == RunFolder(finished / "runs" / "one").record.read_bytes()
        open_run(run.root, self.identity, None)
        info = newest_checkpoint(run.checkpoints, said.append)
        assert not said, said
        step = info.step if info else 0
        assert step >= max(map(int, acknowledged), default=0), "a finished checkpoint is lost"
        history = run.checkpoint_history.read_text() if run.checkpoint_history.exists() else ""
        assert all(f'"step":{one}}}' in history for one in acknowledged if one != "0"), "the history is lost"
        if info:
            found = load_checkpoint(info)
            expected = state_at(step, found.progress["metrics_bytes"])
            assert found.progress == expected.progress
            for part, tensors in expected.tensors.items():
                assert torch.equal(found.tensors[part]["a"], tensors["a"]), f"{part} has other numbers"
            log = MetricsLog(run.metrics, found.progress["metrics_bytes"])
            log.close()
            assert not log.lines_are_missing, "metrics of finished steps are lost"
            whole = RunFolder(finished / "runs" / "one").metrics.read_bytes()
            assert run.metrics.read_bytes() == whole[: found.progress["metrics_bytes"]]
        for more in (step + 10, step + 20):
            save_checkpoint(run.checkpoints, state_at(more, 0), keep=2)
        newest = newest_checkpoint(run.checkpoints, said.append)
        assert newest is not None
        assert (newest.step, said) == (step + 20, [])


class Versions(CommitPoint):
    """Named sets of samples."""

    name = "version"
    after = "catalog"
    made = tuple(Version(name, None, {"n": name}, (VersionSample("k", "0" * 64),)) for name in ("one", "two"))

    def act(self, folder: Path, world: World, done: Acknowledge) -> None:
        """As a prune."""
        for version in self.made:
            write_version(folder, version)
            merge_version_files(folder, [version.name])
            done(version.name)

    def check(self, folder: Path, finished: Path, acknowledged: tuple[str, ...], world: World) -> None:
        """Every version that is named can be read."""
        names = set(version_names(folder))
        assert names >= set(acknowledged), "a finished version is lost"
        for version in self.made:
            if version.name in names:
                assert read_version(folder, version.name).hash == version.hash
        repair_catalog(DataFolder(folder), CONFIG, KEYS)
        with open_catalog(DataFolder(folder).catalog, read_only=True) as con:
            stored = {name for (name,) in con.execute("SELECT version FROM versions").fetchall()}
        assert stored >= set(acknowledged), "a version is lost from the catalog"
        for version in self.made:
            write_version(folder, version)
            merge_version_files(folder, [version.name])
        same_files(folder, finished, "versions", all_of_them=True)


class Windows(CommitPoint):
    """A rollout's record and its finished windows."""

    name = "rollout window"
    identity: dict[str, Any] = {"plan": "origin"}  # noqa: RUF012

    def steps(self) -> list[tuple[Step, torch.Tensor]]:
        """Three windows and their latents."""
        generator = torch.Generator().manual_seed(0)
        found = []
        for number in range(3):
            targets = (2 * number, 2 * number + 1)
            step = Step(number, Call("starter", (0,) if number else (), targets), 0, targets, (), f"{number:064d}")
            found.append((step, torch.randn(2, 4, 4, 4, generator=generator)))
        return found

    def act(self, folder: Path, world: World, done: Acknowledge) -> None:
        """As a rollout."""
        place = RolloutFolder(folder / "out.rollout")
        record = open_record(place.root, self.identity)
        done("record")
        store = RolloutStore(place.latents)
        for step, latents in self.steps():
            store.put(step, latents)
            done(str(step.number))
        record.finish()
        done("finished")

    def check(self, folder: Path, finished: Path, acknowledged: tuple[str, ...], world: World) -> None:
        """A window that is there is whole."""
        place = RolloutFolder(folder / "out.rollout")
        record = check_record(place.root, self.identity)
        assert record is not None or not acknowledged, "the rollout's record is lost"
        assert (record is not None and record.finished == 1) or "finished" not in acknowledged
        store = RolloutStore(place.latents)
        for step, latents in self.steps():
            there = store.path(step).exists()
            assert there or str(step.number) not in acknowledged, f"window {step.number} is lost"
            if there:
                assert torch.equal(store.get(step), latents.half()), f"window {step.number} has other numbers"
        record = open_record(place.root, self.identity)
        for step, latents in self.steps():
            if not store.has(step):
                store.put(step, latents)
        record.finish()
        same_files(folder, finished, "out.rollout/latents", all_of_them=True)


MODEL_POINTS: tuple[CommitPoint, ...] = (Latents(), Checkpoints(), Versions(), Windows())
