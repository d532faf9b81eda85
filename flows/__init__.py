"""Prefect flows and the command line: thin, no maths here."""

from flows.isolation import enter_working_directory, isolate

isolate()  # first of all: a worker, too, comes through here

from data_catalog.base.openmp import spin_briefly  # noqa: E402 (not before the path is ours)
from flows.server.telemetry import turn_off  # noqa: E402

spin_briefly()
turn_off()
enter_working_directory()
