"""Training one stage: the loop, its optimiser, validation, memory and log."""
