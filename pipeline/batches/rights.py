"""Whose footage it is: `sources.csv`, which people write, in RAW or beside it; `DATA/rights.json` keeps what it said.

Its header has a column `path` (below RAW) or `source_id`, or both, and some of licence, consent, url, creator, note.
"""

import csv
import os
from collections.abc import Container, Iterable, Mapping
from pathlib import Path

from data_catalog.base.errors import LongdanceError
from data_catalog.base.files import read_json, write_json
from data_catalog.base.paths import DataFolder
from data_catalog.base.store import MissingError, Store

NAME = "sources.csv"
FIELDS = ("licence", "consent", "url", "creator", "note")
_SPELLINGS = {"license": "licence", "hash": "source_id", "sha256": "source_id"}
Rights = dict[str, str]
"""Values by FIELDS; what is empty is left out."""


def rights_file(raw: Path | Store, copies: Path) -> Path | None:
    """The list of a folder of raw videos, or a copy of one in object storage in the folder `copies`.

    Raises LongdanceError where there are two.
    """
    if isinstance(raw, Store):
        try:
            raw.fetch(NAME, copies / NAME)
        except MissingError:
            return None
        return copies / NAME
    found = [path for path in (raw / NAME, raw.parent / NAME) if path.is_file()]
    if len(found) > 1:
        raise LongdanceError(f"There are {found[0]} and {found[1]}: keep one of the two.")
    return found[0] if found else None


def read_rights(
    listed: Path, raw: Path | Store, sources: Mapping[bytes, str], known: Iterable[str] = ()
) -> dict[str, Rights]:
    """Source id to rights.

    Args:
        sources: Source id of each file found in `raw`, by its absolute path.
        known: Ids of sources that are in the data set though their files are gone.

    Raises:
        LongdanceError: the file is no such list, or a line names no source, or names one twice.
    """
    ids = set(sources.values()) | set(known)
    found: dict[str, Rights] = {}
    for line, row in _rows(listed):
        said = {_SPELLINGS.get(name, name): (value or "").strip() for name, value in row.items()}
        source = said.get("source_id") or sources.get(_within(raw, said.get("path", "")), "")
        if source not in ids:
            named = said.get("source_id") or said.get("path") or ""
            raise LongdanceError(
                f"{listed}, line {line}: {named!r} is no file of {raw}: fix the name, or remove the line."
            )
        if source in found:
            raise LongdanceError(f"{listed}, line {line}: this source has a line already: keep one of the two.")
        found[source] = {name: said[name] for name in FIELDS if said.get(name)}
    return found


def _within(raw: Path | Store, name: str) -> bytes:
    return f"{raw.url}/{name}".encode() if isinstance(raw, Store) else os.fsencode(raw / name)


def _rows(listed: Path) -> list[tuple[int, dict[str, str | None]]]:
    """Rows with their line numbers, as captions.csv is read. Raises LongdanceError."""
    try:
        with listed.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            rows = [(reader.line_num, row) for row in reader]
            header = [_SPELLINGS.get(name, name) for name in reader.fieldnames or []]
    except (UnicodeDecodeError, csv.Error) as error:
        raise LongdanceError(f"{listed} is no CSV file in UTF-8 ({error}): save it as one.") from error
    unknown = [name for name in header if name not in ("path", "source_id", *FIELDS)]
    if unknown or not {"path", "source_id"} & set(header) or len(set(header)) < len(header):
        raise LongdanceError(
            f"{listed} has the columns {', '.join(header) or 'none'}: expected 'path' or 'source_id', and some of "
            f"{', '.join(FIELDS)}, each once."
        )
    for line, row in rows:
        if None in row:
            raise LongdanceError(
                f"{listed}, line {line}: more values than the header has columns: put quotes around a text with commas."
            )
    return rows


def stored_rights(data: DataFolder) -> dict[str, Rights]:
    """What is on record. Raises LongdanceError for a damaged record."""
    if not data.rights.is_file():
        return {}
    try:
        return {str(source): dict(said) for source, said in read_json(data.rights).items()}
    except (ValueError, AttributeError, TypeError) as error:
        raise LongdanceError(f"{data.rights} is damaged: delete it and build again, with {NAME}.") from error


def keep_rights(
    data: DataFolder, raw: Path | Store, sources: Mapping[bytes, str], refused: Container[str] = ()
) -> dict[str, Rights]:
    """Bring the record up to date with the list, where there is one, and return it.

    What the list no longer says of a source whose file is there is forgotten; a source whose file is gone keeps what
    was said of it; of a source that is refused nothing is kept. Raises LongdanceError.
    """
    before, listed = stored_rights(data), rights_file(raw, data.work)
    if listed is None:
        return before
    here = set(sources.values())
    now = {source: said for source, said in before.items() if source not in here}
    told = read_rights(listed, raw, sources, before)
    now |= {source: said for source, said in told.items() if source not in refused}
    if now != before:
        write_json(data.rights, now)
    return now
