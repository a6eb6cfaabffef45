"""A customer has all three or nothing, whatever is lost on the way; and what somebody
else has touched is left alone."""

import os
from collections import Counter

import pytest
from tests.peers.authored import AuthoredStage

from earmark.domain.task import Task
from earmark.engine.runtime import Engine
from earmark.providers.transport import Request
from earmark.testing import verify
from earmark_customers.commands import ProvisionCustomer
from earmark_customers.fakes import KEY, FakeBilling, FakeDns, FakeObjects
from earmark_customers.trace import TRACE

MODULES = ("earmark_customers",)
#: Every changing call of the plan: whom it is for, and how its request begins.
CALLS = {
    "bucket.create": ("objects", "PUT", "/acme-files"),
    "record.create": ("dns", "PUT", "/records"),
    "subscription.create": ("billing", "POST", "/v1/subscriptions"),
    "the last bucket": ("objects", "PUT", "/acme-media"),
}


class Site(AuthoredStage):
    """Three providers, and the engine between them."""

    def __init__(self, engine: Engine) -> None:
        self.dns, self.objects = FakeDns(), FakeObjects()
        self.billing = FakeBilling()
        self.fakes = {"dns": self.dns, "objects": self.objects, "billing": self.billing}
        super().__init__(engine, MODULES, self.fakes)

    def provision(self, name: str = "acme") -> Task:
        wanted = ProvisionCustomer(
            dns="dns", objects="objects", billing="billing", name=name, plan="business"
        )
        return self.run(wanted)

    def fault(self, fault: str, call: str) -> None:
        whose, method, path = CALLS[call]
        self.fakes[whose].fault(fault, method, path)

    def left(self) -> list[str]:
        """The ids of what is there of all that was made."""
        every = (one for fake in self.fakes.values() for one in fake.effects())
        return [effect.id for effect in every if effect.there]

    def made(self) -> Counter[str]:
        """How many effects each token has."""
        every = (one for fake in self.fakes.values() for one in fake.effects())
        return Counter(effect.token for effect in every)


@pytest.fixture
def site(engine: Engine) -> Site:
    return Site(engine)


def test_a_customer_has_a_name_buckets_and_a_subscription(site: Site) -> None:
    ended = site.provision()
    assert ended.outcome == "ok", ended.message
    assert ended.result["site"] == "acme"
    assert ended.result["buckets"] == ["acme-files", "acme-archive", "acme-media"]
    assert {ended.result["subscription"], "acme"} < set(site.left())
    record = site.dns.get("record", "acme")
    assert record is not None
    assert record["value"] == "acme-files.objects.test"
    assert set(site.made().values()) == {1}


@pytest.mark.parametrize("fault", ["lose-reply", "lose-request"])
def test_a_lost_answer_of_any_call_is_found_out(site: Site, fault: str) -> None:
    for call in CALLS:
        site.fault(fault, call)
    ended = site.provision()
    assert ended.outcome == "ok", ended.message
    assert not [one for fake in site.fakes.values() for one in fake.all("fault")]
    assert len(site.left()) == 5
    assert set(site.made().values()) == {1}


@pytest.mark.parametrize("call", CALLS)
def test_what_came_before_a_refusal_is_taken_back(site: Site, call: str) -> None:
    site.fault("refuse", call)
    ended = site.provision()
    assert ended.outcome == "failed"
    assert "Left behind" not in ended.message
    assert site.left() == []


def test_who_does_not_pay_gets_nothing(site: Site) -> None:
    ended = site.provision("acme-declined")
    assert ended.outcome == "failed"
    assert "incomplete_expired" in ended.message
    assert site.left() == []


def test_the_same_token_is_the_same_subscription(site: Site) -> None:
    content = b'{"customer": "acme", "plan": "basic", "metadata": {}}'
    headers = {"Authorization": f"Bearer {KEY}", "Idempotency-Key": "t", TRACE: "t"}
    request = Request("POST", "http://billing.test/v1/subscriptions", headers, content)
    answers = [site.billing.answer(request) for _ in range(2)]
    assert answers[0] == answers[1]
    assert len(site.billing.effects()) == 1


@pytest.mark.parametrize("owner", ["somebody else", KEY])
def test_a_bucket_that_is_there_is_never_taken_for_ours(site: Site, owner: str) -> None:
    site.objects.taken("acme-files", owner)
    site.objects.fault("lose-reply", "PUT", "/acme-archive")
    ended = site.provision()
    assert ended.outcome == "failed"
    assert site.left() == []
    assert site.objects.get("bucket", "acme-files") is not None


def test_a_bucket_with_objects_is_left_and_says_so(site: Site) -> None:
    customer = site.provision()
    headers = {"Authorization": f"Bearer {KEY}"}
    url = "http://objects.test/acme-archive/letter.txt"
    assert site.objects.answer(Request("PUT", url, headers, b"Dear")) is not None
    bad = [task for task in site.take_back(customer) if not task.went_well]
    assert site.left() == ["acme-archive"]
    assert [task.message for task in bad] == [
        "Bucket acme-archive has 1 objects by now, and is left. "
        "Move or delete them, then retry."
    ]


def test_a_record_that_was_changed_since_is_left(site: Site) -> None:
    customer = site.provision()
    (record,) = site.dns.effects()
    site.dns.stranger(record)
    assert all(task.went_well for task in site.take_back(customer))
    changed = site.dns.get("record", "acme")
    assert changed is not None
    assert changed["value"] == "elsewhere.test"
    assert site.left() == ["acme"]


#: Each word is one disturbance, of the calls and instants of a plan with one bucket.
FEW = (
    "undisturbed",
    "lose=1",
    "lose=3",
    "refuse=3",
    "finish=1",
    "cancel=20",
    "kill=40",
)


#: Its steps meet the same boundaries and commits: a few of each show what all show.
SHARE = 1 if "EARMARK_SOAK" in os.environ else 5


def verified(replay: str | None = None) -> bool:
    fakes = {"dns": FakeDns(), "objects": FakeObjects(), "billing": FakeBilling()}
    command = ProvisionCustomer(
        dns="dns", objects="objects", billing="billing", name="acme"
    )
    return verify(command, worlds=fakes, schedules=0, share=SHARE, replay=replay).ok


@pytest.mark.parametrize("disturbance", FEW)
def test_it_keeps_its_promise(disturbance: str) -> None:
    assert verified(disturbance)


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_it_keeps_its_promise_whatever_befalls_it() -> None:
    assert verified()
