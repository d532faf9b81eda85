"""Where a network works: on this machine's GPU, or on its cores."""

import torch

from model.errors import DeviceError


def resolve_device(wanted: str) -> str:
    """`cpu` or `cuda`. Raises DeviceError if a GPU is asked for and absent."""
    if wanted == "cuda" and not torch.cuda.is_available():
        raise DeviceError("A GPU was asked for (device 'cuda') and torch finds none: set device to 'cpu' or 'auto'.")
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return wanted
