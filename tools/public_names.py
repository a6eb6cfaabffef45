"""The public names as a page: what is written beside each in the source, by group.

`docs/generate.py` puts a group where a page asks for it.
"""

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum
from functools import partial
from typing import Any

import earmark
from earmark import testing

#: Every public name stands in one group, in the order in which they are met.
GROUPS: Mapping[str, Sequence[str]] = {
    "commands": ("Command", "Action", "ExternalJob", "Composite", "Child"),
    "decisions": ("Retry", "Deadlines", "OnRestart", "WhenLocked"),
    "handles": ("Tx", "Ctx", "Results"),
    "words": ("Running", "Done", "Failed", "Found", "Undone", "Job", "Doubt"),
    "parameters": ("Secret", "Lock", "exclusive", "shared"),
    "references": ("ProviderRef", "VmRef", "TemplateRef"),
    "errors": (
        "EarmarkError", "BadInput", "NameTaken", "Rejected", "ProviderError", "NotSent",
        "Refused", "Throttled", "JobUnknown", "Unsupported",
    ),
    "connectors": (
        "Connector", "Session", "ProviderConfig", "Operation", "EffectClass",
        "Deadline",
    ),
    "capabilities": (
        "Credentials", "InventorySource", "Power", "Images", "Templates", "Tenants",
        "Snapshots", "Disks", "Machines", "Marked",
    ),
    "seen": (
        "Listing", "ObservedVm", "ObservedDisk", "PowerState", "Mark", "MarkedThing",
        "NO_MARK", "Verification", "VerifyCode",
    ),
    "testing": (
        "World", "Effect", "verify", "Bench", "Report", "Finding", "Mistake",
        "VerificationFailed", "HttpFake", "Asked", "Reply", "Problem", "serve",
    ),
}  # fmt: skip
#: Names for which there is no docstring: what they are, in words.
_SAID = {
    "ProviderRef": "The name or id of a provider.",
    "VmRef": "The name or id of a VM; `PROVIDER/NAME` where a name is there twice.",
    "TemplateRef": "The name or id of a template.",
    "NO_MARK": "The mark of a thing that carries none.",
}


def group(name: str) -> Iterator[str]:
    """One group, as Markdown."""
    of = testing if name == "testing" else earmark
    if name in ("errors", "references"):
        yield "| Name | Meaning |"
        yield "|---|---|"
        for one in GROUPS[name]:
            said = _SAID.get(one) or inspect.getdoc(getattr(of, one))
            yield f"| `{one}` | {_cell(said)} |"
        return
    for one in GROUPS[name]:
        yield from _told(one, getattr(of, one))


def _told(name: str, value: Any) -> Iterator[str]:
    yield f"### {name}\n"
    if name in _SAID:
        yield f"{_SAID[name]}\n"
        return
    source = textwrap.dedent(inspect.getsource(value))
    (node,) = ast.parse(source).body
    if isinstance(node, ast.FunctionDef):
        yield f"`{_signature(node)}`\n"
    elif isinstance(node, ast.ClassDef):
        if fields := [
            it for it, said in _members(node, source.splitlines()) if not said
        ]:
            yield _written(name, value, fields)
        bases = [ast.unparse(base) for base in node.bases]
        own = [it for it in bases if it.partition("[")[0] in earmark.__all__]
        if own:
            yield f"A `{'`, `'.join(own)}`.\n"
    yield f"{_doc(node)}\n"
    if not isinstance(node, ast.ClassDef):
        return
    members = list(_members(node, source.splitlines()))
    if told := [(written, said) for written, said in members if said]:
        yield "| | Meaning |"
        yield "|---|---|"
        for written, said in told:
            yield f"| `{_cell(written)}` | {_cell(said)} |"
        yield ""


def _written(name: str, value: type[Any], fields: Sequence[str]) -> str:
    if issubclass(value, Enum):
        return f"One of {', '.join(f'`{it}`' for it in fields)}.\n"
    return f"`{name}({', '.join(fields)})`\n"


def _doc(node: ast.AST) -> str:
    return ast.get_docstring(node) or ""  # type: ignore[arg-type]


def _members(node: ast.ClassDef, lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    """What is public in a class, and what is said of it."""
    for one in node.body:
        if isinstance(one, ast.AnnAssign | ast.Assign):
            written = _attribute(one)
            if not written.startswith(("_", "model_config")):
                yield written, _comment(one, lines)
        elif isinstance(one, ast.FunctionDef) and not one.name.startswith("_"):
            yield _signature(one), _doc(one)


def _attribute(one: ast.AnnAssign | ast.Assign) -> str:
    written = ast.unparse(one).replace("field(default_factory=dict)", "{}")
    if isinstance(one, ast.AnnAssign) and isinstance(one.annotation, ast.Subscript):
        whole = ast.unparse(one.annotation)
        inside = ast.unparse(one.annotation.slice)
        if whole == f"ClassVar[{inside}]":
            written = written.replace(whole, inside, 1)
    return written.replace(": 'ExternalJob[Any]'", ": ExternalJob[Any]")


def _comment(one: ast.stmt, lines: Sequence[str]) -> str:
    """The lines with `#:` right above it."""
    said: list[str] = []
    for line in reversed(lines[: one.lineno - 1]):
        if not line.strip().startswith("#:"):
            break
        said.insert(0, line.strip().removeprefix("#:").strip())
    return " ".join(said)


def _signature(node: ast.FunctionDef) -> str:
    given = node.args
    marks = {ast.unparse(it) for it in node.decorator_list}
    if given.args and given.args[0].arg in ("self", "cls"):
        given.args = given.args[1:]
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    returns = returns.replace("'", "").replace('"', "")
    if "property" in marks:
        return f"{node.name}{returns.replace(' -> ', ': ')}"
    return f"{node.name}({ast.unparse(given)}){returns}"


def _cell(text: str | None) -> str:
    return " ".join((text or "").replace("|", "\\|").split())


PARTS: Mapping[str, Callable[[], Iterator[str]]] = {
    f"public-{name}": partial(group, name) for name in GROUPS
}
