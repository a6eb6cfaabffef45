"""Fail when a file or a function is too long to be read in one go.

A function is measured from its `def`, decorators left out, docstring included. The
engine has a smaller aim, which only warns. Migrations are history, written by a
generator and never edited again, so they do not count.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

MAX_FILE = 400
MAX_FUNCTION = 60
AIM_ENGINE_FILE = 150


def too_long(path: Path) -> Iterator[str]:
    """What breaks a limit in one file."""
    text = path.read_text(encoding="utf-8")
    lines = len(text.splitlines())
    if lines > MAX_FILE:
        yield f"{path}: {lines} lines, at most {MAX_FILE}"
    for node in ast.walk(ast.parse(text, str(path))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > MAX_FUNCTION:
                yield (
                    f"{path}:{node.lineno}: {node.name} has {length} lines, "
                    f"at most {MAX_FUNCTION}"
                )


def warnings(path: Path) -> Iterator[str]:
    """What misses an aim in one file."""
    lines = len(path.read_text(encoding="utf-8").splitlines())
    if "engine" in path.parts and AIM_ENGINE_FILE < lines <= MAX_FILE:
        yield f"{path}: warning: {lines} lines, aim for {AIM_ENGINE_FILE} in the engine"


def main(arguments: list[str]) -> int:
    """Print each finding as a line; the exit code says whether a limit broke."""
    folders = [Path(argument) for argument in arguments or ("src", "tools", "examples")]
    paths = [
        path
        for folder in folders
        for path in sorted(folder.rglob("*.py"))
        if "versions" not in path.parts
    ]
    if not paths:
        print("no files found")
        return 2
    broken = [line for path in paths for line in too_long(path)]
    for line in (*broken, *(line for path in paths for line in warnings(path))):
        print(line)
    if not broken:
        print(f"{len(paths)} files, none too long")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
