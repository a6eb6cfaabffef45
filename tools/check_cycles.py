"""Fail when modules import each other in a circle.

An import inside a function or under TYPE_CHECKING counts like any other: it hides a
circle from Python, not from the reader.
"""

import ast
import sys
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path

Graph = Mapping[str, frozenset[str]]


def find_modules(source: Path) -> dict[str, Path]:
    """Every module under a source folder, by its dotted name."""
    found = {}
    for path in sorted(source.rglob("*.py")):
        parts = path.relative_to(source).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported_names(tree: ast.AST, package: str) -> Iterator[tuple[str, str | None]]:
    """Each import of a module: where from, and the name taken (None: the module)."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                for alias in names:
                    yield alias.name, None
            case ast.ImportFrom(module=module, names=names, level=level):
                # One dot is the package itself; each further one climbs a level.
                parents = package.split(".")[: len(package.split(".")) - level + 1]
                above = ".".join(parents) if level else ""
                origin = ".".join(part for part in (above, module) if part)
                for alias in names:
                    yield origin, alias.name
            case ast.Call(
                func=ast.Name(id="import_module" | "__import__")
                | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str(name)), *_],
            ):
                yield name, None


def read_graph(source: Path) -> Graph:
    """Which modules each module imports, as far as they are under the same source.

    Importing `a.b.c` also runs `a` and `a.b`, but nobody wrote that: only a name taken
    from a package, rather than from its submodule, counts as importing the package.
    """
    modules = find_modules(source)
    graph = {}
    for name, path in modules.items():
        is_package = path.name == "__init__.py"
        package = name if is_package else name.rpartition(".")[0]
        tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
        imported = set()
        for origin, taken in imported_names(tree, package):
            submodule = f"{origin}.{taken}"
            target = submodule if submodule in modules else origin
            if target in modules:
                imported.add(target)
        graph[name] = frozenset(imported)
    return graph


def shortest_cycle(graph: Graph, start: str) -> tuple[str, ...] | None:
    """The shortest way from a module back to itself."""
    came_from: dict[str, str] = {}
    queue = deque([start])
    while queue:
        here = queue.popleft()
        for there in sorted(graph[here]):
            if there == start:
                way = [here]
                while way[-1] != start:
                    way.append(came_from[way[-1]])
                return tuple(reversed(way))
            if there not in came_from:
                came_from[there] = here
                queue.append(there)
    return None


def find_cycles(graph: Graph) -> list[tuple[str, ...]]:
    """The shortest cycle through every module that is on one, each named once."""
    cycles = set()
    for start in graph:
        cycle = shortest_cycle(graph, start)
        if cycle:
            first = cycle.index(min(cycle))
            cycles.add(cycle[first:] + cycle[:first])
    return sorted(cycles)


def main(arguments: list[str]) -> int:
    """Print each cycle as a line; the exit code says whether there was one."""
    graph = read_graph(Path(arguments[0] if arguments else "src"))
    if not graph:
        print("no modules found")
        return 2
    cycles = find_cycles(graph)
    for cycle in cycles:
        print(" -> ".join((*cycle, cycle[0])))
    if not cycles:
        print(f"{len(graph)} modules, no import cycle")
    return 1 if cycles else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
