"""From an analysis to clips: which frames, which crop, which scores."""
