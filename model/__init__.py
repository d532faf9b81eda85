"""The video diffusion model and everything that runs it."""

import logging

from data_catalog.base.openmp import spin_briefly

spin_briefly()  # before any module below imports torch
# diffusers imports bitsandbytes where it is installed, which then warns of a CPU kernel that nothing here uses.
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
