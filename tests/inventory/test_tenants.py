"""Tenants come and go like everything that is listed, and what we made ourselves is not
taken back by a listing from before (rule 18)."""

from datetime import timedelta

from earmark.domain.inventory import ObservedTenant
from tests.inventory.shown import Shown, at


def tenant(name: str = "blue", description: str = "") -> ObservedTenant:
    return ObservedTenant("n-1", name, description)


def shows(shown: Shown) -> list[tuple[str, str]]:
    return [(it.name, it.description) for it in shown.tenants()]


def test_a_tenant_is_listed_renamed_gone_and_back(shown: Shown) -> None:
    shown.listing(at(0), tenants=(tenant(),))
    (first,) = shown.tenants()
    shown.listing(at(10), tenants=(tenant("red", "for two"),))
    assert shows(shown) == [("red", "for two")]
    shown.listing(at(20))
    assert shown.tenants() == []
    shown.listing(at(15), tenants=(tenant(),))
    assert shown.tenants() == []
    shown.listing(at(30), tenants=(tenant(),))
    (back,) = shown.tenants()
    assert (back.id, back.name) == (first.id, "blue")


def test_another_description_alone_is_a_change(shown: Shown) -> None:
    shown.listing(at(0), tenants=(tenant(),))
    shown.listing(at(10), tenants=(tenant(description="new"),))
    assert shows(shown) == [("blue", "new")]
    shown.listing(at(9), tenants=(tenant(description="old"),))
    assert shows(shown) == [("blue", "new")]


def test_a_tenant_of_ours_is_not_gone_within_the_lag(shown: Shown) -> None:
    shown.engine.write(shown.made_tenant("mine"))
    now = shown.engine.read(lambda tx: tx.now)
    shown.listing(now + timedelta(seconds=5), lag=30)
    assert shows(shown) == [("mine", "ours")]
    shown.listing(now + timedelta(seconds=60), lag=30)
    assert shown.tenants() == []


def test_a_finished_tenant_that_a_refresh_has_just_listed_is_one(shown: Shown) -> None:
    listed = shown.applied(at(10), tenants=(tenant("listed"),))
    ours = shown.overtaken(listed, shown.made_tenant("mine"))
    (only,) = shown.tenants()
    assert (only.id, only.name) == (ours.id, "mine")


def test_a_refresh_that_lists_what_was_just_finished(shown: Shown) -> None:
    listed = shown.applied(at(10), tenants=(tenant("listed"),))
    shown.overtaken(shown.made_tenant("mine"), listed)
    assert shows(shown) == [("mine", "ours")]


def test_a_name_is_known_at_its_provider_while_the_tenant_is_there(
    shown: Shown,
) -> None:
    seen: list[bool] = []

    def ask(name: str) -> None:
        shown.changed(lambda tx: seen.append(bool(tx.tenant_named("house", name))))

    shown.listing(at(0), tenants=(tenant(),))
    ask("blue")
    ask("Blue")
    shown.listing(at(10))
    ask("blue")
    assert seen == [True, False, False]
