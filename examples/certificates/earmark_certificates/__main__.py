"""`python -m earmark_certificates fake DIR`: a simulated CA and five simulated load
balancers. `python -m earmark_certificates key`: a new account key, on one line."""

import argparse
import signal
import sqlite3
import sys
from pathlib import Path

from earmark.testing import serve
from earmark_certificates.fake_balancers import PASSWORD, FakeBalancers
from earmark_certificates.fake_ca import FakeCa
from earmark_certificates.jws import key_as_line, new_key


def main() -> int:
    """Do what the arguments say; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m earmark_certificates")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("key")
    fake = verbs.add_parser("fake")
    fake.add_argument("folder", type=Path)
    fake.add_argument("--ca-port", type=int, default=14000)
    fake.add_argument("--balancers-port", type=int, default=14001)
    fake.add_argument("--signing", type=float, default=3.0, metavar="SECONDS")
    given = parser.parse_args()
    if given.verb == "key":
        print(key_as_line(new_key()))
        return 0
    given.folder.mkdir(parents=True, exist_ok=True)
    try:
        fleet = FakeBalancers(given.folder / "balancers.db")
        ca = FakeCa(fleet.look, given.folder / "ca.db", signing=given.signing)
        servers = [serve(ca, given.ca_port), serve(fleet, given.balancers_port)]
    except (OSError, sqlite3.Error) as error:
        print(f"The simulated providers cannot run: {error}", file=sys.stderr)
        return 1
    ca_port, fleet_port = (server.server_port for server in servers)
    print(f"simulated CA ready http://127.0.0.1:{ca_port}/directory", flush=True)
    print(
        f"simulated balancers ready http://127.0.0.1:{fleet_port} ({PASSWORD})",
        flush=True,
    )
    signal.sigwait({signal.SIGINT, signal.SIGTERM})
    return 0


if __name__ == "__main__":
    sys.exit(main())
