"""The video diffusion model and everything that runs it."""
