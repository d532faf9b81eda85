"""Decisions: a policy is a small config and one readable SQL over scores of worth; what it chooses is a version.

The same SQL chooses a batch in online RHO selection (`bench/rho_digits.py`) and the clips that a data set loses.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from data_catalog.base.paths import DataFolder
from data_catalog.connection import open_catalog
from model.errors import PolicyError
from model.scoring.policy import Policy
from model.scoring.valuation import HIGHEST_GOES


def policy_sql(policy: Policy, stages: int = 1, judged: str = "judged") -> str:
    """The SELECT that chooses: the samples that go (`drop`), or those that stay (`keep`).

    It reads `judged`, a relation or a sub-select: stage, sample_key, the policy's score, certainty, whether a person
    marked the clip keep (`kept`), and motion and source where they are strata. What is kept never goes: others take
    its place. Equal scores are told apart by their keys, so the choice is the same everywhere.
    """
    stays = policy.action == "keep"
    ends = "DESC" if stays else "ASC", "DESC" if chooses_highest(policy) else "ASC"
    order = f"kept {ends[0]}, {policy.score} {ends[1]}, sample_key"
    strata = "".join(_stratum_columns(name, order) for name in policy.strata)
    source = _MOTION.format(parts=policy.motion_strata, judged=judged) if "motion" in policy.strata else judged
    tests = " AND ".join(_tests(policy)) or "true"
    where = f"kept OR ({tests})" if stays else f"NOT kept AND {tests}"
    least = {"each": 1, "union": 1, "intersection": stages, "vote": stages // 2 + 1}[policy.combine]
    most = "of_stage" if policy.score == "flags" else f"greatest(1, floor({policy.fraction!r} * of_stage))"
    return f"""
WITH ranked AS (
    SELECT *, count(*) OVER (PARTITION BY stage) AS of_stage{strata}
    FROM {source}
), chosen AS (
    SELECT stage, sample_key FROM ranked
    WHERE {where}
    QUALIFY row_number() OVER (PARTITION BY stage ORDER BY {order}) <= {most}{" OR kept" if stays else ""}
)
SELECT sample_key FROM chosen
GROUP BY sample_key HAVING count(DISTINCT stage) >= {least}
ORDER BY sample_key
"""


def chooses_highest(policy: Policy) -> bool:
    """Whether the samples with the highest score are chosen."""
    if policy.end != "worth":
        return policy.end == "highest"
    return HIGHEST_GOES[policy.score] == (policy.action == "drop")


_MOTION = """(
        SELECT * EXCLUDE (motion), ntile({parts}) OVER (
            PARTITION BY stage ORDER BY motion NULLS FIRST, sample_key) AS motion
        FROM {judged}
    )"""


def _stratum_columns(name: str, order: str) -> str:
    return (
        f",\n        count(*) OVER (PARTITION BY stage, {name}) AS of_{name}"
        f",\n        row_number() OVER (PARTITION BY stage, {name} ORDER BY {order}) AS place_in_{name}"
    )


def _tests(policy: Policy) -> list[str]:
    if policy.score == "flags":
        return ["flags > 0"]  # every bad verdict, however many
    tests = [f"certainty >= {policy.certainty!r}"] if policy.certainty > 0 else []
    share = round(policy.cap * policy.fraction, 9)
    # Of a stratum with few clips one may always go.
    return tests + [f"place_in_{name} <= greatest(1, floor({share!r} * of_{name}))" for name in policy.strata]


def catalog_judged(evidence: Sequence[str]) -> str:
    """`judged` out of the catalog's views, for these pieces of evidence."""
    if not all(re.fullmatch(r"[0-9a-f]+", name) for name in evidence):
        raise PolicyError(f"{evidence!r} names no evidence.")
    names = ", ".join(f"'{name}'" for name in evidence)
    return f"""(
        SELECT worth.* EXCLUDE (bank, k, irreducible_runs),
            len(reasons) AS flags, decision IS NOT DISTINCT FROM 'keep' AS kept,
            motion_energy AS motion, source_id AS source
        FROM worth JOIN samples USING (sample_key) JOIN clips USING (clip_id)
        WHERE evidence IN ({names})
    )"""


def decide(policy: Policy, judged: pa.Table, con: duckdb.DuckDBPyConnection | None = None) -> list[str]:
    """Run the policy's SQL over `judged`; the chosen keys, sorted. `con` saves the time to make a database.

    Raises PolicyError for an empty stratum or a score that nobody measured.
    """
    check(policy, judged)
    con = con or duckdb.connect()
    con.register("judged", judged)
    sql = policy_sql(policy, len(judged["stage"].unique()))
    return [row[0] for row in con.execute(sql).fetchall()]


def decide_in_catalog(con: duckdb.DuckDBPyConnection, policy: Policy, evidence: Sequence[str]) -> tuple[list[str], str]:
    """The same over the catalog's own views: (chosen keys, the SQL that chose them). Raises PolicyError."""
    source = catalog_judged(evidence)
    check(policy, con.sql(f"FROM {source}").to_arrow_table())
    sql = policy_sql(policy, len(evidence), source)
    return [row[0] for row in con.execute(sql).fetchall()], sql


def check(policy: Policy, judged: pa.Table) -> None:
    """Raise PolicyError unless the policy can be carried out on these samples."""
    check_strata(policy, judged)
    unknown = judged[policy.score].null_count
    if unknown:
        raise PolicyError(
            f"The score {policy.score!r} is unknown for {unknown} samples: it needs losses, and all but 'high_loss' "
            "and 'learnt' irreducible ones; score again, with a model that was not trained on them."
        )


def check_early(data: Path, policy: Policy, keys: Sequence[str], stage: str) -> None:
    """Raise PolicyError for a stratum that is empty, before anything is measured."""
    with open_catalog(DataFolder(data).catalog, read_only=True) as con:
        check_strata(policy, strata_in_catalog(con, keys, stage))


def check_strata(policy: Policy, judged: pa.Table) -> None:
    """Raise PolicyError if there is nothing to judge or a stratum is empty; `judged` needs no scores for that."""
    if not len(judged):
        raise PolicyError("There is no sample to judge: score a run on this data set first.")
    for name in policy.strata:
        if name not in judged.column_names or judged[name].null_count == len(judged):
            raise PolicyError(f"The stratum {name!r} is empty, nothing is known: leave it out of 'policy.strata'.")
    if "motion" in policy.strata and len(judged) / len(judged["stage"].unique()) < policy.motion_strata:
        least = len(judged) // len(judged["stage"].unique())
        lower = f"--set policy.motion_strata={least}, or without strata: " if least >= 2 else ""
        raise PolicyError(
            f"{len(judged)} samples in {policy.motion_strata} strata of motion leave one of them empty: give {lower}"
            "--set policy.strata=none."
        )


def strata_in_catalog(con: duckdb.DuckDBPyConnection, keys: Sequence[str], stage: str) -> pa.Table:
    """What `check_strata` asks about these samples, before anything is scored."""
    known = con.sql(
        "SELECT ? AS stage, sample_key, motion_energy AS motion, source_id AS source "
        "FROM samples JOIN clips USING (clip_id) WHERE sample_key IN (SELECT unnest(?))",
        params=[stage, list(keys)],
    )
    return known.to_arrow_table()


def shortfall(policy: Policy, judged: int, chosen: int) -> str:
    """A sentence where strata or certainty let fewer samples be chosen than the fraction asks for; else nothing."""
    asked = max(1, int(policy.fraction * judged))
    if policy.score == "flags" or chosen >= asked:
        return ""
    why = [f"the cap of each stratum of {' and '.join(policy.strata)}"] if policy.strata else []
    why += [f"a certainty of {policy.certainty:g}"] if policy.certainty > 0 else []
    why += ["what a person kept"] if not why else []
    said = f"Of the {asked} samples that {policy.fraction:g} asks for, {chosen} are chosen"
    return f"{said}: {' and '.join(why)} allows no more."


def weights_of(policy: Policy, keys: Iterable[str], rho: Mapping[str, float]) -> dict[str, float]:
    """How often each sample that stays is to be seen: 1 up to the median of rho, rising with its rank to 2."""
    kept = sorted(keys)
    if policy.weights == "none":
        return dict.fromkeys(kept, 1.0)
    known = [key for key in kept if key in rho]
    order = sorted(known, key=lambda key: (rho[key], key))
    rank = {key: place / max(len(order) - 1, 1) for place, key in enumerate(order)}
    return {key: 1 + max(0.0, 2 * rank.get(key, 0.0) - 1) for key in kept}


def judged_table(keys: Sequence[str], columns: Mapping[str, Any], stage: str = "all") -> pa.Table:
    """`judged` of one stage; NaN becomes unknown, and nothing is `kept` unless a column says so."""
    columns = {"kept": np.zeros(len(keys), bool)} | dict(columns)
    arrays: dict[str, Any] = {"stage": pa.repeat(stage, len(keys)), "sample_key": pa.array(list(keys), pa.string())}
    for name, values in columns.items():
        plain = np.asarray(values)
        arrays[name] = pa.array(plain, from_pandas=True) if plain.dtype.kind == "f" else pa.array(plain.tolist())
    return pa.table(arrays)
