"""`python -m earmark_customers DIR`: simulated DNS, object store and billing."""

import argparse
import signal
import sqlite3
import sys
from pathlib import Path

from earmark.testing import HttpFake, serve
from earmark_customers.fakes import KEY, FakeBilling, FakeDns, FakeObjects


def main() -> int:
    """Serve until SIGINT or SIGTERM; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m earmark_customers")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--port", type=int, default=14010, help="the first of three")
    parser.add_argument("--paying", type=float, default=3.0, metavar="SECONDS")
    given = parser.parse_args()
    folder: Path = given.folder
    folder.mkdir(parents=True, exist_ok=True)
    try:
        fakes: dict[str, HttpFake] = {
            "DNS": FakeDns(folder / "dns.db"),
            "object store": FakeObjects(folder / "objects.db"),
            "billing": FakeBilling(folder / "billing.db", paying=given.paying),
        }
        for number, (name, fake) in enumerate(fakes.items()):
            port = serve(fake, given.port + number if given.port else 0).server_port
            print(f"simulated {name} ready http://127.0.0.1:{port} ({KEY})", flush=True)
    except (OSError, sqlite3.Error) as error:
        print(f"The simulated providers cannot run: {error}", file=sys.stderr)
        return 1
    signal.sigwait({signal.SIGINT, signal.SIGTERM})
    return 0


if __name__ == "__main__":
    sys.exit(main())
