"""Samplers, guidance, and one window sampled."""
