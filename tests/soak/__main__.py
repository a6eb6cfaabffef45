"""Run the soak by hand: `python -m tests.soak --schedules 2000 --seed 7`."""

import argparse
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from tests.peers.postgres import PostgresPeer, postgres_server
from tests.soak import block
from tests.soak.block import Which
from tests.soak.figures import Figures, table

_STORES = ("sqlite", "postgres")
#: Of so many blocks, one has a lab that forgets its tokens.
_ONE_LIES_OF = 10


def main() -> int:
    """Run blocks until so many schedules are done; 1 when anything was wrong."""
    parser = argparse.ArgumentParser(prog="tests.soak", description=__doc__)
    parser.add_argument("--schedules", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--store", choices=_STORES)
    parser.add_argument("--size", type=int, default=block.SIZE, help="of a block")
    parser.add_argument("--block", type=int, help="run this one alone, again")
    parser.add_argument("--lying", action="store_true", help="the lab ignores tokens")
    asked = parser.parse_args()
    # So that what it has started ends with it, PostgreSQL too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    total, bad = Figures(), 0
    folder = Path(tempfile.mkdtemp(prefix="earmark-soak-"))
    print(f"soak: seed {asked.seed}, in {folder}", flush=True)
    with ExitStack() as stack:
        peer: PostgresPeer | None = None
        for number, which in enumerate(_blocks(asked)):
            url = f"sqlite:///{folder / f'{number}.db'}"
            if which.store == "postgres":
                peer = peer or stack.enter_context(postgres_server())
                url = peer.new_database()
            place = folder / str(number)
            place.mkdir()
            report = block.run(which, url, place)
            total.add(report.figures)
            print(f"{which}: {report.figures.line()}", flush=True)
            if report.wrong:
                bad += 1
                (place / "report.txt").write_text(report.told)
                print(f"{report.told}\n(kept in {place})", flush=True)
    print(*table(total), sep="\n", flush=True)
    return 1 if bad else 0


def _blocks(asked: argparse.Namespace) -> Iterator[Which]:
    if asked.block is not None:
        store = asked.store or _STORES[asked.block % 2]
        yield Which(asked.seed, asked.block, store, asked.size, asked.lying)
        return
    left, number = asked.schedules, 0
    while left > 0:
        size = min(left, asked.size)
        lying = asked.lying or number % _ONE_LIES_OF == _ONE_LIES_OF - 1
        store = asked.store or _STORES[number % 2]
        yield Which(asked.seed, number, store, size, lying)
        left, number = left - size, number + 1


if __name__ == "__main__":
    sys.exit(main())
