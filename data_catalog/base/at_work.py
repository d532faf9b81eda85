"""Who may be at work: a lock, and the one sentence for who comes second, for each thing that only one process does."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from data_catalog.base.errors import LongdanceError
from data_catalog.base.locks import check_free, exclusive
from data_catalog.base.paths import DataFolder, RolloutFolder, RunFolder


@dataclass(frozen=True)
class Work:
    """One process at a time."""

    lock: Path
    busy: str

    def alone(self) -> AbstractContextManager[None]:
        """Hold the lock. Raises LongdanceError if another process does, OSError where it cannot be made."""
        return exclusive(self.lock, LongdanceError(self.busy))

    def check(self) -> None:
        """Raise LongdanceError if another process is at work: for a command, before it starts what takes long."""
        check_free(self.lock, LongdanceError(self.busy))


def building(data: DataFolder) -> Work:
    """A build of this data set."""
    return Work(data.lock, f"Another build is at work in {data.root}: wait until it has ended.")


def scoring(data: Path) -> Work:
    """The measuring of losses on this data set."""
    return Work(DataFolder(data).ledger_lock, f"Another process is scoring on {data}: wait until it has ended.")


def training(run: Path) -> Work:
    """The training of this run."""
    return Work(RunFolder(run).lock, f"Another process is training run {run}: wait for it, or stop it first.")


def generating(out: Path) -> Work:
    """The making of this video, and of anything beside it."""
    busy = f"Another process is at work on {out}: wait for it, or stop it first."
    return Work(RolloutFolder.beside(out).lock, busy)
