"""The gates hold on our own source, and each is able to fail."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CYCLES = ROOT / "tools" / "check_cycles.py"
SIZES = ROOT / "tools" / "check_sizes.py"
LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")


def write_tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def run_gate(
    command: list[str | Path], cwd: Path = ROOT, **environment: str
) -> tuple[int, str]:
    """A gate's exit code and what it prints."""
    ended = subprocess.run(
        command,
        cwd=cwd,
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return ended.returncode, ended.stdout + ended.stderr


def run_tool(tool: Path, *folders: Path) -> tuple[int, str]:
    return run_gate([sys.executable, tool, *folders])


def test_our_modules_have_no_import_cycle() -> None:
    code, printed = run_tool(CYCLES)
    assert code == 0, printed


@pytest.mark.parametrize(
    "back",
    [
        pytest.param("import a.two", id="plain"),
        pytest.param("from a import two", id="submodule"),
        pytest.param("from a.two import thing", id="name"),
        pytest.param("from .two import thing", id="relative"),
        pytest.param("from . import two", id="relative submodule"),
        pytest.param("def later():\n    from a.two import thing", id="lazy"),
        pytest.param("if TYPE_CHECKING:\n    import a.two", id="type checking"),
        pytest.param("import_module('a.two')", id="by name"),
    ],
)
def test_a_cycle_is_found_however_it_is_written(back: str, tmp_path: Path) -> None:
    tree = write_tree(
        tmp_path,
        {"a/__init__.py": "", "a/one.py": back, "a/two.py": "from a.one import x"},
    )
    assert run_tool(CYCLES, tree) == (1, "a.one -> a.two -> a.one\n")


def test_a_cycle_through_what_a_package_hands_on_is_found(tmp_path: Path) -> None:
    tree = write_tree(
        tmp_path,
        {
            "a/__init__.py": "",
            "a/b/__init__.py": "from a.b.noun import Noun",
            "a/b/noun.py": "from a.verb import act",
            "a/verb.py": "from a.b import Noun",
        },
    )
    assert run_tool(CYCLES, tree) == (1, "a.b -> a.b.noun -> a.verb -> a.b\n")


def test_every_cycle_is_one_line(tmp_path: Path) -> None:
    tree = write_tree(
        tmp_path,
        {
            "a/__init__.py": "",
            "a/one.py": "from . import two, three",
            "a/two.py": "from . import one",
            "a/three.py": "from . import one",
        },
    )
    printed = "a.one -> a.three -> a.one\na.one -> a.two -> a.one\n"
    assert run_tool(CYCLES, tree) == (1, printed)


def test_a_package_may_import_its_own_modules(tmp_path: Path) -> None:
    tree = write_tree(
        tmp_path,
        {
            "a/__init__.py": "from a.one import x",
            "a/one.py": "from a.two import x",
            "a/two.py": "x = 1",
        },
    )
    assert run_tool(CYCLES, tree) == (0, "3 modules, no import cycle\n")


def test_our_files_and_functions_are_short() -> None:
    code, printed = run_tool(SIZES)
    assert code == 0, printed


def function_of(lines: int) -> str:
    return "def f() -> None:\n" + "    x = 1\n" * (lines - 1)


@pytest.mark.parametrize(
    ("text", "code", "finding"),
    [
        ("x = 1\n" * 400, 0, "1 files, none too long"),
        ("x = 1\n" * 401, 1, "m.py: 401 lines, at most 400"),
        (function_of(60), 0, "1 files, none too long"),
        (function_of(61), 1, "m.py:1: f has 61 lines, at most 60"),
        ("async " + function_of(61), 1, "m.py:1: f has 61 lines, at most 60"),
        ("@wrap\n@wrap\n" + function_of(60), 0, "1 files, none too long"),
    ],
)
def test_the_limits_are_exact(
    text: str, code: int, finding: str, tmp_path: Path
) -> None:
    write_tree(tmp_path, {"m.py": text})
    ended, printed = run_tool(SIZES, tmp_path)
    assert ended == code
    assert finding in printed


def test_a_long_engine_file_only_warns(tmp_path: Path) -> None:
    write_tree(tmp_path, {"engine/m.py": "x = 1\n" * 151})
    code, printed = run_tool(SIZES, tmp_path)
    assert code == 0
    assert "m.py: warning: 151 lines, aim for 150 in the engine" in printed


@pytest.mark.parametrize("tool", [CYCLES, SIZES], ids=["cycles", "sizes"])
def test_a_gate_that_sees_no_file_fails(tool: Path, tmp_path: Path) -> None:
    assert run_tool(tool, tmp_path / "moved away")[0] == 2


FLOORS = [
    "app",
    "web",
    "cli",
    "worker",
    "commands",
    "engine",
    "inventory",
    "providers",
    "security",
    "store",
    "domain",
    "lab",
]


def check_floors(root: Path, imports: dict[str, str]) -> tuple[int, str]:
    """Run our import contracts on a made-up house: who imports what."""
    files = {f"src/earmark/{floor}/__init__.py": "" for floor in FLOORS}
    files["src/earmark/__init__.py"] = "from earmark.domain import Command"
    for importer, imported in imports.items():
        files[f"src/earmark/{importer}/__init__.py"] = f"import earmark.{imported}"
    write_tree(root, files)
    shutil.copy(ROOT / "pyproject.toml", root)
    return run_gate([LINT_IMPORTS, "--no-cache"], root, PYTHONPATH=str(root / "src"))


def test_imports_may_go_down_the_floors(tmp_path: Path) -> None:
    way_down = {
        "app": "web",
        "cli": "lab",
        "web": "commands",
        "worker": "engine",
        "commands": "engine",
        "engine": "store",
        "providers": "store",
        "store": "domain",
    }
    code, printed = check_floors(tmp_path, way_down)
    assert code == 0, printed


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        ("web", "app"),
        ("web", "worker"),
        ("web", "providers"),
        ("engine", "commands"),
        ("engine", "providers"),
        ("inventory", "engine"),
        ("store", "engine"),
        ("domain", "store"),
        ("lab", "domain"),
        ("worker", "lab"),
        ("providers", "lab"),
        ("domain", "lab"),
    ],
)
def test_no_import_goes_up_or_aside(
    importer: str, imported: str, tmp_path: Path
) -> None:
    code, printed = check_floors(tmp_path, {importer: imported})
    assert code == 1, printed
    assert f"earmark.{importer} -> earmark.{imported}" in printed.replace("\n", " ")


def test_the_web_does_not_reach_a_provider_by_way_of_commands(tmp_path: Path) -> None:
    code, printed = check_floors(tmp_path, {"web": "commands", "commands": "providers"})
    assert code == 1, printed


def test_the_lab_does_not_borrow_through_the_root_package(tmp_path: Path) -> None:
    write_tree(tmp_path, {"src/earmark/lab/state.py": "from earmark import Command"})
    code, printed = check_floors(tmp_path, {})
    assert code == 1, printed


def test_a_package_without_a_floor_is_refused(tmp_path: Path) -> None:
    write_tree(tmp_path, {"src/earmark/utils/__init__.py": ""})
    code, printed = check_floors(tmp_path, {})
    assert code == 1
    assert "earmark.utils" in printed


# Written in pieces, so that this file is not its own finding.
REGISTRIES = "pypi.o rg|pythonhosted.o rg|npmjs.o rg|npmjs.c om|docker.i o|crates.i o"
HOMES = "/wo rk/|/ro ot/|/ho me/[a-z]|/Us ers/[A-Za-z]"
NOT_OURS_TO_NAME = re.compile(
    rf"\b(?:{REGISTRIES.replace('.', '[.]')})\b|(?<![\w.~-])(?:{HOMES})".replace(
        " ", ""
    ).encode()
)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("https://py" + "pi.org/simple", True),
        ("index = files.python" + "hosted.org", True),
        ("see /wo" + "rk/main/src", True),
        ("'/ho" + "me/me/earmark'", True),
        ("artwork/main, ~/work/, ./home/x", False),
        ("https://www.apache.org/licenses/", False),
    ],
)
def test_what_is_not_ours_to_name_is_recognised(text: str, found: bool) -> None:
    assert bool(NOT_OURS_TO_NAME.search(text.encode())) is found


def test_no_file_names_a_registry_or_somebodys_folder() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a clone: git cannot list the files")
    # As root in somebody else's clone, git otherwise refuses to answer.
    listing = ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z"]
    names = subprocess.run(
        listing, cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split("\0")
    paths = [ROOT / name for name in names if name]
    assert paths
    findings = [
        f"{path.relative_to(ROOT)}: {match[0].decode()}"
        for path in paths
        if path.is_file()
        for match in [NOT_OURS_TO_NAME.search(path.read_bytes())]
        if match
    ]
    assert not findings
