"""Prefect flows and the command line: thin, no maths here."""
