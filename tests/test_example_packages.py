"""The packages in `examples/` are found as any author's: by their entry points."""

import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from earmark.engine.registry import Commands
from earmark.providers.registry import load_connectors

PROJECTS = sorted((Path(__file__).parent.parent / "examples").glob("*/pyproject.toml"))
#: What an author imports: other modules of ours are not promised to stay.
PUBLIC = (
    "from earmark import ",
    "from earmark.providers.transport import ",
    "from earmark.testing import ",
)


def test_there_are_two() -> None:
    assert [project.parent.name for project in PROJECTS] == [
        "certificates",
        "customers",
    ]


@pytest.mark.parametrize("project", PROJECTS, ids=lambda it: it.parent.name)
def test_their_entry_points_are_accepted(project: Path) -> None:
    groups: Any = tomllib.loads(project.read_text())["project"]["entry-points"]
    named = groups["earmark.connectors"].items()
    points = [EntryPoint(name, value, "earmark.connectors") for name, value in named]
    offered = {
        name
        for connector in load_connectors(points).values()
        for name in connector.operations
    }
    commands = Commands()
    for module in groups["earmark.commands"].values():
        commands.register_module(module)
    wanted = {one.operation for one in commands if hasattr(one, "operation")}
    assert wanted == offered, "every operation has a command, and the other way round"


@pytest.mark.parametrize("project", PROJECTS, ids=lambda it: it.parent.name)
def test_they_import_what_is_public(project: Path) -> None:
    package = project.parent / f"earmark_{project.parent.name}"
    imports = [
        f"{file.name}: {line}"
        for file in sorted(package.glob("*.py"))
        for line in file.read_text().splitlines()
        if line.startswith(("from earmark", "import earmark"))
        and not line.startswith(f"from {package.name}")
    ]
    assert imports
    assert [one for one in imports if not one.split(": ")[1].startswith(PUBLIC)] == []
