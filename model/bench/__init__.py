"""Videos from anywhere, measured side by side with real ones, in the units of the literature."""
