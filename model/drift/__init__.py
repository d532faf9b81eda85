"""How a video drifts, measured frame by frame and beside real clips."""
