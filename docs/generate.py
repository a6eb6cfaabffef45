"""Write the parts of the reference that follow from the code: tables, the command line,
error codes, boundaries, built-in commands, states, which file keeps which rule, and the
public names.

    python docs/generate.py           write what is stale
    python docs/generate.py --check   exit 1 when something is

A part stands between `<!-- generated: NAME -->` and `<!-- end -->`; the words around it
are written by hand and stay. `states.md` is drawn by `tools/draw_states.py`.
"""

import inspect
import os
import re
import runpy
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import click
import sqlalchemy as sa

from earmark import testing
from earmark.cli import exits
from earmark.cli.launch import Launch
from earmark.cli.main import earmark
from earmark.cli.session import Session
from earmark.domain import errors
from earmark.domain.command import Action, Command, Composite, ExternalJob
from earmark.domain.errors import EarmarkError
from earmark.engine.boundary import BOUNDARIES
from earmark.engine.registry import load_commands
from earmark.store import schema
from earmark.testing import schedule
from earmark.web import faults

DOCS = Path(__file__).parent
ROOT = DOCS.parent
_PART = re.compile(
    r"(?P<open><!-- generated: (?P<name>[a-z-]+) -->\n).*?(?P<close><!-- end -->)",
    re.DOTALL,
)


def database_tables() -> Iterator[str]:
    """Every table and column, by the comments of `store/schema.py`."""
    for table in schema.tasks.metadata.tables.values():
        yield f"### {table.name}\n"
        yield f"{table.comment}\n"
        yield "| Column | Type | Meaning |"
        yield "|---|---|---|"
        for column in table.columns:
            yield f"| `{column.name}` | {_kind(column)} | {_cell(column.comment)} |"
        yield ""


def _kind(column: sa.Column[Any]) -> str:
    words = [_type(column.type)]
    if column.primary_key:
        words.append("key")
    words += [f"→ {key.target_fullname}" for key in column.foreign_keys]
    if column.nullable:
        words.append("may be null")
    return ", ".join(words)


def _type(kind: Any) -> str:
    if isinstance(kind, sa.types.TypeDecorator):
        return "instant"
    length = getattr(kind, "length", None)
    name = type(kind).__name__
    known = {"BigInteger": "integer", "LargeBinary": "bytes", "JSON": "JSON"}
    name = known.get(name, name.lower())
    return f"text ≤ {length}" if length else name.replace("string", "text")


def error_codes() -> Iterator[str]:
    """Every error that is raised on purpose, from the general to the special."""
    yield "| Code | Class | Meaning | Exit code | HTTP |"
    yield "|---|---|---|---|---|"
    for kind in _errors(EarmarkError):
        said = (inspect.getdoc(kind) or "").splitlines()[0]
        if kind is EarmarkError:
            said = "Any other error of Earmark's own."
        error = kind("")
        yield (
            f"| `{kind.code}` | `{kind.__name__}` | {_cell(said)} "
            f"| {int(exits.of_error(error))} | {faults.status_of(error)} |"
        )


def _errors(kind: type[EarmarkError]) -> Iterator[type[EarmarkError]]:
    yield kind
    for below in vars(errors).values():
        if inspect.isclass(below) and kind in below.__bases__:
            yield from _errors(cast(type[EarmarkError], below))


def boundaries() -> Iterator[str]:
    """The names, in the order in which a command meets them."""
    yield from (f"{number}. `{name}`" for number, name in enumerate(BOUNDARIES, 1))


def builtin_commands() -> Iterator[str]:
    """The commands that ship, with their parameters."""
    yield "| Command | Kind | What it does | Parameters |"
    yield "|---|---|---|---|"
    for kind in load_commands():
        fields = ", ".join(
            f"`{name}`" + ("" if field.is_required() else " (optional)")
            for name, field in kind.model_fields.items()
        )
        said = " ".join((inspect.getdoc(kind) or "").split("\n\n")[0].split())
        yield f"| `{kind.__name__}` | {_family(kind)} | {_cell(said)} | {fields} |"


def _family(kind: type[Command[Any]]) -> str:
    families = (Action, ExternalJob, Composite)
    return next(it.__name__ for it in families if issubclass(kind, it))


def placeholder_states() -> Iterator[str]:
    """What can become of a placeholder, as a diagram."""
    drawing = runpy.run_path(str(ROOT / "tools" / "draw_states.py"))
    yield drawing["placeholder_states"]()


#: How comments and docstrings name them: "rule 4", "rules 2 to 4", "invariants 1, 3".
_NAMED = re.compile(
    r"\b(rule|invariant)s?\s+(\d+(?:\s*(?:,|–|to|and)\s*\d+)*)", re.IGNORECASE
)
_SOURCE = ROOT / "src" / "earmark"
#: Who keeps it, and who tests it: from where a file is named, the folders looked in,
#: and those left out. A migration only repeats what the schema says.
_KEEPERS = {
    "Kept in": [(_SOURCE, _SOURCE, ("migrations", "testing"))],
    "Tested in": [
        (ROOT / "tests", ROOT / "tests", ()),
        (_SOURCE, _SOURCE / "testing", ()),
    ],
}


def rule_files() -> Iterator[str]:
    """Which files name which rule or invariant, by their own words."""
    named = {head: _named_in(folders) for head, folders in _KEEPERS.items()}
    yield f"| | {' | '.join(named)} |"
    yield f"|---|{'---|' * len(named)}"
    for kind, count in (("rule", 20), ("invariant", 10)):
        for number in range(1, count + 1):
            files = (by_name.get((kind, number), []) for by_name in named.values())
            cells = (", ".join(f"`{one}`" for one in some) for some in files)
            yield f"| {kind} {number} | {' | '.join(cells)} |"


def _named_in(
    folders: Sequence[tuple[Path, Path, tuple[str, ...]]],
) -> dict[tuple[str, int], list[str]]:
    found: dict[tuple[str, int], list[str]] = {}
    files = (
        (file, file.relative_to(root), left_out)
        for root, folder, left_out in folders
        for file in sorted(folder.rglob("*.py"))
    )
    for file, path, left_out in files:
        if set(path.parts) & set(left_out):
            continue
        text = re.sub(r"\n\s*#?:? *", " ", file.read_text(encoding="utf-8"))
        for kind, said in _NAMED.findall(text):
            for number in _numbers(said):
                files = found.setdefault((kind.lower(), number), [])
                if str(path) not in files:
                    files.append(str(path))
    return found


def _numbers(said: str) -> Iterator[int]:
    """The numbers of "2 to 4, 7"."""
    for part in re.split(r",|and", said):
        first, *last = (int(it) for it in re.findall(r"\d+", part))
        yield from range(first, (last or [first])[0] + 1)


def command_line() -> Iterator[str]:
    """Every subcommand, in the order of `earmark --help`."""
    top = click.Context(earmark, info_name="earmark", obj=_session())
    yield from _subcommands(earmark, top)


def _session() -> Session:
    # What is walked here asks for settings only, never for what can be started.
    return Session(cast(Launch, None))


def _subcommands(group: click.Group, above: click.Context) -> Iterator[str]:
    for name in group.list_commands(above):
        command = group.get_command(above, name)
        if command is None or command.hidden:
            continue
        context = click.Context(command, info_name=name, parent=above)
        if isinstance(command, click.Group) and name != "run":
            yield f"## {context.command_path}\n"
            yield f"{_help(command)}\n"
            yield from _subcommands(command, context)
            continue
        level = "##" if above.parent is None else "###"
        yield f"{level} {context.command_path}\n"
        if name == "run":
            yield "    earmark run COMMAND [OPTIONS]\n"
            yield f"{_help(command)} Its parameters are its options.\n"
            continue
        yield f"    {' '.join([context.command_path, *_usage(command, context)])}\n"
        yield f"{_help(command)}\n"
        yield from _options(command, context)


def _usage(command: click.Command, context: click.Context) -> list[str]:
    return command.collect_usage_pieces(context)


def _help(command: click.Command) -> str:
    paragraphs = inspect.cleandoc(command.help or "").split("\n\n")
    return "\n\n".join(" ".join(text.split()) for text in paragraphs)


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    records = [
        record
        for parameter in command.params
        if isinstance(parameter, click.Option)
        and (record := parameter.get_help_record(context)) is not None
    ]
    if not records:
        return
    yield "| Option | Meaning |"
    yield "|---|---|"
    for names, said in records:
        yield f"| `{names.replace('|', chr(92) + '|')}` | {_cell(said)} |"
    yield ""


def _cell(text: str | None) -> str:
    return " ".join((text or "").replace("|", "\\|").split())


def testing_names() -> Iterator[str]:
    """What authors' tests import."""
    yield "| Name | Meaning |"
    yield "|---|---|"
    for name in testing.__all__:
        said = inspect.getdoc(getattr(testing, name)) or ""
        yield f"| `{name}` | {_cell(said.split(chr(10) * 2)[0])} |"


def testing_verify() -> Iterator[str]:
    """Its parameters, and what they mean."""
    words = [
        it.name if it.default is it.empty else f"{it.name}={_default(it.default)}"
        for it in inspect.signature(testing.verify).parameters.values()
    ]
    yield f"`verify({', '.join(words)})`\n"
    yield inspect.getdoc(testing.verify) or ""


def _default(value: Any) -> str:
    return "…" if inspect.isfunction(value) else repr(value)


def testing_faults() -> Iterator[str]:
    """Each fault as a word of a schedule."""
    yield "| Word | What befalls the run |"
    yield "|---|---|"
    for fault, said in schedule.SAID.items():
        yield f"| `{fault}=N` | {said.format('N')} |"


PARTS: Mapping[str, Callable[[], Iterator[str]]] = {
    "database-tables": database_tables,
    "error-codes": error_codes,
    "boundaries": boundaries,
    "builtin-commands": builtin_commands,
    "command-line": command_line,
    "placeholder-states": placeholder_states,
    "rule-files": rule_files,
    "testing-faults": testing_faults,
    "testing-names": testing_names,
    "testing-verify": testing_verify,
    **runpy.run_path(str(ROOT / "tools" / "public_names.py"))["PARTS"],
}


def fresh(text: str) -> str:
    """A page with its generated parts made anew."""

    def part(found: re.Match[str]) -> str:
        lines = "\n".join(PARTS[found["name"]]()).strip()
        return f"{found['open']}{lines}\n{found['close']}"

    return _PART.sub(part, text)


def stale_pages() -> dict[Path, str]:
    """Pages that are not what the code says, with what they should be."""
    found = {}
    for page in sorted(DOCS.rglob("*.md")):
        text = page.read_text(encoding="utf-8")
        if (made := fresh(text)) != text:
            found[page] = made
    return found


def main(arguments: list[str]) -> int:
    """Write the stale pages, or say which they are."""
    for name in [name for name in os.environ if name.startswith("EARMARK_")]:
        del os.environ[name]
    drawing = runpy.run_path(str(ROOT / "tools" / "draw_states.py"))
    status: int = drawing["main"](arguments)
    for page, made in stale_pages().items():
        if "--check" in arguments:
            print(f"{page} is stale: python docs/generate.py")
            status = 1
        else:
            page.write_text(made, encoding="utf-8")
            print(f"wrote {page}")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
