"""Drawn videos of dancers whose truth is known: dances, cameras, scenery, planted faults."""
