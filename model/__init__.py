"""The video diffusion model and everything that runs it."""

import logging

# diffusers imports bitsandbytes where it is installed, which then warns of a CPU kernel that nothing here uses.
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
