"""From one picture to hundreds of frames: a plan's calls in order, resumable, and calibrated."""
