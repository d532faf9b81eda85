"""What a run has to know of what it is trained on, be it latents of videos or landmarks of dances."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol


class RunSample(Protocol):
    """One sample of a data set."""

    @property
    def source_id(self) -> str:
        """The video that it is from."""


class RunSamples(Protocol):
    """One side of a data set."""

    @property
    def samples(self) -> Sequence[RunSample]:
        """All of them."""


class RunData(Protocol):
    """A data set, split by source."""

    @property
    def version(self) -> str:
        """Hash of the samples and their bytes."""

    @property
    def codec(self) -> str:
        """Hash of the codec of latents, or the layout of landmarks: runs of another one begin nothing here."""

    @property
    def codec_folder(self) -> Path | None:
        """Where the codec lies; None for landmarks."""

    @property
    def train(self) -> RunSamples:
        """What is trained on."""

    @property
    def holdout(self) -> RunSamples:
        """What never is."""
