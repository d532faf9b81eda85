"""What samples are worth, from their losses: pure functions over arrays (N samples, K losses; NaN: not measured).

RHO-loss (Mindermann et al. 2022, eq. 3): the loss under the model minus the irreducible loss, that under a model
which was never trained on the sample. High: worth learning. Low with a low loss: learnt. Low with a high irreducible
loss: noise. Every column is standardised by itself, since losses of different log-SNR differ by powers of ten.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from model.seeding import numpy_generator, seed_of

HIGHEST_GOES = {"unlearnable": True, "rho": False, "high_loss": True, "learnt": True, "random": True, "flags": True}
"""For every score of worth: whether the highest or the lowest samples are the least worth."""
_SPLITS, _RESAMPLES = 100, 200
BORDERLINE = (0.02, 0.98)
"""Bootstrap probabilities between which a sample counts as near the cut."""


def standardise(values_NK: np.ndarray, reference_N: np.ndarray | None = None) -> np.ndarray:
    """Each column minus its median, over its interquartile range as a normal deviation (IQR / 1.349).

    Robust, because what is looked for are outliers.
    """
    middle_K, spread_K = middle_and_spread(values_NK, reference_N)
    return (values_NK - middle_K) / spread_K


def middle_and_spread(values_NK: np.ndarray, reference_N: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The median and the robust deviation (IQR / 1.349; 1 where that is 0) of each column, (K,) each.

    A column that only some samples have (they were near a cut) is judged by the reference samples, which were
    not chosen for their scores.
    """
    middle_K, spread_K = np.zeros(values_NK.shape[1]), np.ones(values_NK.shape[1])
    for k, column in enumerate(values_NK.T):
        known = ~np.isnan(column)
        basis = known if known.all() or reference_N is None else known & reference_N
        if not basis.any():
            basis = known
        if basis.any():
            low, middle_K[k], high = np.percentile(column[basis], [25, 50, 75])
            spread_K[k] = (high - low) / 1.349 or 1.0
    return middle_K, spread_K


def antithetic_means(values_NK: np.ndarray) -> np.ndarray:
    """Means of antithetic pairs, (N, K / 2): the smallest parts whose noise is independent."""
    return values_NK.reshape(len(values_NK), -1, 2).mean(2)


def average(values: np.ndarray) -> np.ndarray:
    """Mean of each row over what was measured; NaN where nothing was."""
    counts = (~np.isnan(values)).sum(1)
    return np.where(counts > 0, np.nansum(values, 1) / np.maximum(counts, 1), np.nan)


def calibrated(folds_FNK: np.ndarray, holdout_N: np.ndarray) -> np.ndarray:
    """One irreducible loss (N, K) from several models, each NaN where it was trained on the sample.

    One model may be better than the other altogether: on the held-out samples, which none was trained on, each is
    compared with their mean, and the median difference of each column is taken off. They themselves get the mean.
    """
    holdout_samples = folds_FNK[:, holdout_N]
    offsets = np.nan_to_num(_nanmedian(holdout_samples - holdout_samples.mean(0, keepdims=True), axis=1))
    shifted = folds_FNK - offsets[:, None, :]
    counts = (~np.isnan(shifted)).sum(0)
    return np.where(counts > 0, np.nansum(shifted, 0) / np.maximum(counts, 1), np.nan)


def _nanmedian(values: np.ndarray, axis: int) -> np.ndarray:
    """numpy's, without its warning where nothing is known: that is NaN."""
    known = ~np.isnan(values).all(axis)
    filled = np.where(np.isnan(values).all(axis, keepdims=True), 0.0, values)
    return np.where(known, np.nanmedian(filled, axis), np.nan)


def rho(loss: np.ndarray, irreducible: np.ndarray) -> np.ndarray:
    """Reducible hold-out loss: what a sample still has to teach."""
    return loss - irreducible


def unlearnable(
    loss: np.ndarray, irreducible: np.ndarray, change_N: np.ndarray, reference_N: np.ndarray | None = None
) -> np.ndarray:
    """High irreducible loss, for itself and for how much changes in the clip, and low rho; (N, K).

    In logarithms, so that no noise grows with the loss. A fast dance has a high loss because much changes; what is
    noise has one that is high for its change too (the unexplained share of variance). From both, standardised and
    added, goes what the loss lies above the irreducible one (rho), in units of the irreducible losses' own spread.
    """
    hard = np.log(_positive(irreducible))
    worth = np.log(_positive(loss)) - hard
    unexplained = hard - np.log(_positive(change_N[:, None]))
    reducible = (worth - middle_and_spread(worth, reference_N)[0]) / middle_and_spread(hard, reference_N)[1]
    return standardise(hard, reference_N) + standardise(unexplained, reference_N) - np.maximum(reducible, 0)


def _positive(losses_NK: np.ndarray) -> np.ndarray:
    """At least a thousandth of the column's median: calibration can take a small loss below 0."""
    return np.maximum(losses_NK, 1e-3 * np.maximum(_nanmedian(losses_NK, axis=0), 1e-30))


@dataclass(frozen=True)
class Valuation:
    """Scores of worth of N samples: a column each, and its independent parts (N, pairs) where it has some."""

    columns: dict[str, np.ndarray]
    pairs: dict[str, np.ndarray]


def value_samples(
    keys: Sequence[str],
    loss_NK: np.ndarray,
    irreducible_NK: np.ndarray | None,
    change_N: np.ndarray,
    seed: int = 0,
    reference_N: np.ndarray | None = None,
) -> Valuation:
    """All scores of worth that the losses and the clips' change allow; `flags` is the catalog's to say."""
    hard = standardise(loss_NK, reference_N)
    parts = {"high_loss": hard, "learnt": -hard}
    empty = np.full(len(keys), np.nan)
    columns = {"loss": average(loss_NK), "irreducible_loss": empty, "irreducible": empty, "rho": empty}
    columns["unlearnable"] = empty
    if irreducible_NK is not None:
        columns["irreducible_loss"] = average(irreducible_NK)
        parts["irreducible"] = standardise(irreducible_NK, reference_N)
        parts["rho"] = standardise(rho(loss_NK, irreducible_NK), reference_N)
        parts["unlearnable"] = unlearnable(loss_NK, irreducible_NK, change_N, reference_N)
    columns |= {name: average(part) for name, part in parts.items()}
    columns["random"] = random_scores(keys, seed)
    return Valuation(columns, {name: antithetic_means(part) for name, part in parts.items()})


def random_scores(keys: Sequence[str], seed: int) -> np.ndarray:
    """The control: even in [0, 1), from the sample's key alone."""
    return np.array([seed_of(seed, f"random/{key}", 0) / 2**63 for key in keys])


def split_half(pairs_NP: np.ndarray) -> float:
    """Reliability of the mean over all units: Spearman's rank correlation between random halves of them, stepped up
    to the full length by Spearman-Brown, 2r / (1 + r); the mean over 100 splits. NaN with fewer than two units, and
    where all samples' halves are equal.

    Only units that every sample has are used. Pairs are never split: antithetic errors would cancel.
    """
    whole = pairs_NP[:, ~np.isnan(pairs_NP).any(0)]
    count = whole.shape[1]
    if count < 2 or len(whole) < 3:
        return float("nan")
    found = []
    for split in range(_SPLITS):
        order = numpy_generator(0, "split-half", split).permutation(count)
        halves = [whole[:, order[: count // 2]].mean(1), whole[:, order[count // 2 : 2 * (count // 2)]].mean(1)]
        ranks = rankdata(halves, axis=1)  # equal values share the mean of their ranks
        r = np.corrcoef(ranks)[0, 1] if ranks.std(1).all() else np.nan
        found.append(2 * r / (1 + r))
    return float(np.maximum(-1.0, np.mean(found)))  # with few samples the formula leaves the range


def standard_error(pairs_NP: np.ndarray, bins: int = 1) -> np.ndarray:
    """Standard error of each sample's mean over its units, (N,); NaN with fewer than two.

    Unit u lies in log-SNR bin u mod `bins`, by design and not by chance, so that differences between bins are no
    error: the stratified estimate, sum over bins of (n_b / n)^2 s_b^2 / n_b (Cochran 1977, eq. 5.7). A sample with a
    bin of fewer than two units gets the plain one, which is larger.
    """
    plain = _squared_error(pairs_NP)
    counts = (~np.isnan(pairs_NP)).sum(1)
    parts = [pairs_NP[:, b::bins] for b in range(bins)]
    shares = [(~np.isnan(part)).sum(1) / np.maximum(counts, 1) for part in parts]
    stratified = sum(share**2 * _squared_error(part) for share, part in zip(shares, parts))
    return np.sqrt(np.where(np.isnan(stratified), plain, stratified))


def _squared_error(pairs_NP: np.ndarray) -> np.ndarray:
    counts = (~np.isnan(pairs_NP)).sum(1)
    centred = pairs_NP - average(pairs_NP)[:, None]
    variance = np.nansum(centred**2, 1) / np.maximum(counts - 1, 1)
    return np.where(counts > 1, variance / np.maximum(counts, 1), np.nan)


def certainty(pairs_NP: np.ndarray, fraction: float, highest: bool, seed: int = 0) -> np.ndarray:
    """Bootstrap probability that a sample is among the worst `fraction`: its units are drawn again, with replacement,
    200 times, and all samples ranked each time; (N,)."""
    signed = pairs_NP if highest else -pairs_NP
    counts = (~np.isnan(signed)).sum(1)
    order = np.argsort(np.isnan(signed), axis=1, kind="stable")  # what is known first
    known = np.take_along_axis(signed, order, 1)
    goes, hits = max(1, int(fraction * len(signed))), np.zeros(len(signed))
    for number in range(_RESAMPLES):
        uniform = numpy_generator(seed, "bootstrap", number).random(signed.shape, np.float32)
        drawn = np.take_along_axis(known, np.minimum((uniform * counts[:, None]).astype(int), counts[:, None] - 1), 1)
        within = np.arange(signed.shape[1])[None] < counts[:, None]
        means = np.where(within, drawn, 0).sum(1) / counts
        hits[np.argsort(-means, kind="stable")[:goes]] += 1
    return hits / _RESAMPLES


def borderline(certainty_N: np.ndarray) -> np.ndarray:
    """Which samples the bootstrap cannot place."""
    return (certainty_N > BORDERLINE[0]) & (certainty_N < BORDERLINE[1])


def conditional_reliability(pairs_NP: np.ndarray, borderline_N: np.ndarray, bins: int = 1) -> float:
    """Reliability around the cut: 1 - mean squared standard error of the samples there / variance of all scores.

    The variance is the robust one (IQR / 1.349, squared). With nobody near the cut it is 1.
    """
    if not borderline_N.any():
        return 1.0
    low, high = np.percentile(average(pairs_NP), [25, 75])
    spread = (high - low) / 1.349
    if spread <= 0:
        return 0.0
    return float(max(0.0, 1 - np.mean(standard_error(pairs_NP, bins)[borderline_N] ** 2) / spread**2))


def k_needed(k: int, reliability: float, wanted: float, bins: int = 1) -> int:
    """The K, between 2k and about 8k, at which a reliability at k becomes the wanted one: by the Spearman-Brown
    prophecy, k times the ratio of r / (1 - r), and a quarter more, as it is an estimate. Whole rounds over the bins."""
    odds = wanted / (1 - wanted) * (1 - reliability) / max(reliability, 1e-9)
    return 2 * bins * math.ceil(k * min(8.0, max(2.0, 1.25 * odds)) / (2 * bins))
