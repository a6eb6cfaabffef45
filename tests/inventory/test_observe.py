"""Rule 18: an observation carries the time its fetch began. An older one never wins,
nor does a listing within the provider's lag after a write of our own."""

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from earmark.domain.inventory import ObservedTemplate, ObservedVm
from earmark.inventory.observe import observe_vm
from earmark.store import inventory
from earmark.store.database import Transaction
from tests.inventory.shown import OFF, ON, Shown, Work, at, disk, seen


def template(name: str = "gold", external_id: str = "t-1") -> ObservedTemplate:
    return ObservedTemplate(external_id, name, ("i",))


def test_an_older_observation_never_wins(shown: Shown) -> None:
    assert shown.observe(seen(state=OFF), at(10))
    assert not shown.observe(seen(state=ON), at(9))
    assert not shown.observe(seen(state=ON), at(10))
    assert (shown.vm.power_state, shown.vm.observed_at) == (OFF, at(10))


def test_an_older_listing_never_wins(shown: Shown) -> None:
    shown.listing(at(10), seen(state=OFF))
    changes = shown.listing(at(9), seen("old", ON))
    assert (changes.skipped, changes.changed) == (1, 0)
    assert (shown.vm.name, shown.vm.power_state) == ("web", OFF)


def test_an_older_listing_takes_nothing_away(shown: Shown) -> None:
    shown.listing(at(10), seen())
    assert shown.listing(at(9)).gone == 0
    assert shown.vm.name == "web"


def test_a_newer_one_wins(shown: Shown) -> None:
    shown.listing(at(10), seen(state=OFF))
    assert shown.listing(at(11), seen(state=ON)).changed == 1
    assert shown.observe(seen(state=OFF), at(12))
    assert (shown.vm.power_state, shown.vm.observed_at) == (OFF, at(12))


def test_seen_again_unchanged_counts_as_seen(shown: Shown) -> None:
    shown.listing(at(10), seen(disks=(disk("a"),)))
    changes = shown.listing(at(20), seen(disks=(disk("a"),)))
    assert str(changes) == "nothing new"
    assert shown.vm.observed_at == at(20)
    assert not shown.observe(seen(state=OFF), at(15))


@pytest.mark.parametrize("by", ["observation", "listing"])
def test_a_newer_one_that_commits_in_between_stands(shown: Shown, by: str) -> None:
    """The older one had read before the newer one was there to be read."""
    shown.listing(at(0), seen(state=ON))
    newer = shown.applied(at(20), seen("renamed", OFF))

    def older(tx: Transaction) -> object:
        if by == "listing":
            return shown.applied(at(10), seen(state=ON))(tx)
        return observe_vm(tx, "p-1", seen(state=ON), at(10))

    shown.overtaken(newer, older)
    assert (shown.vm.name, shown.vm.power_state) == ("renamed", OFF)
    assert shown.vm.observed_at == at(20)


def test_first_seen_by_two_at_once(shown: Shown) -> None:
    newer = shown.applied(at(20), seen(state=OFF, disks=(disk("a"),)))
    older = shown.applied(at(10), seen(state=ON, disks=(disk("b"),)))
    changes = shown.overtaken(newer, older)
    assert (changes.new, changes.skipped) == (0, 1)
    assert [d.external_id for d in shown.vm.disks] == ["a"]
    assert shown.vm.power_state is OFF


def test_not_within_the_lag_after_a_command_of_ours(shown: Shown) -> None:
    now = shown.engine.read(lambda tx: tx.now)
    shown.observe(seen(state=OFF), now - timedelta(seconds=1))
    soon, late = now + timedelta(seconds=5), now + timedelta(seconds=60)
    assert shown.listing(soon, seen(state=ON), lag=30).skipped == 1
    assert shown.listing(soon, lag=30).gone == 0
    assert shown.vm.power_state is OFF
    assert shown.listing(late, seen(state=ON), lag=30).changed == 1
    assert shown.vm.power_state is ON


def test_gone_and_back_is_the_same_vm(shown: Shown) -> None:
    shown.listing(at(10), seen())
    identity = shown.vm.id
    assert shown.listing(at(20)).gone == 1
    assert shown.vms() == []
    assert shown.listing(at(25)).gone == 0
    assert shown.listing(at(30), seen()).changed == 1
    assert shown.vm.id == identity


def test_what_was_seen_before_it_went_does_not_bring_it_back(shown: Shown) -> None:
    shown.listing(at(10), seen())
    shown.listing(at(30))
    assert not shown.observe(seen(), at(20))
    shown.listing(at(20), seen())
    assert shown.vms() == []


def test_renamed_is_the_same_vm(shown: Shown) -> None:
    shown.listing(at(10), seen("web"))
    identity = shown.vm.id
    assert shown.listing(at(20), seen("www")).changed == 1
    assert (shown.vm.id, shown.vm.name) == (identity, "www")


def test_replaced_disks_keep_their_ids(shown: Shown) -> None:
    shown.listing(at(10), seen(disks=(disk("a"), disk("b"))))
    before = {d.external_id: d.id for d in shown.vm.disks}
    assert shown.listing(at(20), seen(disks=(disk("c"), disk("b", 7)))).changed == 1
    after = {d.external_id: d.id for d in shown.vm.disks}
    assert [d.external_id for d in shown.vm.disks] == ["c", "b"]
    assert after["b"] == before["b"]
    assert after["c"] not in before.values()


def test_no_disks_is_not_disks_unlooked_at(shown: Shown) -> None:
    shown.listing(at(10), seen(disks=(disk("a"),)))
    shown.observe(seen(state=OFF, disks=None), at(20))
    assert [d.external_id for d in shown.vm.disks] == ["a"]
    assert shown.listing(at(10**9), seen(state=OFF, disks=())).changed == 1
    assert not shown.vm.disks


def test_a_template_within_the_lag_is_not_gone(shown: Shown) -> None:
    shown.engine.write(shown.made("gold"))
    now = shown.engine.read(lambda tx: tx.now)
    shown.listing(now + timedelta(seconds=5), lag=30)
    assert [t.name for t in shown.templates()] == ["gold"]
    shown.listing(now + timedelta(seconds=60), lag=30)
    assert shown.templates() == []


def test_an_older_listing_of_a_template_never_wins(shown: Shown) -> None:
    shown.listing(at(10), templates=(template("gold"),))
    shown.listing(at(9), templates=(template("old"),))
    shown.listing(at(8))
    assert [t.name for t in shown.templates()] == ["gold"]


def test_a_template_is_gone_and_back_and_renamed(shown: Shown) -> None:
    shown.listing(at(10), templates=(template(),))
    (before,) = shown.templates()
    shown.listing(at(20))
    shown.listing(at(15), templates=(template(),))
    assert shown.templates() == []
    shown.listing(at(30), templates=(template("golden"),))
    (after,) = shown.templates()
    assert (after.id, after.name) == (before.id, "golden")


def test_a_finished_template_that_a_refresh_has_just_listed(shown: Shown) -> None:
    listed = shown.applied(at(10), templates=(template("listed"),))
    ours = shown.overtaken(listed, shown.made("gold"))
    (only,) = shown.templates()
    assert (only.id, only.name, only.vm_id) == (ours.id, "gold", "vm-9")


def test_a_refresh_that_lists_what_was_just_finished(shown: Shown) -> None:
    listed = shown.applied(at(10), templates=(template("listed"),))
    shown.overtaken(shown.made("gold"), listed)
    (only,) = shown.templates()
    assert (only.name, only.vm_id) == ("gold", "vm-9")


def statements(shown: Shown, work: Work[Any]) -> int:
    """How many statements a transaction takes."""
    said: list[str] = []

    def note(_connection: object, _cursor: object, text: str, *_: object) -> None:
        said.append(text)

    engine = shown.engine.database.engine
    sa.event.listen(engine, "before_cursor_execute", note)
    shown.engine.write(work)
    sa.event.remove(engine, "before_cursor_execute", note)
    return len(said)


def test_a_refresh_takes_as_many_statements_for_many_vms(shown: Shown) -> None:
    def house(count: int) -> list[ObservedVm]:
        return [
            seen(disks=(disk(f"d{n}"),), external_id=f"vm-{n}") for n in range(count)
        ]

    counts = []
    for began, size in ((1, 3), (3, 30)):
        shown.listing(at(began), *house(size))
        again = shown.applied(at(began + 1), *house(size))
        counts.append(statements(shown, again))
    assert counts[0] == counts[1]
    assert {vm.observed_at for vm in shown.vms()} == {at(4)}


def test_one_vm_is_read_not_all(shown: Shown) -> None:
    shown.listing(at(1), *(seen(external_id=f"vm-{n}") for n in range(5)))

    def read(tx: Transaction) -> int:
        return len(inventory.lock_vms(tx, "p-1", ["vm-3"]))

    assert shown.engine.write(read) == 1
