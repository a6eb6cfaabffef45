"""`earmark`, its SQL statements counted: `python -m tests.peers.counted FILE WORDS…`.

The number stands in the first eight bytes of the file, which others map.
"""

from __future__ import annotations

import mmap
import resource
import struct
import sys
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

NUMBER = struct.Struct("<q")


def read(file: Path) -> int:
    """How many statements there were so far."""
    (count,) = NUMBER.unpack(file.read_bytes()[: NUMBER.size])
    return int(count)


def count_into(file: Path) -> None:
    """Count every statement of this process from now on."""
    with file.open("r+b") as opened:
        shared = mmap.mmap(opened.fileno(), NUMBER.size)
    counted = 0

    def one_more(*_: Any) -> None:
        nonlocal counted
        counted += 1
        NUMBER.pack_into(shared, 0, counted)

    event.listen(sa.Engine, "before_cursor_execute", one_more)


if __name__ == "__main__":
    # As small as some systems begin with: what needs more must ask for it.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (128, hard))
    count_into(Path(sys.argv.pop(1)))
    from earmark.app import main

    sys.exit(main())
