"""Run a lab: ``python -m earmark.lab --state DIR``."""

import argparse
import sys
from pathlib import Path

from earmark.lab.config import SEEDS, LabConfig
from earmark.lab.server import serve
from earmark.lab.site import StateInUse


def main() -> int:
    """Serve a lab as the command line says; return the process's exit status."""
    defaults = LabConfig(state=Path())
    parser = argparse.ArgumentParser(
        prog="earmark.lab",
        description="A small simulated site. Durations are in seconds.",
    )
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--host", default=defaults.host)
    parser.add_argument("--port", type=int, default=defaults.port)
    parser.add_argument("--username", default=defaults.username)
    parser.add_argument("--password", default=defaults.password)
    parser.add_argument("--site-name", default=defaults.site_name)
    parser.add_argument("--certfile", type=Path)
    parser.add_argument("--keyfile", type=Path)
    parser.add_argument("--copy-seconds", type=float, default=defaults.copy_seconds)
    parser.add_argument("--power-seconds", type=float, default=defaults.power_seconds)
    parser.add_argument("--short-seconds", type=float, default=defaults.short_seconds)
    parser.add_argument("--seed", choices=SEEDS, default=defaults.seed)
    try:
        serve(LabConfig(**vars(parser.parse_args())))
    except (OSError, StateInUse, ValueError) as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
