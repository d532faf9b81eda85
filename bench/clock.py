"""Where a rollout's seconds go."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from model.data.codec import Codec
from model.network.unet import VideoUNet


class Clock:
    """Seconds spent in networks and in decoding."""

    def __init__(self) -> None:
        self.network = self.decoding = 0.0

    @contextmanager
    def watching(self, codec: Codec) -> Iterator[None]:
        """Within the block, every network call and every decoding by `codec` is timed."""
        forward, decode = VideoUNet.forward, codec.decode

        def timed(call: Callable[..., Any], name: str) -> Callable[..., Any]:
            def run(*args: Any, **kwargs: Any) -> Any:
                started = time.perf_counter()
                result = call(*args, **kwargs)
                if torch.cuda.is_available():
                    torch.cuda.synchronize()
                setattr(self, name, getattr(self, name) + time.perf_counter() - started)
                return result

            return run

        VideoUNet.forward, codec.decode = timed(forward, "network"), timed(decode, "decoding")  # type: ignore
        try:
            yield
        finally:
            VideoUNet.forward, codec.decode = forward, decode  # type: ignore[method-assign]
