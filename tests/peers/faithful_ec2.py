"""moto's EC2 and IAM as a process of its own, made a little more like AWS.

    python faithful_ec2.py --seconds 1.0

moto does the wire protocol, the signatures, the permissions and the model. What
follows is ours, and a test that depends on it tests us against ourselves:

- starting and stopping take a while (`pending`, `stopping`); moto's end at once;
- an instance cannot be started while it stops or is terminated, nor stopped when it
  is terminated (`IncorrectInstanceState`); moto allows all of it;
- `GET /ledger` lists the actions that arrived, in order.

The name of this file must not begin with "moto": moto finds the classes of its
errors by the names of modules.
"""

import argparse
import io
import json
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.instances import Instance, InstanceState
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import make_server

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Moving(InstanceState):
    """A state that becomes another one when its time has come."""

    def __init__(
        self, now: tuple[str, int], then: tuple[str, int], seconds: float
    ) -> None:
        super().__init__(*now)
        self._then = then
        self._due = time.monotonic() + seconds

    def __getattribute__(self, attribute: str) -> Any:
        if attribute in ("name", "code") and time.monotonic() >= self._due:
            return self._then[attribute == "code"]
        return super().__getattribute__(attribute)


def take_time(seconds: float) -> None:
    """Teach moto's instances that starting and stopping last."""
    moto: Any = Instance
    moto_start, moto_stop, moto_terminate = moto.start, moto.stop, moto.terminate

    def require(instance: Any, verb: str, *allowed: str) -> None:
        if instance.state not in allowed:
            raise EC2ClientError(
                "IncorrectInstanceState",
                f"The instance '{instance.id}' is not in a state from which it can "
                f"be {verb}.",
            )

    def settle(instance: Any) -> InstanceState:
        """Give moto a plain state that it may write to; return the one before."""
        before = InstanceState(instance._state.name, instance._state.code)
        instance._state = InstanceState(before.name, before.code)
        return before

    def start(instance: Any) -> InstanceState:
        require(instance, "started", "stopped", "pending", "running")
        if instance.state != "stopped":
            return InstanceState(instance.state, instance.state_code)
        before = settle(instance)
        moto_start(instance)
        instance._state = Moving(("pending", 0), ("running", 16), seconds)
        return before

    def stop(instance: Any) -> InstanceState:
        require(instance, "stopped", "running", "pending", "stopping", "stopped")
        if instance.state not in ("running", "pending"):
            return InstanceState(instance.state, instance.state_code)
        before = settle(instance)
        moto_stop(instance)
        instance._state = Moving(("stopping", 64), ("stopped", 80), seconds)
        return before

    def terminate(instance: Any) -> Any:
        settle(instance)
        return moto_terminate(instance)

    moto.start, moto.stop, moto.terminate = start, stop, terminate


class Ledger:
    """Notes every action before moto sees it."""

    def __init__(self, application: Wsgi) -> None:
        self._application = application
        self._actions: list[str] = []
        self._lock = threading.Lock()

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/ledger":
            start_response("200 OK", [("Content-Type", "application/json")])
            with self._lock:
                return [json.dumps(self._actions).encode()]
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        with self._lock:
            self._actions += parse_qs(body.decode("latin-1")).get("Action", [])
        return self._application(environ, start_response)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=1.0)
    words = parser.parse_args()
    take_time(words.seconds)
    server = make_server(
        "127.0.0.1",
        words.port,
        Ledger(DomainDispatcherApplication(create_backend_app)),
        threaded=True,
        request_handler=MotoRequestHandler,
    )
    print(f"ready http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
