"""The product's own commands, verified against the lab's own code."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from earmark.providers.lab import calls
from earmark.testing import verify
from tests.crash.cases import PRODUCT
from tests.crash.drawn import SOAK
from tests.crash.schedules import URL, Case
from tests.testing.lab import LabWorld

pytestmark = pytest.mark.timeout(900)
#: The others are slow.
EVERY_DAY = {"PowerOff", "CreateSnapshot"}
#: A disk is on the copy by then: that is what it was made for.
MAY_LEAVE = {"MoveDisk": ("CreateImageTemplate",)}
#: The steps of a plan meet the same boundaries and commits: a few of each will do.
SHARE = 1 if SOAK else 3
#: No browser is there that could be shown a console: it fails, as its case says.
LEFT_OUT = {"OpenConsole"}


def cases() -> Iterator[Any]:
    for case in PRODUCT:
        if case.name in LEFT_OUT:
            continue
        marks: list[Any] = [] if case.name in EVERY_DAY else [pytest.mark.slow]
        yield pytest.param(case, id=case.name, marks=marks)


@pytest.mark.parametrize("case", list(cases()))
def test_our_own_commands_pass(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with LabWorld(tmp_path) as lab:
        monkeypatch.setattr(calls, "exchange", lab.exchange)
        worlds = {"lab": lab}
        made = lambda: case.make(URL)  # noqa: E731
        assert verify(
            made,
            worlds=worlds,
            given=lab.given,
            schedules=5,
            share=SHARE,
            may_leave=MAY_LEAVE.get(case.name, ()),
        ).ok
