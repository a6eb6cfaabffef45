"""What every connector must keep, whatever it speaks to."""

import pytest

from earmark.domain.capabilities import (
    Credentials,
    InventorySource,
    Power,
    VerifyCode,
)
from earmark.domain.connector import EffectClass
from earmark.domain.deadline import Deadline
from earmark.domain.errors import BadInput, NotSent, ProviderError, Refused, Unsupported
from earmark.domain.inventory import PowerState
from earmark.providers.registry import load_connectors
from tests.peers.lab import eventually
from tests.providers.sites import Kind, Site
from tests.providers.wire import (
    ClosedPort,
    WireServer,
    always,
    answering,
    cutting,
    plain_only,
    silent,
)

pytestmark = pytest.mark.slow

TOKEN = "0198c0de-0000-7000-8000-000000000001"


def verified(
    kind: Kind, url: str | None = None, seconds: float = 10
) -> tuple[VerifyCode, str]:
    found = kind.client(Credentials, url, seconds).verify()
    assert "\n" not in found.detail
    return found.code, found.detail


def test_it_is_found_under_its_kind(kind: Kind) -> None:
    assert load_connectors()[kind.connector.kind] is kind.connector


def test_every_operation_says_where_its_class_is_promised(kind: Kind) -> None:
    for name, operation in kind.connector.operations.items():
        assert operation.name == name
        assert operation.source
    power = {"vm.power_on", "vm.power_off", "vm.shutdown"}
    assert power <= kind.connector.operations.keys()
    for name in power:
        assert kind.connector.operations[name].effect is EffectClass.ABSOLUTE


def test_good_credentials_are_verified(site: Site) -> None:
    code, detail = verified(site)
    assert code is VerifyCode.OK, detail


def test_a_wrong_secret_is_told_from_everything_else(site: Site) -> None:
    wrong = dict.fromkeys(site.secrets, "x" * 40)
    session = site.session(secrets=wrong)
    found = session.capability(Credentials, Deadline(10)).verify()
    assert found.code is VerifyCode.AUTH, found.detail


def test_a_missing_secret_is_refused_at_opening(kind: Kind) -> None:
    with pytest.raises(BadInput) as caught:
        kind.session(secrets={})
    assert caught.value.fields.keys() == kind.connector.secrets.keys()


def test_a_closed_port_is_called_refused(kind: Kind) -> None:
    with ClosedPort() as url:
        code, detail = verified(kind, url)
    assert code is VerifyCode.REFUSED, detail
    assert url.removeprefix("http://") in detail


def test_an_unknown_host_is_called_a_name_that_does_not_resolve(kind: Kind) -> None:
    code, detail = verified(kind, "https://nonexistent.invalid")
    assert code is VerifyCode.DNS, detail
    assert "nonexistent.invalid" in detail


def test_https_to_a_plain_port_is_called_tls(kind: Kind) -> None:
    with plain_only() as server:
        code, detail = verified(kind, server.url.replace("http:", "https:"))
    assert code is VerifyCode.TLS, detail


def test_a_server_that_hangs_is_called_a_timeout(kind: Kind) -> None:
    with silent() as server:
        code, detail = verified(kind, server.url, seconds=0.3)
    assert code is VerifyCode.TIMEOUT, detail


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(answering(200, "<h1>It works!</h1>", "text/html"), id="page"),
        pytest.param(answering(404, "nothing here"), id="not found"),
        pytest.param(answering(502, "<html>bad gateway", "text/html"), id="gateway"),
        pytest.param(answering(302, ""), id="redirect"),
        pytest.param(answering(200, '{"product": "a fridge"}'), id="other product"),
        pytest.param(b"SSH-2.0-OpenSSH_9.9\r\n", id="no HTTP"),
    ],
)
def test_whatever_else_answers_is_called_refused(kind: Kind, answer: bytes) -> None:
    with always(answer) as server:
        code, detail = verified(kind, server.url)
    assert code is VerifyCode.REFUSED, detail


def test_the_inventory_shows_the_vm_and_its_disk(site: Site) -> None:
    vms = {vm.external_id: vm for vm in site.client(InventorySource).list_all().vms}
    vm = vms[site.vm]
    assert (vm.name, vm.power_state) == (site.vm_name, PowerState.ON)
    assert vm.disks is not None
    (disk,) = vm.disks
    assert disk.size_bytes == site.disk_bytes
    assert all((disk.external_id, disk.alias, disk.image, disk.domain))


def test_a_vm_is_turned_off_and_on_and_asking_twice_is_harmless(site: Site) -> None:
    power = site.client(Power, seconds=60)

    def reached(target: PowerState) -> bool:
        seen = power.vms([site.vm]).get(site.vm)
        return seen is not None and seen.power_state is target

    assert power.power_off(site.vm, TOKEN) == site.vm
    assert power.power_off(site.vm, TOKEN) == site.vm
    eventually(lambda: reached(PowerState.OFF), "off")
    assert power.power_off(site.vm, TOKEN) == site.vm
    assert power.power_on(site.vm, TOKEN) == site.vm
    assert power.power_on(site.vm, TOKEN) == site.vm
    eventually(lambda: reached(PowerState.ON), "on")
    assert power.shutdown(site.vm, TOKEN) == site.vm
    eventually(lambda: reached(PowerState.OFF), "shut down")


def test_power_and_inventory_show_the_same_vm(site: Site) -> None:
    (listed,) = [
        vm
        for vm in site.client(InventorySource).list_all().vms
        if vm.external_id == site.vm
    ]
    assert site.client(Power).vms([site.vm]) == {site.vm: listed}


def test_vms_that_do_not_exist_are_missing(site: Site) -> None:
    power = site.client(Power)
    assert power.vms([site.missing_vm, site.vm]).keys() == {site.vm}
    assert power.vms([]) == {}


def test_a_vm_that_does_not_exist_is_refused(site: Site) -> None:
    with pytest.raises(Refused) as caught:
        site.client(Power).power_on(site.missing_vm, TOKEN)
    assert caught.value.code
    assert "\n" not in str(caught.value)


def test_a_wrong_secret_is_a_refusal_to_a_change(site: Site) -> None:
    session = site.session(secrets=dict.fromkeys(site.secrets, "x" * 40))
    with pytest.raises(Refused):
        session.capability(Power, Deadline(10)).power_off(site.vm, TOKEN)


def test_a_deadline_that_has_passed_sends_nothing(site: Site) -> None:
    with pytest.raises(NotSent):
        site.client(Power, seconds=-1).power_off(site.vm, TOKEN)
    assert site.asked_to_stop() == 0


def test_one_call_is_one_request(site: Site) -> None:
    site.client(Power).power_off(site.vm, TOKEN)
    assert site.asked_to_stop() == 1


def test_a_provider_that_is_gone_was_sent_nothing(site: Site) -> None:
    power = site.client(Power)
    site.kill()
    with pytest.raises(NotSent):
        power.power_off(site.vm, TOKEN)


IN_DOUBT = [
    pytest.param(answering(500, ""), id="500"),
    pytest.param(answering(503, "busy"), id="503"),
    pytest.param(answering(504, "<html>gateway timeout", "text/html"), id="gateway"),
    pytest.param(answering(403, "<html>proxy says no", "text/html"), id="proxy"),
    pytest.param(answering(429, "slow down"), id="throttled by somebody else"),
    pytest.param(answering(307, ""), id="redirect"),
    pytest.param(answering(200, "<p>Please log in</p>", "text/html"), id="portal"),
    pytest.param(b"HTTP/1.1 202 Accepted\r\nContent-Length: 99\r\n\r\n{", id="torn"),
    pytest.param(b"", id="cut"),
]


@pytest.mark.parametrize("answer", IN_DOUBT)
def test_an_answer_that_no_document_declares_is_doubt(
    kind: Kind, answer: bytes
) -> None:
    with always(answer) as server, pytest.raises(Exception) as caught:  # noqa: PT011
        kind.client(Power, server.url).power_off(kind.vm, TOKEN)
    assert not isinstance(caught.value, NotSent | Refused), caught.value
    assert server.connections == 1, "a changing call is sent once"


def test_a_lost_reply_is_doubt_and_nothing_is_sent_again(kind: Kind) -> None:
    with cutting() as server, pytest.raises(Exception) as caught:  # noqa: PT011
        kind.client(Power, server.url).power_off(kind.vm, TOKEN)
    assert not isinstance(caught.value, NotSent | Refused), caught.value
    assert server.connections == 1


def test_a_change_waits_no_longer_than_its_deadline(kind: Kind) -> None:
    with silent() as server, pytest.raises(Exception) as caught:  # noqa: PT011
        kind.client(Power, server.url, seconds=0.3).power_off(kind.vm, TOKEN)
    assert not isinstance(caught.value, NotSent | Refused), caught.value
    assert server.connections == 1


def test_a_page_in_the_providers_place_is_no_empty_inventory(kind: Kind) -> None:
    page = answering(200, "<p>Please log in</p>", "text/html")
    with always(page) as server, pytest.raises(ProviderError):
        kind.client(InventorySource, server.url).list_all()
    with always(page) as server, pytest.raises(ProviderError):
        kind.client(Power, server.url).vms([kind.vm])


def test_opening_a_session_asks_nobody(kind: Kind) -> None:
    with silent() as server:
        kind.session(server.url).close()
    assert server.connections == 0


def test_what_it_cannot_do_is_said_in_one_line(kind: Kind) -> None:
    with pytest.raises(Unsupported, match="WireServer"):
        kind.client(WireServer)
