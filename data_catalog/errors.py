"""What can go wrong in the catalog. Each error carries one plain sentence for the user."""

from data_catalog.base.errors import LongdanceError


class CatalogError(LongdanceError):
    """Base of all errors of this package."""


class CatalogMissingError(CatalogError):
    """There is no catalog at the given path."""


class CatalogLockedError(CatalogError):
    """Another process (or thread) held the catalog for longer than the time allowed."""


class CatalogDamagedError(CatalogError):
    """The file is damaged; what was damaged has been moved aside if it was open for writing."""


class CatalogVersionError(CatalogError):
    """A newer longdance or a newer DuckDB wrote the catalog."""


class RowError(CatalogError):
    """The rows given do not fit the table, or contradict each other or what must not change."""


class ThresholdError(CatalogError):
    """A threshold names no score, no operator or no reason that the catalog knows."""


class QueryError(CatalogError):
    """DuckDB refused the user's SQL, or it is not a query."""
