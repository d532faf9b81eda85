"""Prefect flows and the command line: thin, no maths here."""

from flows.isolation import enter_working_directory, isolate

isolate()  # first of all: a worker, too, comes through here
enter_working_directory()
