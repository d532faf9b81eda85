"""Where everything of a rollout lies, and of any page."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True)
class RolloutFolder:
    """What a generated video is made of."""

    root: Path

    @classmethod
    def beside(cls, video: Path) -> Self:
        """That of the video of this name."""
        return cls(video.with_name(f"{video.stem}.rollout"))

    @property
    def record(self) -> Path:
        """What the rollout is made of, and how far it is."""
        return self.root / "rollout.json"

    @property
    def lock(self) -> Path:
        """Held by the process that makes it."""
        return self.root / "lock"

    @property
    def latents(self) -> Path:
        """A file for each finished call."""
        return self.root / "latents"

    @property
    def segments(self) -> Path:
        """Parts of the video, encoded."""
        return self.root / "segments"

    @property
    def metrics(self) -> Path:
        """The drift report."""
        return self.root / "metrics.json"

    @property
    def frames(self) -> Path:
        """Every frame as a PNG, where they were asked for."""
        return self.root / "frames"


def files_of(page: Path) -> Path:
    """Folder of the pictures of a page: `report_files` beside `report.html`, as browsers save pages."""
    return page.with_name(f"{page.stem}_files")
