from pathlib import Path

import pytest

from data_catalog.rebuild import rebuild


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A sound, empty catalog."""
    file = tmp_path / "data" / "catalog.duckdb"
    rebuild(file, {})
    return file
