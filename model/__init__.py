"""The video diffusion model and everything that runs it."""

import logging

from data_catalog.base.openmp import spin_briefly

spin_briefly()  # before any module below imports torch
# Whoever imports diffusers before us imports bitsandbytes, which then warns of a CPU kernel that nothing here uses.
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
