"""Adding a provider: verified from its zone first, and saved only if that is ok."""

import socket
import ssl
from pathlib import Path

import pytest

from tests.cli.conftest import House
from tests.cli.terminal import Ended, Terminal
from tests.peers.lab import PASSWORD
from tests.providers.certificates import self_signed
from tests.providers.wire import WireServer


def add(earmark: Terminal, url: str, *more: str, typed: str = "secret\n") -> Ended:
    words = ["providers", "add", "lab", "--name", "new", "--set", f"url={url}"]
    return earmark.run(*words, *more, typed=typed)


def names(earmark: Terminal) -> list[str]:
    return [provider["name"] for provider in earmark.json("providers", "ls")]


def refused(house: House, ended: Ended, code: str, *words: str) -> None:
    """The verification's code and detail are said, and nothing was saved."""
    assert ended.code == 1, ended
    assert ended.out == ""
    assert ended.err.startswith(f"{code}: "), ended.err
    for word in words:
        assert word in ended.err
    assert names(house.earmark) == ["lab"]


def test_a_wrong_password_is_auth(house: House) -> None:
    ended = add(house.earmark, house.lab.url, "--secret", "password")
    refused(house, ended, "auth", "password")


def test_an_endpoint_that_is_down_is_refused(house: House) -> None:
    refused(house, add(house.earmark, "http://127.0.0.1:1"), "refused", "127.0.0.1:1")


def test_a_certificate_that_nobody_vouches_for_is_tls(
    house: House, tmp_path: Path
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(self_signed(tmp_path / "site.pem"))
    with WireServer(lambda connection: None, context) as server:
        refused(house, add(house.earmark, server.url), "tls")


def test_an_endpoint_that_does_not_answer_in_time_is_124(house: House) -> None:
    def say_nothing(connection: socket.socket) -> None:
        server.leaving.wait(30)

    with WireServer(say_nothing) as server:
        ended = add(house.earmark, server.url, "--timeout", "0.5")
    assert ended.code == 124
    assert "new was not saved" in ended.err
    assert names(house.earmark) == ["lab"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nonsense", "--name", "x"], ["nonsense", "lab"]),
        (["lab", "--name", "x"], ["url: is missing", "--set url=…"]),
        (["lab", "--name", "x", "--set", "url"], ["KEY=VALUE"]),
        (["lab", "--name", "x", "--set", "url=gopher://x"], ["url"]),
        (["lab", "--name", "x", "--set", "url=http://x", "--set", "a=b"], ["a"]),
        (["lab", "--name", " ", "--set", "url=http://x"], ["name"]),
        (["lab", "--name", "lab", "--set", "url=http://x"], ["lab", "another name"]),
        (["lab", "--name", "x", "--set", "url=http://x", "--zone", "mars"], ["mars"]),
        (["lab", "--name", "x", "--set", "url=http://x", "--secret", "pin"], ["pin"]),
        (["lab", "--name", "x", "--set", "url=http://x"], ["password", "missing"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_a_bad_form_is_said_before_anything_is_asked(
    words: list[str], said: list[str], house: House
) -> None:
    before = house.earmark.task_count()
    house.earmark.run("providers", "add", *words).refused(2, *said)
    assert house.earmark.task_count() == before


def test_a_zone_without_a_worker_is_said_at_once(house: House) -> None:
    house.earmark.run("zones", "add", "empty")
    ended = add(house.earmark, house.lab.url, "--zone", "empty")
    ended.refused(69, "zone empty", "earmark worker --zone empty")


def test_a_password_is_typed_without_an_echo(house: House) -> None:
    words = ["providers", "add", "lab", "--name", "typed"]
    words += ["--set", f"url={house.lab.url}"]
    with house.earmark.on_a_tty(*words) as person:
        person.sees("Password:")
        person.types(f"{PASSWORD}\r")
        assert person.ends() == 0, person.screen
        assert PASSWORD not in person.screen
        assert "Added typed, and asked what it has" in person.screen
        assert "if its kind has any: earmark vms ls" in person.screen
    assert "typed" in names(house.earmark)


def test_a_provider_shows_no_secret_and_can_be_tried_again(house: House) -> None:
    ended = house.earmark.run("providers", "ls", "--json")
    (lab,) = [found for found in ended.json if found["name"] == "lab"]
    assert (lab["kind"], lab["zone"], lab["health"]) == ("lab", "default", "ok")
    assert PASSWORD not in ended.out
    assert "secret" not in ended.out
    assert house.earmark.run("providers", "verify", "lab").code == 0
    refreshed = house.earmark.run("providers", "refresh", "lab")
    assert "6 VMs" in refreshed.out


def test_an_added_provider_is_refreshed_by_itself(house: House) -> None:
    words = ["providers", "add", "lab", "--name", "second", "--json"]
    words += ["--set", f"url={house.lab.url}"]
    added = house.earmark.run(*words, typed=f"{PASSWORD}\n")
    assert added.json["name"] == "second"
    words = ["tasks", "ls", "--object", "provider:second", "--limit", "1"]
    (refresh,) = house.earmark.json(*words)
    assert refresh["command"] == "RefreshProvider"
    assert house.earmark.run("tasks", "wait", refresh["id"]).code == 0
