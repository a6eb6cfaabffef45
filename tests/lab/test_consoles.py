"""The lab's consoles: a password opens one machine's screen, once."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from earmark.domain.deadline import Deadline
from earmark.domain.errors import ProviderError, Refused
from earmark.providers.rfb import RfbWire, connect
from tests.peers.lab import Json, LabProcess
from tests.peers.viewer import Viewer


def asked(lab: LabProcess, vm: str) -> Json:
    answer = lab.call("POST", f"/vms/{lab.vm(vm)['id']}/console")
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    return found


@contextmanager
def opened(given: Json) -> Iterator[RfbWire]:
    wire = connect(given["host"], given["port"], given["password"], Deadline(10))
    try:
        yield wire
    finally:
        wire.close()


def viewer(wire: RfbWire) -> Viewer:
    made = Viewer(wire.read, wire.write)
    made.start()
    return made


def test_all_who_look_see_what_is_typed(lab: LabProcess) -> None:
    with opened(asked(lab, "web01")) as one, opened(asked(lab, "web01")) as two:
        first, second = viewer(one), viewer(two)
        first.wait_for("SIMULATED CONSOLE of web01")
        first.press("uname")
        for each in (first, second):
            each.wait_for("uname_")


def test_a_password_is_good_once_and_for_one_machine(lab: LabProcess) -> None:
    given = asked(lab, "web02")
    with opened(given) as wire:
        assert viewer(wire).name == "SIMULATED CONSOLE of web02"
        with pytest.raises(Refused, match="wrong, used or too old"), opened(given):
            pass


def test_a_wrong_password_opens_nothing(lab: LabProcess) -> None:
    given = asked(lab, "web01") | {"password": "guessing"}
    with pytest.raises(Refused, match="does not let us in"), opened(given):
        pass


def test_a_machine_that_is_off_has_no_console(lab: LabProcess) -> None:
    answer = lab.call("POST", f"/vms/{lab.vm('db01')['id']}/console")
    assert answer.status_code == 409
    assert answer.json()["code"] == "wrong-state"
    assert lab.call("POST", "/vms/nobody/console").status_code == 404


def test_it_ends_with_its_machine(lab: LabProcess) -> None:
    with opened(asked(lab, "app01")) as wire:
        looking = viewer(wire)
        looking.wait_for("SIMULATED CONSOLE of app01")
        lab.call("POST", f"/vms/{lab.vm('app01')['id']}/stop", json={"token": "t"})
        while wire.read():
            continue


def test_it_ends_with_the_lab(lab: LabProcess) -> None:
    with opened(asked(lab, "web01")) as wire:
        viewer(wire).wait_for("SIMULATED CONSOLE of web01")
        lab.stop()
        while wire.read():
            continue


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"HTTP/1.1 400\r\n", "speaks no RFB"),
        (b"RFB 003.003\n", "at least 3.8"),
        (b"RFB 003.008\n\x00\x00\x00\x00\x04busy", "busy"),
        (b"RFB 003.008\n\x01\x13", "security 19"),
        (b"RFB 00", "hung up"),
    ],
)
def test_what_is_no_console_of_ours_is_said_so(said: bytes, words: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            peer, _ = server.accept()
            with peer, suppress(OSError):  # it may have had enough
                peer.sendall(said)
                peer.shutdown(socket.SHUT_WR)
                while peer.recv(100):
                    continue

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(ProviderError, match=words):
            connect("127.0.0.1", server.getsockname()[1], "x", Deadline(10))
        thread.join(10)
