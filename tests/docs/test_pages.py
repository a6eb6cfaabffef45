"""What the pages say is so: links, command lines, settings, codes, generated parts."""

import re
import runpy
from pathlib import Path
from typing import Any, cast

import click
import pytest

from earmark.cli.exits import Exit
from earmark.cli.launch import Launch
from earmark.cli.main import earmark
from earmark.cli.session import Session
from earmark.domain.capabilities import VerifyCode
from earmark.domain.settings import Settings

from .pages import DOCS, OURS, PAGES, ROOT, anchors, command_lines, links

GENERATE = DOCS / "generate.py"
SOURCE = ROOT / "src" / "earmark"


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.fixture
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of whoever runs the tests."""
    for field in Settings.model_fields:
        monkeypatch.delenv(f"EARMARK_{field.upper()}", raising=False)


@pytest.mark.usefixtures("bare_environment")
def test_generated_parts_are_fresh() -> None:
    generate = runpy.run_path(str(GENERATE))
    stale = [name_of(page) for page in generate["stale_pages"]()]
    assert not stale, f"{stale} are stale: python docs/generate.py"


def test_what_names_several_rules_is_read_as_all_of_them() -> None:
    numbers = runpy.run_path(str(GENERATE))["_numbers"]
    assert list(numbers("2 to 4, 7 and 9")) == [2, 3, 4, 7, 9]
    assert list(numbers("1–3")) == [1, 2, 3]


def test_the_drawing_of_the_states_is_fresh() -> None:
    drawing = runpy.run_path(str(ROOT / "tools" / "draw_states.py"))
    assert drawing["main"](["--check"]) == 0, "python docs/generate.py"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        if re.match(r"[a-z]+:", link):
            continue
        address, _, anchor = link.partition("#")
        target = (page.parent / address).resolve() if address else page
        assert target.exists(), f"{name_of(page)} links to {link}"
        if anchor:
            assert anchor in anchors(target), f"{name_of(page)}: no anchor {link}"


def test_the_index_names_every_page() -> None:
    index = DOCS / "README.md"
    named = {(DOCS / link).resolve() for link in links(index)}
    missing = [name_of(p) for p in DOCS.rglob("*.md") if p not in named | {index}]
    assert not missing, f"docs/README.md leads nowhere to {missing}"


def parse(words: list[str]) -> None:
    """Parse a command line with the real program; raises click's errors."""
    context = click.Context(
        earmark, info_name="earmark", obj=Session(cast(Launch, None))
    )
    command: click.Command = earmark
    rest = list(words)
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        name = rest.pop(0)
        if name.isupper():
            return  # a placeholder: `earmark run COMMAND`
        found = command.get_command(context, name)
        if found is None:
            raise click.UsageError(f"no command {name}")
        command = found
        if not isinstance(command, click.Group):
            break
        context = click.Context(command, info_name=name, parent=context)
    if isinstance(command, click.Group):
        return
    if rest and set(rest) != {"…"}:
        command.make_context(command.name, rest, parent=context)


#: What the tutorials, the README and the examples make themselves.
ITS_OWN = {"CopyImage", "IssueCertificate", "ProvisionCustomer"}


@pytest.mark.usefixtures("bare_environment")
@pytest.mark.parametrize("page", OURS, ids=name_of)
def test_command_lines_are_the_programs(page: Path) -> None:
    for words in command_lines(page):
        if words[:1] == ["run"] and ITS_OWN & set(words):
            continue
        try:
            parse(words)
        except click.exceptions.Exit:
            continue
        except click.ClickException as error:
            said = f"{name_of(page)}: earmark {' '.join(words)}: "
            pytest.fail(said + error.format_message())


def test_there_are_command_lines_to_check() -> None:
    assert sum(1 for page in OURS for _ in command_lines(page)) > 50


def test_a_wrong_command_line_is_noticed() -> None:
    with pytest.raises(click.UsageError):
        parse(["tasks", "explode", "x"])
    with pytest.raises(click.UsageError):
        parse(["vms", "stop", "web01", "--gently"])


@pytest.mark.usefixtures("bare_environment")
def test_every_setting_is_told_with_its_default() -> None:
    page = (DOCS / "reference" / "settings.md").read_text(encoding="utf-8")
    settings = Settings()
    for name in Settings.model_fields:
        row = re.search(rf"^\| `EARMARK_{name.upper()}` \| ([^|]*) \|", page, re.M)
        assert row, f"settings.md does not tell EARMARK_{name.upper()}"
        assert row[1] == default_of(name, settings), name


def default_of(name: str, settings: Settings) -> str:
    value: Any = getattr(settings, name)
    told = {
        "database_url": "`earmark.db` in your data folder",
        "secret_key_file": "beside the SQLite file, `.key` in place of its ending; "
        "with PostgreSQL `secret.key` in your data folder",
    }
    if name in told:
        return told[name]
    if isinstance(value, tuple):
        value = ",".join(value)
    if isinstance(value, bool):
        value = str(value).lower()
    return f"`{value}`" if value != "" else "none"


def test_every_variable_that_the_source_reads_is_told() -> None:
    page = (DOCS / "reference" / "settings.md").read_text(encoding="utf-8")
    source = "".join(path.read_text() for path in SOURCE.rglob("*.py"))
    read = set(re.findall(r"\bEARMARK_[A-Z_]*[A-Z]\b", source))
    assert {name for name in read if f"`{name}" not in page} == set()


def test_every_code_is_told() -> None:
    page = (DOCS / "reference" / "errors.md").read_text(encoding="utf-8")
    source = "".join(path.read_text() for path in SOURCE.rglob("*.py"))
    codes = set(re.findall(r"\bcode(?:: str)? = \"([a-z-]+)\"", source))
    codes |= set(re.findall(r"\bcode=\"([a-z-]+)\"", source))
    codes |= set(re.findall(r"End\.failed\([^)]*?\"([a-z-]+)\"", source))
    codes |= {code.value for code in VerifyCode}
    assert len(codes) > 20
    assert {code for code in codes if f"`{code}`" not in page} == set()


def test_every_exit_code_is_told() -> None:
    page = (DOCS / "reference" / "cli.md").read_text(encoding="utf-8")
    assert [code for code in Exit if f"\n| {int(code)} |" not in page] == []


def test_every_path_of_the_api_is_told() -> None:
    page = (DOCS / "reference" / "rest.md").read_text(encoding="utf-8")
    routers = (SOURCE / "web" / "api").glob("*.py")
    paths = set()
    for file in routers:
        text = file.read_text()
        prefix = re.search(r"APIRouter\(prefix=\"([^\"]+)\"", text)
        for method, path in re.findall(r"@router\.(get|post)\(\"([^\"]*)\"", text):
            paths.add(f"{method.upper()} {prefix[1] if prefix else ''}{path}")
    assert len(paths) > 10
    assert {path for path in paths if f"`{path}`" not in page} == set()


def test_pictures_are_small() -> None:
    pictures = sorted((DOCS / "images").glob("*.png"))
    assert pictures
    assert [p.name for p in pictures if p.stat().st_size >= 150_000] == []
