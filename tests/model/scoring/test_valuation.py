"""Scores of worth on losses whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from model.scoring.valuation import (
    antithetic_means,
    average,
    borderline,
    calibrated,
    certainty,
    conditional_reliability,
    random_scores,
    split_half,
    standard_error,
    standardise,
    value_samples,
)

N, K = 400, 16


def drawn(noise: float, k: int = K) -> tuple[np.ndarray, np.ndarray]:
    """(true worth, losses): columns of very different size, antithetic_means with independent noise."""
    truth = np.random.default_rng(1).normal(size=N)
    generator = np.random.default_rng(2)
    per_pair = truth[:, None] + noise * generator.normal(size=(N, k // 2))
    scale = np.repeat(10.0 ** -np.arange(k // 2), 2)
    return truth, scale * (10 + np.repeat(per_pair, 2, axis=1))


def test_standardised_columns_have_median_0_and_spread_1_and_outliers_move_neither() -> None:
    _, losses = drawn(0.1)
    before = standardise(losses)
    assert np.allclose(np.median(before, 0), 0)
    assert np.allclose(np.diff(np.percentile(before, [25, 75], 0), axis=0) / 1.349, 1)
    losses[:40] *= 100
    after = standardise(losses)
    assert np.abs(after[40:] - before[40:]).max() < 1
    assert after[:40].min() > 20


def test_columns_that_only_samples_near_the_cut_have_are_centred_on_the_anchors() -> None:
    truth, losses = drawn(0.0, 4)
    whole = standardise(losses)
    reference_samples = np.arange(N) % 3 == 0
    partial = losses.copy()
    partial[~reference_samples & (truth < 1), 2:] = np.nan
    seen = ~np.isnan(partial[:, 3])
    assert np.abs(standardise(partial, reference_samples)[seen] - whole[seen]).max() < 0.4
    assert np.abs(standardise(partial)[seen] - whole[seen]).max() > 0.4  # without reference_samples: shifted


def test_calibration_takes_off_what_one_model_is_worse_by_altogether() -> None:
    _, losses = drawn(0.0)
    folds = np.stack([losses * 1.0, losses + 0.5])
    holdout_samples = np.arange(N) < 40
    fold = np.arange(N) % 2 == 0
    folds[0, fold & ~holdout_samples] = np.nan
    folds[1, ~fold & ~holdout_samples] = np.nan
    assert np.allclose(calibrated(folds, holdout_samples), losses + 0.25)


def test_worth_tells_noise_from_what_can_be_learnt_and_from_what_is_learnt() -> None:
    generator = np.random.default_rng(5)
    kind = np.repeat(["ordinary", "noise", "worth", "learnt", "fast"], [320, 20, 20, 20, 20])
    irreducible = generator.uniform(0.9, 1.1, (N, 8))
    loss = irreducible * generator.uniform(0.97, 1.03, (N, 8))
    irreducible[kind == "noise"] *= 3
    loss[kind == "noise"] *= 3
    loss[kind == "worth"] *= 3
    loss[kind == "learnt"] *= 0.5
    irreducible[kind == "learnt"] *= 0.5
    change = generator.uniform(0.9, 1.1, N)
    for much in (irreducible, loss, change):
        much[kind == "fast"] *= 4
    found = value_samples([f"s{n}" for n in range(N)], loss, irreducible, change).columns

    def top(name: str, sign: int) -> set[str]:
        return set(kind[np.argsort(-sign * found[name])[:20]])

    assert top("unlearnable", 1) == {"noise"}
    assert top("rho", 1) == {"worth"}
    assert top("learnt", 1) == {"learnt"}
    assert top("high_loss", 1) == {"fast"}  # which is why high loss alone is no reason


def test_without_irreducible_losses_rho_is_unknown_and_high_loss_is_not() -> None:
    found = value_samples(["a", "b", "c"], np.array([[1.0, 2], [3, 4], [5, 6]]), None, np.ones(3)).columns
    assert np.isnan(found["rho"]).all()
    assert found["high_loss"].argmax() == 2


@pytest.mark.parametrize("noise", [0.5, 1.0, 2.0])
def test_spearman_brown_predicts_the_correlation_with_a_second_measurement(noise: float) -> None:
    _, first = drawn(noise)
    generator = np.random.default_rng(9)
    truth = np.random.default_rng(1).normal(size=N)
    second = truth[:, None] + noise * generator.normal(size=(N, K // 2))
    pairs = antithetic_means(standardise(first))
    measured = np.corrcoef(average(pairs), second.mean(1))[0, 1]
    assert split_half(pairs) == pytest.approx(measured, abs=0.05)


def test_reliability_never_splits_antithetic_pairs() -> None:
    generator = np.random.default_rng(4)
    noise = generator.normal(size=(N, K // 2))
    losses = 5 + np.stack([noise, -noise], 2).reshape(N, K)  # nothing but antithetic noise
    losses += 0.3 * generator.normal(size=losses.shape)
    assert abs(split_half(antithetic_means(standardise(losses)))) < 0.35
    assert np.isnan(split_half(np.ones((5, 1))))


def test_equal_values_share_a_rank_whatever_the_order_of_the_samples() -> None:
    """Every other sample is 0 throughout: ranked by their places, they would agree with one another by chance."""
    pairs = np.random.default_rng(6).normal(size=(40, 4))
    pairs[::2] = 0
    assert -0.5 < split_half(pairs) < 0.5
    shuffled = np.random.default_rng(7).permutation(40)
    assert split_half(pairs[shuffled]) == pytest.approx(split_half(pairs), abs=1e-12)
    assert np.isnan(split_half(np.ones((5, 4))))  # nothing sets the samples apart


def test_certainty_is_high_in_the_tail_low_in_the_middle_and_open_at_the_cut() -> None:
    truth, losses = drawn(0.3)
    pairs = antithetic_means(standardise(losses))
    sure = certainty(pairs, 0.1, highest=True)
    order = np.argsort(-truth)
    assert sure[order[:10]].mean() > 0.95
    assert sure[order[120:]].max() < 0.05
    assert sure.sum() == pytest.approx(0.1 * N)
    assert borderline(sure)[order[30:50]].mean() > 0.6
    assert np.array_equal(certainty(-pairs, 0.1, highest=False), sure)


def test_more_units_near_the_cut_make_it_reliable_there() -> None:
    _, losses = drawn(1.0, 64)
    few = losses.copy()
    few[:, 8:] = np.nan
    pairs = antithetic_means(standardise(few))
    near = borderline(certainty(pairs, 0.1, highest=True))
    before = conditional_reliability(pairs, near)
    more = few.copy()
    more[near] = losses[near]
    reference_samples = np.arange(N) % 4 == 0
    more[reference_samples] = losses[reference_samples]
    after = conditional_reliability(antithetic_means(standardise(more, reference_samples)), near)
    assert before < 0.85
    assert after > 0.9
    assert (
        standard_error(antithetic_means(standardise(more, reference_samples)))[near].mean()
        < standard_error(pairs)[near].mean() / 2
    )


def test_the_random_control_is_a_function_of_the_key() -> None:
    keys = [f"clip-{n}" for n in range(2000)]
    scores = random_scores(keys, 0)
    assert np.array_equal(random_scores(keys[::-1], 0)[::-1], scores)
    assert abs(scores.mean() - 0.5) < 0.03
    assert abs(np.corrcoef(scores, random_scores(keys, 1))[0, 1]) < 0.08


def test_differences_between_log_snr_bins_are_no_error_of_a_score():
    """Units that differ by bin, with noise of 0.5: the mean of 12 is off by 0.5 / sqrt(12), whatever the bins."""
    generator = np.random.default_rng(5)
    offsets = np.tile([0.0, 3.0, -2.0, 7.0], 3)
    pairs = offsets + 0.5 * generator.standard_normal((2000, 12))
    true = pairs.mean(1).std()
    assert np.sqrt((standard_error(pairs, bins=4) ** 2).mean()) == pytest.approx(true, rel=0.05)
    assert standard_error(pairs).mean() > 5 * true
    few = pairs.copy()
    few[:, 4:] = np.nan  # one unit a bin: nothing is known within it, so the plain error stands
    np.testing.assert_array_equal(standard_error(few, bins=4), standard_error(few))
