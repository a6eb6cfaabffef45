"""Enqueue: one transaction, or nothing; a repeated request is one task (rule 20)."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from pydantic import Field

from earmark.commands import PowerOff, VerifyCredentials
from earmark.domain.errors import BadInput, KeyReused, UnknownName
from earmark.domain.inventory import Listing, ObservedVm, PowerState
from earmark.domain.refs import VmRef
from earmark.domain.secret import Secret
from earmark.engine import describe
from earmark.inventory.observe import apply_listing
from earmark.store import inventory, secrets
from earmark.store.database import Transaction
from earmark.store.schema import secrets as secret_table
from tests.engine.world import Make, Stage


def test_a_reference_to_nothing_writes_nothing(stage: Stage) -> None:
    for command in (PowerOff(vm="nowhere"), Make(provider="nobody", what="a")):
        with pytest.raises(UnknownName):
            stage.ask(command)
    assert stage.tasks() == []


def test_names_become_ids_and_the_title_has_names(stage: Stage) -> None:
    task = stage.ask(Make(provider="scripted", what="a"))
    assert (task.params["provider"], task.provider_id) == ("p-1", "p-1")
    assert (task.title, task.owner, task.zone) == ("Make a", "local", "default")


def test_what_the_provider_cannot_do_is_said_at_once(stage: Stage) -> None:
    class Impossible(Make):
        title = "No"
        operation = "vm.fly"

    stage.engine.commands.register(Impossible)
    with pytest.raises(UnknownName, match=r"cannot do vm\.fly"):
        stage.ask(Impossible(provider="scripted", what="a"))
    assert stage.tasks() == []


def test_the_same_key_is_the_same_task(stage: Stage) -> None:
    command = Make(provider="scripted", what="a")
    first = stage.ask(command, key="k")
    assert stage.ask(command, key="k") == first
    with pytest.raises(KeyReused):
        stage.ask(Make(provider="scripted", what="b"), key="k")
    assert len(stage.tasks()) == 1


def test_the_same_key_at_the_same_time_is_one_task(stage: Stage) -> None:
    command = Make(provider="scripted", what="a")
    with ThreadPoolExecutor(8) as pool:
        asked = list(pool.map(lambda _: stage.ask(command, key="k"), range(16)))
    assert len({task.id for task in asked}) == 1
    assert len(stage.tasks()) == 1


def test_a_secret_is_sealed_and_goes_with_its_task(stage: Stage) -> None:
    clear = "correct horse battery staple"
    task = stage.ask(
        VerifyCredentials(
            name="x",
            kind="lab",
            settings={"url": "http://127.0.0.1:9"},
            secrets={"password": Secret(clear)},
        )
    )
    (row,) = stage.engine.read(lambda tx: list(tx.execute(sa.select(secret_table))))
    assert task.params["secrets"] == {"password": {"$secret": row.id}}
    assert clear.encode() not in row.sealed
    assert stage.engine.reveal(row.id) == clear
    stage.work()
    ended = stage.task(task)
    assert (ended.outcome, ended.result["code"]) == ("warned", "refused")
    with pytest.raises(UnknownName):
        stage.engine.read(lambda tx: secrets.sealed(tx, row.id))


def test_bad_parameters_name_each_field() -> None:
    with pytest.raises(BadInput) as caught:
        describe.build(Make, {"what": 7, "colour": "red"})
    assert set(caught.value.fields) == {"provider", "what", "colour"}


def test_the_same_key_after_the_object_is_gone_is_still_the_same_task(
    stage: Stage,
) -> None:
    def vm(tx: Transaction, gone: bool) -> None:
        shown = (ObservedVm("vm-1", "web", PowerState.ON),) if not gone else ()
        apply_listing(tx, "p-1", Listing(shown), tx.now)

    class PokeWeb(Make):
        """Names a VM."""

        title = "Poke {vm}"
        vm: VmRef

    stage.engine.commands.register(PokeWeb)
    command = PokeWeb(provider="scripted", what="a", vm="web")
    stage.engine.write(lambda tx: vm(tx, gone=False))
    first = stage.ask(command, key="k")
    stage.engine.write(lambda tx: vm(tx, gone=True))
    assert stage.ask(command, key="k").id == first.id
    with pytest.raises(UnknownName):
        stage.ask(command, key="another")


class PokeMany(Make):
    """Names several VMs, and one perhaps."""

    title = "Poke {vms}"
    vms: tuple[VmRef, ...] = ()
    more: list[VmRef] = Field(default_factory=list)


def test_names_in_a_list_become_ids_and_the_title_has_the_first_few(
    stage: Stage,
) -> None:
    def five(tx: Transaction) -> None:
        names = [f"web{number}" for number in range(5)]
        shown = tuple(ObservedVm(f"x-{n}", n, PowerState.ON) for n in names)
        apply_listing(tx, "p-1", Listing(shown), tx.now)

    stage.engine.commands.register(PokeMany)
    stage.engine.write(five)
    ids = [
        stage.engine.read(lambda tx, n=n: inventory.vm(tx, f"web{n}").id)  # type: ignore[misc]
        for n in range(5)
    ]
    named = ("web0", ids[1], "scripted/web2", "web3", "web4")
    task = stage.ask(PokeMany(provider="scripted", what="a", vms=named, more=["web4"]))
    assert (task.params["vms"], task.params["more"]) == (ids, ids[4:])
    assert task.title == "Poke web0, web1, web2 and 2 more"
    none = stage.ask(PokeMany(provider="scripted", what="a"))
    assert (none.params["vms"], none.title) == ([], "Poke ")


@pytest.mark.parametrize("field", ["vms", "more"])
def test_an_unknown_name_in_a_list_is_said_and_writes_nothing(
    stage: Stage, field: str
) -> None:
    stage.engine.commands.register(PokeMany)
    command = describe.build(
        PokeMany, {"provider": "scripted", "what": "a", field: ["nowhere"]}
    )
    with pytest.raises(UnknownName, match="no VM 'nowhere'"):
        stage.ask(command)
    assert stage.tasks() == []
