"""What is EC2's alone: its codes, its SDK, and what surrounds that on a machine."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from earmark.domain.capabilities import (
    Consoles,
    Credentials,
    Images,
    InventorySource,
    Power,
    Templates,
    Tenants,
    VerifyCode,
)
from earmark.domain.connector import ProviderConfig, settings_of
from earmark.domain.deadline import Deadline
from earmark.domain.errors import BadInput, NotSent, Refused, Unsupported
from earmark.domain.inventory import PowerState
from earmark.providers.ec2 import CONNECTOR
from earmark.providers.ec2.calls import Clients
from earmark.providers.registry import load_connectors
from tests.peers.lab import eventually
from tests.peers.moto_server import REGION, Key, MotoProcess
from tests.providers.conftest import KINDS
from tests.providers.sites import Kind, Site
from tests.providers.wire import ClosedPort, WireServer, always, answering

pytestmark = pytest.mark.slow

EC2 = KINDS["ec2"]
TOKEN = "t"


def with_key(moto: MotoProcess, key: Key, region: str = REGION) -> Kind:
    """The connector to this peer, as the owner of a key."""
    return Kind(
        connector=CONNECTOR,
        settings={
            "region": region,
            "access_key_id": key.access_key_id,
            "endpoint_url": moto.url,
        },
        secrets={"secret_access_key": key.secret},
        address="endpoint_url",
        vm=EC2.vm,
    )


def error(status: int, code: str) -> bytes:
    """EC2's form of an error."""
    return answering(
        status,
        f"<Response><Errors><Error><Code>{code}</Code><Message>words</Message>"
        "</Error></Errors><RequestID>1</RequestID></Response>",
        "text/xml",
    )


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "IncorrectInstanceState"),
        (400, "InvalidInstanceID.NotFound"),
        (400, "InvalidInstanceID.Malformed"),
        (400, "OperationNotPermitted"),
        (400, "UnsupportedOperation"),
        (401, "AuthFailure"),
        (403, "UnauthorizedOperation"),
        (500, "InsufficientInstanceCapacity"),
        (503, "RequestLimitExceeded"),
    ],
)
def test_a_declared_code_is_a_definite_no(status: int, code: str) -> None:
    with always(error(status, code)) as server, pytest.raises(Refused) as caught:
        EC2.client(Power, server.url).power_on(EC2.vm, TOKEN)
    assert caught.value.code == code
    assert server.connections == 1


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (500, "InternalError"),
        (503, "Unavailable"),
        (503, "ServiceUnavailable"),
        (400, "SomethingNew"),
        (500, "IncorrectInstanceState"),
    ],
)
def test_any_other_code_is_doubt_and_is_not_tried_again(status: int, code: str) -> None:
    with always(error(status, code)) as server:
        with pytest.raises(Exception) as caught:  # noqa: PT011
            EC2.client(Power, server.url).power_on(EC2.vm, TOKEN)
        assert server.connections == 1
    assert not isinstance(caught.value, NotSent | Refused)


@pytest.mark.parametrize(
    "code",
    [
        "AuthFailure",
        "UnauthorizedOperation",
        "SignatureDoesNotMatch",
        "InvalidClientTokenId",
        "RequestExpired",
        "OptInRequired",
    ],
)
def test_codes_about_the_key_are_called_auth(code: str) -> None:
    with always(error(403, code)) as server:
        found = EC2.client(Credentials, server.url).verify()
    assert found.code is VerifyCode.AUTH
    assert code in found.detail


def test_a_key_that_may_do_nothing_is_told_which_permission_it_needs(
    moto: MotoProcess,
) -> None:
    site = with_key(moto, moto.powerless_key)
    found = site.client(Credentials).verify()
    assert found.code is VerifyCode.AUTH
    assert "ec2:DescribeInstances" in found.detail
    with pytest.raises(Refused):
        site.client(Power).power_off(EC2.vm, TOKEN)


def test_a_read_may_be_tried_again() -> None:
    def script(connection: Any) -> None:
        server.request(connection)
        connection.sendall(next(answers))

    answers: Iterator[bytes] = iter(
        [
            error(503, "Unavailable"),
            answering(
                200,
                "<DescribeInstancesResponse><reservationSet/>"
                "</DescribeInstancesResponse>",
                "text/xml",
            ),
        ]
    )
    with WireServer(script) as server:
        assert EC2.client(Credentials, server.url).verify().ok
    assert server.connections == 2


def test_a_read_gives_up_after_three_times() -> None:
    with always(error(503, "Unavailable")) as server:
        assert not EC2.client(Credentials, server.url).verify().ok
    assert server.connections == 3


def test_what_the_machine_knows_of_aws_is_not_used(
    moto: MotoProcess, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = tmp_path / ".aws" / "config"
    config.parent.mkdir()
    with ClosedPort() as nowhere:
        config.write_text(
            "[default]\nregion = mars-north-1\nca_bundle = /missing.pem\n"
            f"endpoint_url = {nowhere}\nuse_fips_endpoint = true\nmax_attempts = 9\n"
        )
        ambient = {
            "HOME": str(tmp_path),
            "AWS_CONFIG_FILE": str(config),
            "AWS_PROFILE": "nobody",
            "AWS_ACCESS_KEY_ID": "AKIAAMBIENTAMBIENT00",
            "AWS_SECRET_ACCESS_KEY": "ambient",
            "AWS_SESSION_TOKEN": "ambient",
            "AWS_DEFAULT_REGION": "mars-north-1",
            "AWS_ENDPOINT_URL": nowhere,
            "AWS_ENDPOINT_URL_EC2": nowhere,
            "AWS_CA_BUNDLE": "/missing.pem",
            "AWS_USE_FIPS_ENDPOINT": "true",
            "AWS_MAX_ATTEMPTS": "9",
            "AWS_RETRY_MODE": "legacy",
            "HTTP_PROXY": nowhere,
            "HTTPS_PROXY": nowhere,
        }
        for name, value in ambient.items():
            monkeypatch.setenv(name, value)
        key = moto.good_key
        found = Clients(REGION, key.access_key_id, key.secret, None)
        assert found.endpoint == f"https://ec2.{REGION}.amazonaws.com"
        site = with_key(moto, key)
        assert site.client(Credentials).verify().ok
        with always(error(503, "Unavailable")) as server:
            assert not site.client(Credentials, server.url).verify().ok
        assert server.connections == 3
    assert b"x-amz-security-token" not in bytes(server.received).lower()


def test_two_deadlines_share_a_session_without_mixing(ec2_site: Site) -> None:
    session = ec2_site.session()
    late = session.capability(Power, Deadline(-1))
    good = session.capability(Power, Deadline(30))
    with pytest.raises(NotSent):
        late.power_off(ec2_site.vm, TOKEN)
    assert good.vms([ec2_site.vm])[ec2_site.vm].power_state is PowerState.ON
    with pytest.raises(NotSent):
        late.vms([ec2_site.vm])


def test_a_terminated_instance_is_no_vm_and_cannot_be_stopped(
    ec2_site: Site, moto: MotoProcess
) -> None:
    moto.terminate(ec2_site.vm)
    listed = ec2_site.client(InventorySource).list_all().vms
    assert ec2_site.vm not in {vm.external_id for vm in listed}
    assert ec2_site.client(Power).vms([ec2_site.vm]) == {}
    with pytest.raises(Refused) as caught:
        ec2_site.client(Power).power_off(ec2_site.vm, TOKEN)
    assert caught.value.code == "IncorrectInstanceState"


def test_states_in_between_are_shown(ec2_site: Site, moto: MotoProcess) -> None:
    power = ec2_site.client(Power, seconds=60)
    seen = []

    def off() -> bool:
        seen.append(power.vms([ec2_site.vm])[ec2_site.vm].power_state)
        return seen[-1] is PowerState.OFF

    power.shutdown(ec2_site.vm, TOKEN)
    eventually(off, "the stop")
    assert seen[0] is PowerState.STOPPING
    assert moto.instances()[ec2_site.vm] == "stopped"


def test_an_instance_without_a_name_is_called_by_its_id(moto: MotoProcess) -> None:
    instance = moto.run_instance()
    site = with_key(moto, moto.good_key)
    names = {vm.name for vm in site.client(InventorySource).list_all().vms}
    assert instance in names


def test_a_region_without_instances_is_an_empty_listing(moto: MotoProcess) -> None:
    site = with_key(moto, moto.good_key, "eu-north-1")
    assert site.client(InventorySource).list_all().vms == ()


@pytest.mark.parametrize("capability", [Images, Templates, Tenants])
def test_images_templates_and_tenants_are_not_supported(capability: Any) -> None:
    with pytest.raises(Unsupported, match=capability.__name__):
        EC2.client(capability)


def test_a_console_is_refused_with_what_to_use_instead() -> None:
    with pytest.raises(Unsupported, match="has no screen") as refused:
        EC2.client(Consoles)
    assert "AWS console" in refused.value.hint


def test_without_boto3_it_is_listed_and_opening_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in list(sys.modules):
        if name.partition(".")[0] in ("boto3", "botocore"):
            monkeypatch.delitem(sys.modules, name)
        if name.startswith("earmark.providers.ec2"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "boto3", None)
    monkeypatch.setitem(sys.modules, "botocore", None)
    connector = load_connectors()["ec2"]
    assert connector.operations
    settings = settings_of(connector, EC2.settings)
    with pytest.raises(BadInput, match=r"pip install 'earmark\[ec2\]'"):
        connector.open(ProviderConfig(settings, EC2.secrets))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("region", "the moon"),
        ("region", "eu-central-1.evil.example/"),
        ("access_key_id", "short"),
        ("access_key_id", "AKIA EXAMPLE WITH SPACES"),
        ("endpoint_url", "ftp://127.0.0.1"),
        ("profile", "default"),
    ],
)
def test_settings_that_can_never_work_are_refused(name: str, value: str) -> None:
    with pytest.raises(ValidationError):
        settings_of(CONNECTOR, {**EC2.settings, name: value})
