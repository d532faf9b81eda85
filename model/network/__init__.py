"""The video network: Stable Diffusion's UNet with layers that see time, and its objective."""
