"""The one cheap pass over a source: shots, people and their poses, camera motion."""
