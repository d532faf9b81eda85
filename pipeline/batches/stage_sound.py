"""The sound of a batch's samples: one pass over the source, whatever is cut out of it."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from pipeline.analysis.sound_pass import Heard
from pipeline.clips.beats import music_beats, tempo_of
from pipeline.config import BuildConfig
from pipeline.shards.cut_sound import SoundCut, cut_of, cut_sounds, sound_member
from pipeline.shards.encode_clip import VariantJob


class SourceSounds:
    """The sound of some samples of one source, decoded when the first of them is asked for."""

    def __init__(
        self,
        descriptor: int,
        pts: np.ndarray,
        heard: Heard,
        jobs: Mapping[str, tuple[VariantJob, Fraction]],
        config: BuildConfig,
    ) -> None:
        """`jobs`: by sample key, what is encoded and its frames a second, of clips that have sound."""
        self._descriptor, self._heard, self._config = descriptor, heard, config
        self._cuts = {key: cut_of(job, pts, fps, config.sound.rate) for key, (job, fps) in jobs.items()}
        self._sounds: dict[str, np.ndarray] = {}

    def member(self, key: str) -> tuple[bytes, dict[str, Any]] | None:
        """(FLAC, what the sample's json says of it); None for a sample without sound.

        Raises:
            RejectedError: the sound does not decode any more; KilledError.
        """
        if key not in self._cuts:
            return None
        config = self._config.sound
        if not self._sounds:
            cuts, shift_s = list(self._cuts.values()), self._heard.shift_s
            decoded = cut_sounds(self._descriptor, shift_s, cuts, config, self._config.limits)
            self._sounds = dict(zip(self._cuts, decoded, strict=True))
        cut = self._cuts[key]
        flac, said = sound_member(self._sounds[key], cut, config)
        return flac, said | self._music(cut)

    def _music(self, cut: SoundCut) -> dict[str, Any]:
        beats = music_beats(self._heard, cut.start_s, cut.samples / self._config.sound.rate, cut.speed)
        return {"beats": np.round(beats, 4).tolist(), "tempo": tempo_of(beats)}
