from collections.abc import Iterator
from pathlib import Path

import pytest

from earmark.providers.ec2 import CONNECTOR as EC2
from earmark.providers.lab import CONNECTOR as LAB
from tests.peers.lab import LabProcess
from tests.peers.moto_server import REGION, UNKNOWN_KEY, MotoProcess
from tests.providers.sites import Kind, Site


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[LabProcess]:
    with LabProcess(
        tmp_path / "lab", copy_seconds=0.4, power_seconds=0.3, short_seconds=0.2
    ) as process:
        yield process


@pytest.fixture(scope="session")
def shared_moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MotoProcess]:
    """One for all tests: it takes seconds to start."""
    process = MotoProcess(tmp_path_factory.mktemp("moto"), seconds=0.3)
    with process:
        yield process


@pytest.fixture
def moto(shared_moto: MotoProcess) -> MotoProcess:
    """A server that runs, though the test before may have killed it."""
    if not shared_moto.running:
        shared_moto.start()
    return shared_moto


@pytest.fixture
def lab_site(lab: LabProcess) -> Site:
    return Site(
        connector=LAB,
        settings={"url": lab.url},
        secrets={"password": lab.auth[1]},
        address="url",
        vm=lab.vm("web01")["id"],
        vm_name="web01",
        disk_bytes=10 << 30,
        missing_vm="no-such-vm",
        asked_to_stop=lambda: len(lab.requests("vm.stop")),
        kill=lab.kill,
    )


@pytest.fixture
def ec2_site(moto: MotoProcess) -> Site:
    stopped_before = moto.received("StopInstances")
    return Site(
        connector=EC2,
        settings={
            "region": REGION,
            "access_key_id": moto.good_key.access_key_id,
            "endpoint_url": moto.url,
        },
        secrets={"secret_access_key": moto.good_key.secret},
        address="endpoint_url",
        vm=moto.run_instance("web01"),
        vm_name="web01",
        disk_bytes=8 << 30,
        missing_vm="i-0123456789abcdef0",
        asked_to_stop=lambda: moto.received("StopInstances") - stopped_before,
        kill=moto.kill,
    )


@pytest.fixture(params=["lab", "ec2"])
def site(request: pytest.FixtureRequest) -> Site:
    """Each connector in turn, with its peer."""
    found: Site = request.getfixturevalue(f"{request.param}_site")
    return found


KINDS = {
    "lab": Kind(
        connector=LAB,
        settings={"url": "http://127.0.0.1:9"},
        secrets={"password": "secret"},
        address="url",
        vm="vm-1",
    ),
    "ec2": Kind(
        connector=EC2,
        settings={"region": REGION, "access_key_id": UNKNOWN_KEY.access_key_id},
        secrets={"secret_access_key": UNKNOWN_KEY.secret},
        address="endpoint_url",
        vm="i-0123456789abcdef0",
    ),
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Each connector in turn, for tests that put something else in its peer's place."""
    return KINDS[request.param]
