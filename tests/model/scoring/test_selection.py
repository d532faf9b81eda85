"""Policies choose what they say: shares, strata, votes, ties, and the same set everywhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from model.errors import PolicyError
from model.scoring.policy import Policy, policy
from model.scoring.selection import catalog_judged, decide, judged_table, shortfall, weights_of

N = 200
KEYS = [f"s{n:03d}" for n in range(N)]


def table(stage: str = "starter", seed: int = 0, **columns: Any) -> pa.Table:
    generator = np.random.default_rng(seed)
    motion = generator.random(N)
    base = {
        "high_loss": 12 * motion + generator.normal(size=N),
        "rho": generator.normal(size=N),
        "random": generator.random(N),
        "certainty": generator.random(N),
        "flags": np.zeros(N, int),
        "motion": motion,
        "source": [f"source-{n // 4}" for n in range(N)],
    }
    return judged_table(KEYS, base | columns, stage)


def column(judged: pa.Table, name: str) -> np.ndarray:
    return judged[name].to_numpy()


def places(keys: list[str]) -> np.ndarray:
    return np.array([KEYS.index(key) for key in keys])


@pytest.mark.parametrize("fraction", [0.05, 0.1, 0.25])
def test_high_loss_drops_the_highest_share_and_rho_the_lowest(fraction: float) -> None:
    judged = table()
    count = int(fraction * N)
    dropped = decide(policy(score="high_loss", fraction=fraction, strata=()), judged)
    assert set(places(dropped)) == set(np.argsort(-column(judged, "high_loss"))[:count])
    dropped = decide(policy(score="rho", fraction=fraction, strata=()), judged)
    assert set(places(dropped)) == set(np.argsort(column(judged, "rho"))[:count])


def test_keeping_takes_the_other_end() -> None:
    judged = table()
    kept = decide(policy(score="rho", action="keep", strata=()), judged)
    assert set(places(kept)) == set(np.argsort(-column(judged, "rho"))[:20])
    kept = decide(policy(score="high_loss", action="keep", end="highest", strata=()), judged)
    assert set(places(kept)) == set(np.argsort(-column(judged, "high_loss"))[:20])


def test_without_strata_high_loss_deletes_the_fast_dances_and_with_them_no_more_than_their_share() -> None:
    judged = table()
    fastest = set(np.argsort(-column(judged, "motion"))[:20])
    plain = decide(policy(score="high_loss", strata=()), judged)
    fair = decide(policy(score="high_loss", strata=("motion",)), judged)
    assert len(fastest & set(places(plain))) >= 8
    assert len(fastest & set(places(fair))) == 2
    assert len(fair) == len(plain) == 20


def test_a_cap_lets_a_stratum_lose_that_many_times_its_share() -> None:
    judged = table()
    for cap, most in ((1.0, 2), (2.0, 4), (3.0, 6)):
        dropped = places(decide(policy(score="high_loss", cap=cap), judged))
        deciles = np.argsort(np.argsort(column(judged, "motion"))) // 20
        assert np.bincount(deciles[dropped], minlength=10).max() == most


def test_no_source_loses_more_than_one_clip_of_its_four() -> None:
    judged = table(high_loss=np.repeat(np.arange(N // 4), 4).astype(float))
    dropped = places(decide(policy(score="high_loss", strata=("source",)), judged))
    assert len(dropped) == 20
    assert np.bincount(dropped // 4).max() == 1


def test_stages_combine_by_union_intersection_and_vote() -> None:
    stages = [table(name, seed) for seed, name in enumerate(("starter", "extrapolation", "interpolation"))]
    single = [set(decide(policy(score="rho", fraction=0.3, strata=()), stage)) for stage in stages]
    together = pa.concat_tables(stages)

    def combined(how: str) -> set[str]:
        return set(decide(policy(score="rho", fraction=0.3, strata=(), combine=how), together))

    assert combined("union") == set.union(*single)
    assert combined("intersection") == set.intersection(*single)
    assert combined("vote") == {key for key in KEYS if sum(key in one for one in single) >= 2}


def test_flags_drop_every_bad_verdict_whatever_the_fraction() -> None:
    flags = (np.arange(N) % 5 == 0).astype(int)
    assert set(places(decide(policy(score="flags"), table(flags=flags)))) == set(range(0, N, 5))


def test_a_clip_that_a_person_kept_never_goes_and_others_take_its_place() -> None:
    worst = set(places(decide(policy(score="high_loss", strata=()), table())))
    kept = np.isin(np.arange(N), list(worst)) | (np.arange(N) < 50)
    for strata in ((), ("motion",), ("motion", "source")):
        gone = places(decide(policy(score="high_loss", strata=strata, cap=5), table(kept=kept)))
        assert not kept[gone].any()
        assert len(gone) == 20
    assert decide(policy(score="high_loss", strata=()), table(kept=np.ones(N, bool))) == []
    assert decide(policy(score="flags"), table(kept=kept, flags=kept.astype(int))) == []


def test_a_policy_that_keeps_the_best_keeps_what_a_person_kept_even_beyond_its_share() -> None:
    kept = np.arange(N) < 50
    for strata in ((), ("motion",)):
        stays = places(decide(policy(score="rho", action="keep", strata=strata, fraction=0.1), table(kept=kept)))
        assert set(stays) >= set(range(50))
    assert len(decide(policy(score="rho", action="keep", strata=(), fraction=0.5), table(kept=kept))) == 100


def test_what_is_not_certain_stays() -> None:
    judged = table()
    dropped = places(decide(policy(score="high_loss", strata=(), certainty=0.9, fraction=0.5), judged))
    assert len(dropped) > 0
    assert column(judged, "certainty")[dropped].min() >= 0.9


def test_the_choice_does_not_depend_on_the_order_of_rows_and_ties_go_by_key() -> None:
    judged = table(rho=np.zeros(N))
    chosen = decide(policy(score="rho", strata=()), judged)
    assert chosen == KEYS[:20]
    mixed = judged.take(pa.array(np.random.default_rng(1).permutation(N)))
    for strata in ((), ("motion",), ("motion", "source")):
        assert decide(policy(score="high_loss", strata=strata), mixed) == decide(
            policy(score="high_loss", strata=strata), judged
        )


def test_weights_rise_with_rho_from_1_to_2() -> None:
    rho = dict(zip(KEYS, np.arange(N, dtype=float)))
    weights = weights_of(policy(weights="rho"), KEYS, rho)
    assert weights[KEYS[0]] == weights[KEYS[N // 2 - 1]] == 1
    assert weights[KEYS[-1]] == 2
    assert list(weights.values()) == sorted(weights.values())
    assert set(weights_of(policy(), KEYS, rho).values()) == {1.0}


def test_what_caps_and_certainty_hold_back_is_said_in_numbers() -> None:
    said = shortfall(policy(score="rho", fraction=0.1), 180, 10)
    assert said == (
        "Of the 18 samples that 0.1 asks for, 10 are chosen: the cap of each stratum of motion allows no more."
    )
    assert "certainty of 0.9" in shortfall(policy(score="rho", strata=(), certainty=0.9), 100, 3)
    assert shortfall(policy(score="rho", fraction=0.1), 180, 18) == ""
    assert shortfall(policy(score="flags"), 180, 0) == ""


def test_mistakes_are_one_sentence() -> None:
    for wrong in ({"cap": float("inf")}, {"weights": "rho", "combine": "union"}):
        with pytest.raises(PolicyError, match=next(iter(wrong))):
            policy(**wrong)
    for wrong in ({"fraction": 0}, {"fraction": 1.0}, {"fraction": -0.1}, {"score": "worst"}, {"strata": ("colour",)}):
        with pytest.raises(PolicyError, match=next(iter(wrong))):
            policy(**wrong)
    with pytest.raises(PolicyError, match="stratum 'motion' is empty"):
        decide(policy(score="rho"), table(motion=np.full(N, np.nan)))
    with pytest.raises(PolicyError, match="leave one of them empty"):
        decide(policy(score="rho", motion_strata=N + 1), table())
    for count, given in ((1, "give --set policy.strata=none"), (2, "give --set policy.motion_strata=2, or without")):
        with pytest.raises(PolicyError, match=given):
            decide(policy(score="rho", motion_strata=3), table().slice(0, count))
    assert len(decide(policy(score="rho", motion_strata=2, fraction=0.5), table().slice(0, 2))) == 1
    assert len(decide(policy(score="rho", strata=None, fraction=0.5), table().slice(0, 2))) == 1
    with pytest.raises(PolicyError, match="irreducible"):
        decide(policy(score="rho"), table(rho=np.full(N, np.nan)))
    with pytest.raises(PolicyError, match="no sample"):
        decide(Policy(), table().slice(0, 0))
    with pytest.raises(PolicyError, match="evidence"):
        catalog_judged(["a' OR 1=1 --"])
