"""Training one stage: the loop, its optimizer, validation, memory and log."""
