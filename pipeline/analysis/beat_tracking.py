"""Where the beats of a piece of music are, by librosa's tracker (Ellis 2007), minute by minute.

librosa compiles itself when it is imported first, and takes seconds even later: so it waits until there is sound.
"""

import contextlib
import functools
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from data_catalog.base.locks import in_turn
from data_catalog.base.paths import user_cache

RATE = 22050
HOP = 256  # samples between the values of the onset strength
WINDOW = 2048  # samples that one value looks at
LAG_S = 0.02  # that the onset strength, and so every beat, comes late: 15 ms on clicks, 25 on drums
BLOCK_S, OVERLAP_S = 60.0, 5.0  # music changes its tempo from song to song; a block's outer beats are its neighbours'
EDGE = 2  # first and last beats are placed badly, since the tracker sees one side of them alone
FEW = 8  # beats that tell a steady pulse
UNSTEADY = 0.08  # of a step: a beat so far off the pulse is one of those, too


def track_beats(blocks: Iterable[np.ndarray]) -> np.ndarray:
    """Times of the beats in seconds, ascending: (n,) float64.

    Args:
        blocks: what `sound_blocks` cuts.
    """
    found: list[np.ndarray] = []
    for number, block in enumerate(blocks):
        start = number * (BLOCK_S - 2 * OVERLAP_S)
        beats = beats_of_block(block) + start
        if number:
            border = start + OVERLAP_S
            found[-1] = found[-1][found[-1] < border]
            beats = beats[beats >= border]
        found.append(beats)
    joined = np.concatenate([np.empty(0), *found])
    usual = float(np.median(np.diff(joined))) if len(joined) > 1 else 0.0
    return joined[np.diff(joined, prepend=-np.inf) > usual / 2]  # at a border, two trackers may tell one beat


def beats_of_block(samples: np.ndarray) -> np.ndarray:
    """(n,) seconds of the beats of mono float32 samples at RATE; none where nothing strikes."""
    if len(samples) < WINDOW:
        return np.empty(0)
    librosa = compiled_librosa()
    strength = librosa.onset.onset_strength(y=samples, sr=RATE, hop_length=HOP, n_fft=WINDOW)
    if not strength.any():
        return np.empty(0)
    _, frames = librosa.beat.beat_track(onset_envelope=strength, sr=RATE, hop_length=HOP, trim=False)
    beats = with_steady_edges(np.asarray(frames) * HOP / RATE - LAG_S)
    return beats[(beats >= 0) & (beats < len(samples) / RATE)]


def with_steady_edges(beats: np.ndarray) -> np.ndarray:
    """The beats with the first and last ones, at least EDGE, moved to where the pulse beside them puts them."""
    if len(beats) < FEW:
        return beats
    begun = -_with_steady_end(-beats[::-1])[::-1]
    return _with_steady_end(begun)


def _with_steady_end(beats: np.ndarray) -> np.ndarray:
    steps = np.diff(beats)
    usual = float(np.median(steps[-FEW:]))
    moved = EDGE
    while moved < FEW // 2 and abs(steps[-1 - moved] - usual) > UNSTEADY * usual:
        moved += 1
    return np.concatenate([beats[:-moved], beats[-moved - 1] + usual * np.arange(1, moved + 1)])


def sound_blocks(chunks: Iterable[np.ndarray]) -> Iterable[np.ndarray]:
    """Overlapping stretches of at most BLOCK_S out of samples at RATE that come in chunks, (n,) each.

    The last block is longer by less than the way from one block to the next, so that none is short.
    """
    size, step = int(BLOCK_S * RATE), int((BLOCK_S - 2 * OVERLAP_S) * RATE)
    held = np.empty(0, np.float32)
    for chunk in chunks:
        held = np.concatenate([held, chunk])
        while len(held) >= size + step:
            yield held[:size]
            held = held[step:]
    if len(held):
        yield held


@functools.cache
def compiled_librosa() -> Any:
    """librosa, compiled: by one process at a time, for two that write into numba's cache at once spoil it for good, and
    whoever reads that ends by a signal."""
    # Where numba can write neither beside the library nor at home, it refuses to work.
    folder = Path(os.environ.setdefault("NUMBA_CACHE_DIR", str(_writable())))
    with contextlib.ExitStack() as alone:
        with contextlib.suppress(OSError):  # the user's own folder may be read-only: then nobody writes into it
            alone.enter_context(in_turn(folder / "compiling"))
        import librosa.beat
        import librosa.onset

        clicks = np.tile(np.repeat(np.array([1, 0], np.float32), [200, RATE // 2 - 200]), 8)
        found: Any = librosa
        strength = found.onset.onset_strength(y=clicks, sr=RATE, hop_length=HOP, n_fft=WINDOW)
        found.beat.beat_track(onset_envelope=strength, sr=RATE, hop_length=HOP, trim=False)
    return found


def _writable() -> Path:
    with contextlib.suppress(OSError, RuntimeError):  # RuntimeError: this user has no home
        folder = user_cache() / "librosa"
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    return Path(tempfile.gettempdir()) / f"longdance-numba-{os.getuid()}"
