"""Where a data set lies: in a folder that all workers see, or in object storage with a mirror on this host."""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from data_catalog.base.at_work import Work, building
from data_catalog.base.errors import LongdanceError
from data_catalog.base.files import make_folder
from data_catalog.base.lease import Lease, leased
from data_catalog.base.mirror import SNAPSHOT, Mirror, mirror_of
from data_catalog.base.paths import DataFolder
from data_catalog.base.processes import at_stop
from data_catalog.base.store import Store
from data_catalog.connection import needs_rebuild
from data_catalog.quarantine import set_mark
from flows.catalog.kept_rows import restore_kept
from flows.catalog.manifests import rebuild_from_record
from flows.storage.places import no_set

logger = logging.getLogger(__name__)


class Home:
    """A folder that all workers see."""

    root: Path | str
    """What workers are told."""

    def __init__(self, folder: DataFolder) -> None:
        self.folder, self.root, self.name = folder, folder.root, folder.root.name

    @property
    def shared(self) -> list[Path]:
        """Files that every worker's host must see."""
        return [self.folder.build_record]

    def arrived(self, made: Iterable[Path]) -> None:
        """Have the files here that workers made."""

    def made(self, files: Iterable[Path]) -> None:
        """Put files where they last that were made here, manifests last."""

    def dropped(self, gone: Iterable[Path]) -> None:
        """Forget files that were removed here."""

    def refresh(self) -> None:
        """Have all records here, and know all that workers made."""

    def keep(self) -> None:
        """Put all that was made here where it lasts."""

    @contextmanager
    def named(self) -> Iterator[None]:
        """Within the block an error names the data set as it was given."""
        yield


class StoredHome(Home):
    """Object storage, and its mirror on this host, which also has the catalog."""

    def __init__(self, mirror: Mirror, lease: Lease) -> None:
        super().__init__(DataFolder(mirror.folder))
        self._mirror, self._lease = mirror, lease
        self.root, self.name = mirror.store.url, mirror.store.url.rpartition("/")[2]
        mirror.pull(self._mark_catalog)
        if self.folder.catalog.is_file():
            restore_kept(self.folder)  # the runs of other hosts

    def _mark_catalog(self) -> None:
        if self.folder.catalog.is_file():
            set_mark(self.folder.catalog, "Another host was at work in the store.")

    @property
    def shared(self) -> list[Path]:
        """Nothing: that is the point."""
        return []

    def arrived(self, made: Iterable[Path]) -> None:
        """See `Home.arrived`."""
        self._lease.check()
        self._mirror.fetch(self._keys(made))

    def made(self, files: Iterable[Path]) -> None:
        """See `Home.made`. They are named by what they hold, or by the run that is trained: that asks for no lease."""
        self._mirror.put(files)

    def dropped(self, gone: Iterable[Path]) -> None:
        """See `Home.dropped`."""
        self._lease.check()
        self._mirror.store.delete(*self._keys(gone))

    def refresh(self) -> None:
        """See `Home.refresh`."""
        self._push()
        self._mirror.pull()

    def keep(self) -> None:
        """See `Home.keep`."""
        self._push()
        self._mirror.store.replace(SNAPSHOT, self.folder.catalog)

    @contextmanager
    def named(self) -> Iterator[None]:
        """See `Home.named`."""
        with naming(self.folder, self._mirror.store):
            yield

    def _push(self) -> None:
        self._lease.check()
        self._mirror.push()

    def _keys(self, paths: Iterable[Path]) -> list[str]:
        return [str(path.relative_to(self.folder.root)) for path in paths]


@contextmanager
def open_home(data: Path | Store) -> Iterator[Home]:
    """The data set, with this process as the only one that builds it.

    Raises:
        LongdanceError: another command is at work there.
    """
    if isinstance(data, Path):
        folder = DataFolder.at(data)
        make_folder(folder.root)
        with building(folder).alone():
            yield Home(folder)
        return
    mirror = Mirror(data, mirror_of(data.url))
    busy = f"Another command is at work in {data.url}: wait until it has ended."
    with Work(DataFolder(mirror.folder).lock, busy).alone(), leased(data) as lease, at_stop(lease.release):
        home = StoredHome(mirror, lease)
        with home.named():
            yield home


@contextmanager
def built_home(data: Path | Store) -> Iterator[Home]:
    """A data set that was built, for what is made from it.

    In a folder others may work at the same time; in object storage only this process writes within the block.

    Raises:
        LongdanceError: nothing was built there, or another command is at work in that store.
    """
    if isinstance(data, Path):
        yield Home(DataFolder.built(data))
        return
    with open_home(data) as home:
        if not home.folder.build_record.is_file():
            raise no_set(data)
        if needs_rebuild(home.folder.catalog):
            rebuild_from_record(home.folder)
        yield home


def folder_to_read(data: Path | Store) -> DataFolder:
    """A data set that was built: its folder, or its mirror as of now, of which others may make a later one.

    Raises:
        LongdanceError: nothing was built there, or another command is at work in that store.
    """
    with built_home(data) as home:
        return home.folder


@contextmanager
def naming(folder: DataFolder | None, place: Path | Store | None) -> Iterator[None]:
    """Within the block an error names a store, and not its mirror: nobody should work on that as on a data set."""
    try:
        yield
    except LongdanceError as error:
        if folder is not None and isinstance(place, Store):
            error.args = tuple(str(said).replace(str(folder.root), place.url) for said in error.args)
        raise


def keep_rows(data: Path | Store, kept: Path) -> None:
    """Put a file of kept rows, then the catalog that has them, into a store; a folder has them."""
    if isinstance(data, Store):
        Mirror(data, mirror_of(data.url)).put([kept])
        keep_catalog(data)


def keep_catalog(data: Path | Store) -> None:
    """Put the catalog into a store once more, with what a training has told it; the next command there does it where
    another is at work."""
    if isinstance(data, Path):
        return
    try:
        with built_home(data) as home:
            home.keep()
    except LongdanceError as error:
        logger.info("The catalog in the store does not have this run yet: %s", error)
