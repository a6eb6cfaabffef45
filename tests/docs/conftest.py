"""The examples run on SQLite: what both stores do alike is tested elsewhere."""

import os
import re
from pathlib import Path

import pytest

from .pages import OURS, blocks, changed


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'earmark.db'}"


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path with every module that the pages show, changed as they
    say."""
    folder = tmp_path / "modules"
    folder.mkdir()
    for page in OURS:
        for block in blocks(page):
            if named := re.fullmatch(r"(module|into)=(\w+\.py)", block.info):
                file, text = folder / named[2], block.text
                if named[1] == "into":
                    text = changed(file.read_text(encoding="utf-8"), text)
                file.write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(str(folder))
    # In front of what is there: the programs under test may come from it.
    there = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    path = os.pathsep.join([str(folder), *filter(None, there)])
    monkeypatch.setenv("PYTHONPATH", path)
    return folder
