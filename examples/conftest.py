"""The examples' tests run on an engine in a file, with the house's own fixtures."""

from pathlib import Path

import pytest
from tests.conftest import engine, migrated_file, settings

__all__ = ["database_url", "engine", "migrated_file", "settings"]


@pytest.fixture
def database_url(migrated_file: Path, tmp_path: Path) -> str:
    """SQLite: what both stores do alike is tested elsewhere."""
    file = tmp_path / "earmark.db"
    file.write_bytes(migrated_file.read_bytes())
    return f"sqlite:///{file}"
