"""The ground floor that all four packages stand on: atomic files, locks, paths, errors, processes, settings."""
