"""Dances that nobody danced: landmarks as numbers on a grid of beats, a small network that goes on with them, and
what such dances are worth."""
