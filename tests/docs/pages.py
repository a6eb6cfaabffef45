"""The documentation as tests see it: pages, code blocks, links, command lines."""

import ast
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
PAGES = (
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(DOCS.rglob("*.md")),
    *sorted((ROOT / "examples").glob("*/README.md")),
)
#: The pages that this folder's rules hold for.
OURS = tuple(page for page in PAGES if page.name != "CONTRIBUTING.md")

_FENCE = re.compile(r"^```(\w*)[ ]*([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"^    (.*)$", re.MULTILINE)
_INLINE = re.compile(r"`(earmark [^`\n]+)`")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)|(?:src|srcset)=\"([^\"]+)\"")


@dataclass(frozen=True)
class Block:
    """One fenced block of code: `info` is what follows the language."""

    page: Path
    language: str
    info: str
    text: str


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    found = _FENCE.findall(page.read_text(encoding="utf-8"))
    return [Block(page, language, info, text) for language, info, text in found]


def changed(module: str, by: str) -> str:
    """A module after what a page says to change in it: each import and each class takes
    the place of the one from the same module, or of the same name."""
    lines, new = module.splitlines(), by.splitlines()
    old = {_named(node): node for node in ast.parse(module).body}
    for node in reversed(ast.parse(by).body):
        place = old[_named(node)]
        part = new[node.lineno - 1 : node.end_lineno]
        lines[place.lineno - 1 : place.end_lineno] = part
    return "\n".join(lines) + "\n"


def _named(node: ast.stmt) -> str:
    if isinstance(node, ast.ImportFrom):
        return f"from {node.module}"
    return getattr(node, "name", "")


def links(page: Path) -> Iterator[str]:
    """Where a page's links and pictures lead."""
    prose = _FENCE.sub("", page.read_text(encoding="utf-8"))
    for plain, picture in _LINK.findall(prose):
        yield plain or picture


def anchors(page: Path) -> set[str]:
    """The anchors that a page's headings have."""
    prose = _FENCE.sub("", page.read_text(encoding="utf-8"))
    heads = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}


def command_lines(page: Path) -> Iterator[list[str]]:
    """Every `earmark …` line of a page, as words without the program's name."""
    text = page.read_text(encoding="utf-8")
    generated = re.compile(r"<!-- generated: .*?<!-- end -->", re.DOTALL)
    text = generated.sub("", text)
    lines = [line for block in blocks(page) for line in block.text.splitlines()]
    lines += _INDENTED.findall(_FENCE.sub("", text))
    lines += _INLINE.findall(_FENCE.sub("", text))
    for line in lines:
        words = _words(line)
        if words is not None:
            yield words


def _words(line: str) -> list[str] | None:
    if "earmark " not in line or line.startswith(("#", "export ", "ExecStart")):
        return None
    last = line.split(" | ")[-1]
    try:
        words = shlex.split(last, comments=True)
    except ValueError:
        return None
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        words.pop(0)
    return words[1:] if words[:1] == ["earmark"] else None
