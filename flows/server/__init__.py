"""Prefect's server: what may be wrong with the user's, one of a command's own, and flows that outlive it."""
