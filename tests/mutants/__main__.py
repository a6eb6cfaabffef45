"""Take out one protection after the other, and see the tests turn red: `make mutants`.

First the tests that the patches name must be green on the source as it is. Then each
patch is applied to a copy, and its tests must fail: by an assertion of theirs, not
because nothing can be imported or set up any more.
"""

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.mutants.patches import Broken, Mutant, apply, link, read_all, tree

#: For one run of pytest, in seconds; and for one test of it.
_PATIENCE = 240
_PATIENCE_OF_A_TEST = 60
_PYTEST = (
    *("-q", "-rfE", "-n", "0", "-m", "not postgres", "-p", "no:cacheprovider"),
    # What a red test leaves open is its traceback's, and no error of its own.
    *("-p", "no:unraisableexception"),
)
#: What a mutant that cannot even run fails by: that would show nothing.
_SENSELESS = re.compile(r" - (NameError|ImportError|SyntaxError|UnboundLocalError)\b")


@dataclass(frozen=True, slots=True)
class Ended:
    """A run of pytest: its exit code, what it printed, and how long it took."""

    code: int
    printed: str
    seconds: float

    def lines(self, word: str) -> list[str]:
        found = [it for it in self.printed.splitlines() if it.startswith(f"{word} ")]
        return [line.removeprefix(f"{word} ") for line in found]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a mutant: `red` is as it should be."""

    mutant: Mutant
    word: str
    seconds: float
    why: str


def main() -> int:
    """Run them; 1 when one survived, or shows nothing."""
    parser = argparse.ArgumentParser(prog="tests.mutants", description=__doc__)
    parser.add_argument("--only", default="", help="those with this in their name")
    parser.add_argument("-j", type=int, default=2, help="so many at once")
    asked = parser.parse_args()
    mutants = read_all(asked.only)
    if not mutants:
        print(f"no mutant is called {asked.only!r}")
        return 1
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="earmark-mutants-") as folder,
        ThreadPoolExecutor(asked.j) as pool,
    ):
        whole = Path(folder) / "as-it-is"
        tree(whole)
        tests = sorted({test for mutant in mutants for test in mutant.red})
        parts = [tests[start :: asked.j] for start in range(min(asked.j, len(tests)))]
        for ended in list(pool.map(lambda part: run(whole, part), parts)):
            if ended.code:
                print(ended.printed)
                print("Without a patch these must be green.")
                return 1
        verdicts = []
        for verdict in pool.map(lambda it: judge(it, whole), mutants):
            verdicts.append(verdict)
            print(f"{verdict.word:8} {verdict.mutant.name}", flush=True)
    print(*table(verdicts), sep="\n")
    bad = sum(verdict.word != "red" for verdict in verdicts)
    seconds = time.monotonic() - began
    print(f"{len(verdicts) - bad} of {len(verdicts)} red, in {seconds:.0f} s")
    return 1 if bad else 0


def judge(mutant: Mutant, whole: Path) -> Verdict:
    """Patch a copy and run the mutant's tests there."""
    place = whole.parent / mutant.name
    link(whole, place)
    try:
        apply(mutant, place)
        ended = run(place, mutant.red, "-x")
    except Broken as error:
        return Verdict(mutant, "BROKEN", 0.0, str(error))
    except subprocess.TimeoutExpired:
        return Verdict(mutant, "BROKEN", 0.0, f"No end within {_PATIENCE} s.")
    failed, errors = ended.lines("FAILED"), ended.lines("ERROR")
    if ended.code == 0:
        return Verdict(mutant, "SURVIVED", ended.seconds, ", ".join(mutant.red))
    if ended.code != 1 or errors or not failed or _SENSELESS.search(failed[0]):
        return Verdict(mutant, "BROKEN", ended.seconds, ended.printed[-2000:])
    return Verdict(mutant, "red", ended.seconds, failed[0].partition(" - ")[0])


def run(place: Path, tests: Sequence[str], *more: str) -> Ended:
    """Run these tests in a tree, with that tree's source."""
    began = time.monotonic()
    begun = subprocess.Popen(
        [
            *(sys.executable, "-m", "pytest", *_PYTEST),
            *("--timeout", str(_PATIENCE_OF_A_TEST), *more, *tests),
        ],
        cwd=place,
        env=os.environ | {"PYTHONPATH": f"{place / 'src'}{os.pathsep}{place}"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # What its tests have started ends with it.
        start_new_session=True,
    )
    try:
        printed, _ = begun.communicate(timeout=_PATIENCE)
    except subprocess.TimeoutExpired:
        os.killpg(begun.pid, signal.SIGKILL)
        begun.communicate()
        raise
    return Ended(begun.returncode, printed, time.monotonic() - began)


def table(verdicts: Sequence[Verdict]) -> list[str]:
    """What to read: one mutant per paragraph."""
    lines = [""]
    for it in verdicts:
        lines.append(f"{it.mutant.name}: {it.word} in {it.seconds:.1f} s")
        lines.append(f"    {it.mutant.rule}")
        lines.append(f"    {it.why}")
    return lines


if __name__ == "__main__":
    sys.exit(main())
