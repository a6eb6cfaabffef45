"""Fixtures for pytest, found by its entry point. Nothing of Earmark's is loaded before
a test asks for one of them."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from earmark.testing.bench import Bench
    from earmark.testing.report import Report


@pytest.fixture
def earmark() -> Iterator["Bench"]:
    """An engine on a fresh SQLite, worked in this very thread, with a clock of its own:
    `add`, `run`, `ask`, `work`, `task`, `effects`, `log`, `crash_at`, `clock`."""
    from earmark.testing.bench import open_bench

    with open_bench() as bench:
        yield bench


@pytest.fixture
def verify() -> Callable[..., "Report"]:
    """`earmark.testing.verify`."""
    from earmark.testing.verification import verify

    return verify
