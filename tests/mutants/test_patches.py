"""The patches do not rot. That each turns its tests red is for `make mutants`."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import missing_peer
from tests.mutants.patches import ROOT, Broken, Mutant, apply, read, read_all

MUTANTS = read_all()
RUFF = str(Path(sys.executable).with_name("ruff"))


@pytest.fixture(scope="module", autouse=True)
def _git() -> None:
    if shutil.which("git") is None:
        missing_peer("git, which applies the patches,")


def functions(file: Path) -> set[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda it: it.name)
def test_its_tests_exist(mutant: Mutant) -> None:
    for test in mutant.red:
        file, _, name = test.partition("[")[0].partition("::")
        assert (ROOT / file).is_file(), test
        assert not name or name in functions(ROOT / file), test


def test_each_applies_and_can_still_be_read(tmp_path: Path) -> None:
    wrong = []
    for mutant in MUTANTS:
        place = tmp_path / mutant.name
        for name in mutant.touches:
            assert name.startswith("src/"), mutant.name
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, place / name)
        try:
            apply(mutant, place)
        except Broken as error:
            wrong.append(str(error))
    assert not wrong, "\n".join(wrong)
    # A name that nothing defines would turn any test red.
    checked = [RUFF, "check", "--isolated", "--no-cache", "--select", "E9,F63,F7,F82"]
    ended = subprocess.run(
        [*checked, str(tmp_path)], capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 0, ended.stdout


def test_their_numbers_are_their_own() -> None:
    numbers = [mutant.name.partition("-")[0] for mutant in MUTANTS]
    assert len(numbers) == len(set(numbers))


def test_one_that_does_not_fit_is_told(tmp_path: Path) -> None:
    patch = tmp_path / "01-none.patch"
    head = "# It takes out nothing.\n# red: tests/none.py\n"
    patch.write_text(f"{head}--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n")
    (tmp_path / "x").write_text("c\n")
    with pytest.raises(Broken, match="01-none does not apply"):
        apply(read(patch), tmp_path)


def test_one_that_names_no_test_is_told(tmp_path: Path) -> None:
    patch = tmp_path / "01-none.patch"
    patch.write_text("# It takes out nothing.\n")
    with pytest.raises(Broken, match="01-none"):
        read(patch)
