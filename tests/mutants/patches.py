"""The patches: what each takes out, which tests must turn red, and a tree with it."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
_RED = "# red: "
_TO = "+++ b/"


class Broken(Exception):
    """A patch, or what it names, does not fit the source any more."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """A patch. `rule`: what it takes out; `red`: the tests that must fail with it."""

    file: Path
    rule: str
    red: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.file.stem

    @property
    def touches(self) -> list[str]:
        """The files that it changes."""
        lines = self.file.read_text(encoding="utf-8").splitlines()
        return [line[len(_TO) :] for line in lines if line.startswith(_TO)]


def read(file: Path) -> Mutant:
    """Read a patch's head: comment lines with the rule, and one for each red test."""
    lines = file.read_text(encoding="utf-8").splitlines()
    head = [line for line in lines if line.startswith("# ")]
    red = tuple(line.removeprefix(_RED) for line in head if line.startswith(_RED))
    rule = " ".join(line[2:] for line in head if not line.startswith(_RED))
    if not rule or not red:
        raise Broken(f"{file.name}: a patch says its rule, and `{_RED}TEST`.")
    return Mutant(file, rule, red)


def read_all(only: str = "") -> list[Mutant]:
    """Every patch whose name has that word in it, in order."""
    return [read(file) for file in sorted(HERE.glob("*.patch")) if only in file.stem]


def tree(target: Path) -> None:
    """Copy what git knows of, or would: source, tests and pytest's settings."""
    names = ["src", "tests", "pyproject.toml"]
    # As root in somebody else's clone, git otherwise refuses to answer.
    asked = ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z"]
    asked += ["--cached", "--others", "--exclude-standard", "--", *names]
    ended = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True)
    for name in sorted({*ended.stdout.split("\0")} - {""}):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)


def link(tree: Path, target: Path) -> None:
    """A copy of a tree in no time: patching one replaces a file, and leaves the other
    as it was."""
    shutil.copytree(tree, target, copy_function=os.link)


def apply(mutant: Mutant, tree: Path) -> None:
    """Patch a tree. Raises `Broken` when it does not fit."""
    ended = subprocess.run(
        ["git", "apply", "--whitespace=nowarn", str(mutant.file)],
        cwd=tree,
        # Outside of any repository: else git looks for the paths in that one.
        env=os.environ | {"GIT_CEILING_DIRECTORIES": str(tree.parent)},
        capture_output=True,
        text=True,
    )
    if ended.returncode:
        raise Broken(f"{mutant.name} does not apply: {ended.stderr.strip()}")
