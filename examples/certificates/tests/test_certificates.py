"""A certificate on five balancers: it ends well whatever is lost on the way, and what
fails fails alone."""

import os
from collections import Counter

import pytest
from tests.peers.authored import AuthoredStage

from earmark.domain.task import Task
from earmark.engine.runtime import Engine
from earmark.testing import verify
from earmark_certificates import pem
from earmark_certificates.commands import IssueCertificate
from earmark_certificates.fake_balancers import NAMES, FakeBalancers
from earmark_certificates.fake_ca import FakeCa

MODULES = ("earmark_certificates",)
HOST = "www.example.org"


class Site(AuthoredStage):
    """A CA, a fleet, and the engine between them."""

    def __init__(self, engine: Engine) -> None:
        self.fleet = FakeBalancers()
        self.ca = FakeCa(self.fleet.look)
        super().__init__(engine, MODULES, {"ca": self.ca, "lbs": self.fleet})

    def issue(self, on: tuple[str, ...] = NAMES) -> Task:
        wanted = IssueCertificate(ca="ca", balancers="lbs", host=HOST, on=on)
        return self.run(wanted)

    def fault(self, fault: str, call: str) -> None:
        whose, method, path = CALLS[call]
        (self.ca if whose == "ca" else self.fleet).fault(fault, method, path)

    def left(self) -> list[str]:
        """The ids of what is there of all that was made."""
        effects = [*self.ca.effects(), *self.fleet.effects()]
        return [effect.id for effect in effects if effect.there]

    def served(self) -> list[str | None]:
        return [self.fleet.served(name, HOST) for name in NAMES]

    def made(self) -> Counter[str]:
        """How many effects each token has."""
        effects = [*self.ca.effects(), *self.fleet.effects()]
        return Counter(effect.token for effect in effects)


@pytest.fixture
def site(engine: Engine) -> Site:
    return Site(engine)


def test_every_balancer_serves_one_certificate(site: Site) -> None:
    ended = site.issue()
    assert ended.outcome == "ok", ended.message
    assert set(site.served()) == {ended.result}
    assert sorted(effect.id.split("/")[-2] for effect in site.ca.effects()) == [
        "certificate",
        "order",
    ]
    assert set(site.made().values()) == {1}
    challenge, *installed = site.fleet.effects()
    assert not challenge.there, "the challenge is published no more"
    assert [effect.id.split("/")[0] for effect in installed] == list(NAMES)


def test_the_private_key_is_in_no_row(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    new = pem.key_to_pem

    def key_to_pem(key: object) -> str:
        made.append(new(key))  # type: ignore[arg-type]
        assert not any(line in site.everything() for line in _lines(made))
        return made[-1]

    monkeypatch.setattr(pem, "key_to_pem", key_to_pem)
    site.issue()
    assert len(made) == 1
    written = site.everything()
    assert not any(line in written for line in _lines(made))


def _lines(keys: list[str]) -> list[str]:
    """A key's own lines, without those that every key has."""
    return [line for key in keys for line in key.splitlines() if "-----" not in line]


#: Every changing call of the plan: whom it is for, and how its request begins.
CALLS = {
    "account.register": ("ca", "POST", "/new-account"),
    "order.create": ("ca", "POST", "/new-order"),
    "challenge.publish": ("lbs", "PUT", "/challenges"),
    "challenge.respond": ("ca", "POST", "/challenge"),
    "challenge.withdraw": ("lbs", "DELETE", "/challenges"),
    "order.finalize": ("ca", "POST", "/finalize"),
    "certificate.install": ("lbs", "PUT", "/balancers/lb4"),
}


@pytest.mark.parametrize("fault", ["lose-reply", "lose-request"])
def test_a_lost_answer_of_any_call_is_found_out(site: Site, fault: str) -> None:
    for call in CALLS:
        site.fault(fault, call)
    ended = site.issue()
    assert ended.outcome == "ok", ended.message
    assert not [*site.ca.all("fault"), *site.fleet.all("fault")], "each was met"
    assert set(site.served()) == {ended.result}
    assert set(site.made().values()) == {1}


@pytest.mark.parametrize("call", CALLS)
def test_what_came_before_a_refusal_is_taken_back(site: Site, call: str) -> None:
    site.fault("refuse", call)
    ended = site.issue(on=("lb3", "lb4"))
    assert ended.outcome == "failed"
    assert "Left behind" not in ended.message
    assert site.left() == []
    assert set(site.served()) == {None}


def test_when_the_fourth_balancer_fails_the_old_certificate_is_back(site: Site) -> None:
    before = site.issue()
    site.fault("refuse", "certificate.install")
    ended = site.issue()
    assert ended.outcome == "failed"
    assert set(site.served()) == {before.result}
    installed = [one for one in site.fleet.effects() if one.id.startswith("lb")]
    assert len(installed) == 5 + 3, "the fifth was never touched"
    assert [one.there for one in installed] == [True] * 5 + [False] * 3


def test_taking_back_leaves_what_somebody_else_installed(site: Site) -> None:
    ended = site.issue()
    second = next(one for one in site.fleet.effects() if one.id.startswith("lb2"))
    site.fleet.stranger(second)
    assert all(task.went_well for task in site.take_back(ended))
    served = site.served()
    assert served[1] == "f" * 64
    assert {*served[:1], *served[2:]} == {None}


def test_an_order_of_somebody_elses_is_not_taken_for_ours(site: Site) -> None:
    """Two orders for the host that were not there before: a person is asked."""
    site.ca.fault("lose-reply", "POST", "/new-order")
    task = site.ask(IssueCertificate(ca="ca", balancers="lbs", host=HOST, on=("lb1",)))
    while not site.ca.effects():
        site.check()
        site.perform()
    site.ca.stranger(site.ca.effects()[0])
    site.check()
    assert site.child(task, "order").state == "held"
    assert "Several are there" in site.everything()


#: Each word is one disturbance, of the calls and instants of a plan with one balancer.
FEW = ("undisturbed", "lose=2", "lose=6", "refuse=7", "cancel=40", "kill=100")


#: Its steps meet the same boundaries and commits: a few of each show what all show.
SHARE = 1 if "EARMARK_SOAK" in os.environ else 5


def verified(replay: str | None = None) -> bool:
    fleet = FakeBalancers()
    worlds = {"ca": FakeCa(fleet.look), "lbs": fleet}
    command = IssueCertificate(ca="ca", balancers="lbs", host=HOST, on=("lb1",))
    return verify(command, worlds=worlds, schedules=0, share=SHARE, replay=replay).ok


@pytest.mark.parametrize("disturbance", FEW)
def test_it_keeps_its_promise(disturbance: str) -> None:
    assert verified(disturbance)


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_it_keeps_its_promise_whatever_befalls_it() -> None:
    assert verified()
