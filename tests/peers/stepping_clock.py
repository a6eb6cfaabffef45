"""Simulates a host whose wall clock is set while a worker runs: loaded in the worker's
process as if it were a module of commands, it replaces the function that reads the
wall clock by one that adds as many seconds as a file says.

With `EARMARK_TEST_CLOCK=wall` the store's time is taken from that clock, too: what must
not be.
"""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from earmark.store import clock

_FILE = os.environ.get("EARMARK_TEST_CLOCK_STEP")


def _stepped(connection: Any = None, *, writes: bool = False) -> datetime:
    try:
        seconds = float(Path(str(_FILE)).read_text())
    except FileNotFoundError:
        seconds = 0.0
    return datetime.now(UTC) + timedelta(seconds=seconds)


if _FILE is not None:
    clock.wall = _stepped
    if os.environ.get("EARMARK_TEST_CLOCK") == "wall":
        clock.now = _stepped
