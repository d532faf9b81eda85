"""`longdance report`: the page as a file that opens from disk, with its pictures in a folder beside it."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from data_catalog.base.errors import LongdanceError
from data_catalog.base.files import write_bytes
from data_catalog.base.paths import DataFolder
from data_catalog.base.rollout_paths import files_of
from flows.report.page_data import page_data
from flows.report.pictures import copy_rollouts, draw_all, picture_jobs, pictured
from flows.report.render import render


def write_report(
    data: DataFolder, out: Path | None, pictures: bool, workers: int, say: Callable[[int, int], None]
) -> tuple[Path, Counter[str]]:
    """Write the page and the pictures that it is missing; run it again after a build, and only what is new is made.

    Args:
        out: The page's file; default: `report.html` in the data set.
        pictures: Make posters, previews and frames; without, the page shows those that are there.
        say: Told from time to time (clips done, of how many).

    Returns:
        (the page, counters of pictures made).
    """
    page = (out or data.report).expanduser().absolute()
    if page.is_dir():
        raise LongdanceError(f"--out {str(page)!r} is a folder: name a file, for example {page / data.report.name}.")
    media = files_of(page)
    jobs = picture_jobs(data, media) if pictures else []
    done = draw_all(data, media, jobs, workers, say)
    base = quote(media.name) + "/"
    value = page_data(data, "file", base, lambda clips: pictured(media, clips))
    copy_rollouts(data, media)
    write_bytes(page, render(value).encode())
    return page, done
