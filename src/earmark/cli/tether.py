"""A tether to the process that started this one: when that dies, in whatever way, this
one is told to stop."""

import os
import signal
import sys
import threading

import click

#: Hidden: the supervisor gives it, and keeps the other end of our standard input open.
tether_option = click.option("--tethered", is_flag=True, hidden=True)


def tie() -> None:
    """Send ourselves SIGTERM when standard input closes."""

    def watch() -> None:
        while os.read(sys.stdin.fileno(), 1024):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="earmark-tether", daemon=True).start()
