"""Drawn dancers: bodies, dances, clothes, scenery and cameras of the synthetic videos."""
