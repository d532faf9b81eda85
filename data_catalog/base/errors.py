"""What can go wrong with input, as codes that SQL can count."""


class LongdanceError(Exception):
    """A mistake of the user's that one sentence explains; the command line prints it and exits with 2."""


class KilledError(Exception):
    """ffmpeg was killed from outside. That says nothing about the source, so the next run tries again."""


class RejectedError(Exception):
    """A source that cannot become clips.

    `code` is short and stable (it is counted in the catalog); `detail` is one sentence that says
    what was found and what was expected.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail

    def __reduce__(self) -> tuple[type["RejectedError"], tuple[str, str]]:
        """Survive the way back from a worker process."""
        return type(self), (self.code, self.detail)
