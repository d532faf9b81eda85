"""Runs: their record, checkpoints, first weights, lineage and export."""
