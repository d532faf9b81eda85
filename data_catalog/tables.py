"""The base tables: which key makes a row unique, and what may not change once it is written.

Each table `clip_rows` has a public view `clips` (views.py); writers name tables by the view's name.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """One base table. `frozen` columns keep their first value: another one is an error."""

    base: str
    key: tuple[str, ...]
    frozen: tuple[str, ...] = ()


TABLES: dict[str, Table] = {
    "paths": Table("path_rows", ("path",)),
    "sources": Table("source_rows", ("source_id",)),
    "clips": Table("clip_rows", ("clip_id",)),
    "shards": Table("shard_rows", ("shard",)),
    # An older build may hold the same sample in a shard that is no longer current.
    "samples": Table("sample_rows", ("shard", "sample_key")),
    "latents": Table("latent_rows", ("sample_key", "codec")),
    "versions": Table("version_rows", ("version",), frozen=("parent", "policy", "hash")),
    "version_samples": Table("version_sample_rows", ("version", "sample_key"), frozen=("weight",)),
    "runs": Table("run_rows", ("run",), frozen=("stage", "parent", "config", "version", "data_version", "code_hash")),
    "run_sources": Table("run_source_rows", ("run", "source_id")),
    "checkpoints": Table("checkpoint_rows", ("run", "step")),
    "losses": Table("loss_rows", ("run", "checkpoint", "stage", "bank", "sample_key", "window", "k")),
    "ledgers": Table("ledger_rows", ("fragment",)),
    "worth": Table("worth_rows", ("evidence", "sample_key")),
    "decisions": Table("decision_rows", ("clip_id", "decided"), frozen=("decision", "who", "why")),
    "rights": Table("right_rows", ("source_id",)),
    "forgotten": Table("forgotten_rows", ("source_id",)),
    "measures": Table("measure_rows", ("clip_id", "column_name")),
    "captions": Table("caption_rows", ("clip_id", "caption_set")),
    "exports": Table("export_rows", ("export",)),
    "export_sources": Table("export_source_rows", ("export", "source_id")),
    "rollouts": Table("rollout_rows", ("rollout",)),
}
