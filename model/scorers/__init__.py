"""Scorers of one's own: programs and functions that give clips numbers, and three that come along."""
