"""What is the lab's alone: tasks, tokens, images and templates, and its faults."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from earmark.domain.capabilities import (
    Credentials,
    Images,
    InventorySource,
    Power,
    Templates,
    VerifyCode,
)
from earmark.domain.connector import EffectClass, settings_of
from earmark.domain.errors import BadInput, NotSent, Refused
from earmark.domain.outcome import Done, Failed, Running
from earmark.providers.lab import CONNECTOR
from tests.peers.lab import Json, LabProcess, eventually
from tests.providers.certificates import self_signed
from tests.providers.labs import end_of, site_of, token
from tests.providers.sites import Kind, Site


@pytest.fixture
def images(lab: LabProcess) -> Images:
    return site_of(lab).client(Images, seconds=60)


@pytest.fixture
def templates(lab: LabProcess) -> Templates:
    return site_of(lab).client(Templates, seconds=60)


@pytest.fixture
def source(lab: LabProcess) -> str:
    """The image of a VM's disk."""
    return str(lab.vm("web01")["disks"][0]["image"])


def image(lab: LabProcess, image_id: str) -> Json:
    listed = lab.call("GET", "/images").json()["images"]
    (found,) = [each for each in listed if each["id"] == image_id]
    made: Json = found
    return made


def test_creations_are_declared_as_deduplicated_by_token() -> None:
    for name in ("image.copy", "template.create"):
        assert CONNECTOR.operations[name].effect is EffectClass.TOKEN
        assert CONNECTOR.operations[name].token_life is None


def test_a_copy_runs_and_its_result_is_the_new_image(
    lab: LabProcess, images: Images, source: str
) -> None:
    mark = token()
    job = images.copy(source, "bulk", alias="copied", token=mark)
    first = images.jobs([job])[job]
    assert isinstance(first, Running)
    assert first.percent is not None
    end = end_of(images, job)
    assert isinstance(end, Done)
    made = image(lab, end.result)
    assert (made["alias"], made["domain"], made["token"]) == ("copied", "bulk", mark)


def test_the_same_token_is_the_same_copy(
    lab: LabProcess, images: Images, source: str
) -> None:
    mark = token()
    job = images.copy(source, "bulk", alias="copied", token=mark)
    assert images.copy(source, "bulk", alias="copied", token=mark) == job
    end_of(images, job)
    assert images.copy(source, "bulk", alias="copied", token=mark) == job
    assert len(lab.effects("image.copy", mark)) == 1


def test_a_token_that_was_used_for_another_copy_is_refused(
    images: Images, source: str
) -> None:
    mark = token()
    images.copy(source, "bulk", alias="one", token=mark)
    with pytest.raises(Refused) as caught:
        images.copy(source, "bulk", alias="two", token=mark)
    assert caught.value.code == "token-mismatch"


def test_what_the_lab_does_not_know_is_missing_not_failed(
    lab: LabProcess, images: Images, source: str
) -> None:
    job = images.copy(source, "bulk", alias="copied", token=token())
    lab.clear_ledger()
    many = [f"no-such-task-{number:04}" for number in range(250)]
    assert images.jobs([*many, job, "image:none"]).keys() == {job}
    asked = [row["path"] for row in lab.requests()]
    assert asked == ["/api/tasks"] * 3 + ["/api/images"]


def test_jobs_of_nothing_ask_nobody(lab: LabProcess, images: Images) -> None:
    lab.clear_ledger()
    assert images.jobs([]) == {}
    assert lab.requests() == []


def test_a_copy_is_found_by_its_token_while_it_runs_and_when_it_is_done(
    images: Images, source: str
) -> None:
    mark = token()
    assert images.find(mark) == []
    job = images.copy(source, "bulk", alias="copied", token=mark)
    (running,) = images.find(mark)
    assert (running.id, running.mark, running.done) == (job, mark, None)
    end = end_of(images, job)
    (done,) = images.find(mark)
    assert (done.id, done.mark, done.done) == (job, mark, end)


def test_an_image_is_found_when_its_task_is_forgotten(
    lab: LabProcess, images: Images, source: str
) -> None:
    mark = token()
    lab.fault("forget-task", "image.copy")
    job = images.copy(source, "bulk", alias="copied", token=mark)
    assert images.jobs([job]) == {}
    (found,) = eventually(lambda: images.find(mark), "the image")
    assert found.mark == mark
    assert isinstance(found.done, Done)
    assert found.id == f"image:{found.done.result}"
    assert images.jobs([found.id]) == {found.id: Done(found.done.result)}
    assert image(lab, found.done.result)["token"] == mark
    images.cancel(found.id)


def test_half_an_image_is_found_when_its_task_is_forgotten(
    lab: LabProcess, images: Images, source: str
) -> None:
    """It takes its place, and is to be taken back: so it is the end of a job, a bad
    one."""
    mark = token()
    lab.fault("forget-task", "image.copy")
    lab.fault("fail-task", "image.copy")
    images.copy(source, "bulk", alias="copied", token=mark)
    (found,) = eventually(lambda: images.find(mark), "the half")
    assert found.mark == mark
    assert isinstance(found.done, Failed)
    assert found.done.code == "task-failed"
    assert image(lab, found.id.removeprefix("image:"))["legality"] == "illegal"
    assert images.jobs([found.id]) == {found.id: found.done}
    assert images.find_many([mark]) == {mark: [found]}


def test_a_whole_image_comes_before_a_half_one(
    lab: LabProcess, images: Images, source: str
) -> None:
    mark = token()
    for fault in ("forget-task", "fail-task"):
        lab.fault(fault, "image.copy")
    images.copy(source, "bulk", alias="copied", token=mark)
    eventually(lambda: images.find(mark), "the half")
    for fault in ("forget-task", "ignore-tokens"):
        lab.fault(fault, "image.copy")
    images.copy(source, "bulk", alias="copied", token=mark)
    eventually(lambda: len(images.find(mark)) == 2, "the whole one")
    whole, half = images.find(mark)
    assert (type(whole.done), type(half.done)) == (Done, Failed)


def test_a_cleared_task_leaves_the_image_as_the_handle(
    lab: LabProcess, images: Images, source: str
) -> None:
    mark = token()
    job = images.copy(source, "bulk", alias="copied", token=mark)
    end = end_of(images, job)
    assert isinstance(end, Done)
    lab.call("POST", f"/tasks/{job}/clear").raise_for_status()
    assert [found.id for found in images.find(mark)] == [f"image:{end.result}"]


def test_everything_that_a_lying_lab_doubled_is_found(
    lab: LabProcess, images: Images, source: str
) -> None:
    mark = token()
    images.copy(source, "bulk", alias="copied", token=mark)
    lab.fault("ignore-tokens", "image.copy")
    images.copy(source, "bulk", alias="copied", token=mark)
    assert len({found.id for found in images.find(mark)}) == 2


def test_a_copy_that_fails_says_why(
    lab: LabProcess, images: Images, source: str
) -> None:
    lab.fault("fail-task", "image.copy")
    end = end_of(images, images.copy(source, "bulk", alias="copied", token=token()))
    assert isinstance(end, Failed)
    assert "no space" in end.message
    assert end.code == "task-failed"


def test_a_copy_can_be_cancelled_and_asking_again_is_harmless(
    tmp_path: Path,
) -> None:
    with LabProcess(tmp_path / "lab", copy_seconds=60) as lab:
        images = site_of(lab).client(Images)
        source = lab.vm("web01")["disks"][0]["image"]
        job = images.copy(source, "bulk", alias="copied", token=token())
        images.cancel(job)
        images.cancel(job)
        # While it aborts it still goes on: not failed yet.
        assert isinstance(images.jobs([job])[job], Running)
        end = end_of(images, job)
        assert isinstance(end, Failed)
        assert end.code == "task-aborted"
        images.cancel(job)
        images.cancel("no-such-task")


def test_a_template_is_made_of_copies(
    lab: LabProcess, images: Images, templates: Templates, source: str
) -> None:
    copy = end_of(images, images.copy(source, "bulk", alias="copied", token=token()))
    assert isinstance(copy, Done)
    mark = token()
    vm = lab.vm("web01")["id"]
    job = templates.create("golden", vm, [copy.result], mark)
    assert templates.create("golden", vm, [copy.result], mark) == job
    end = end_of(templates, job)
    assert isinstance(end, Done)
    (listed,) = site_of(lab).client(InventorySource).list_all().templates
    assert (listed.external_id, listed.name) == (end.result, "golden")
    assert listed.images == (copy.result,)
    (found,) = templates.find(mark)
    assert (found.id, found.done) == (job, end)
    with pytest.raises(Refused) as caught:
        templates.create("golden", vm, [copy.result], token())
    assert caught.value.code == "name-taken"
    lab.call("POST", f"/tasks/{job}/clear").raise_for_status()
    (found,) = templates.find(mark)
    assert found.id == f"template:{end.result}"
    assert templates.jobs([found.id]) == {found.id: Done(end.result)}


def test_images_and_templates_do_not_find_each_others(
    lab: LabProcess, images: Images, templates: Templates, source: str
) -> None:
    mark = token()
    images.copy(source, "bulk", alias="copied", token=mark)
    assert templates.find(mark) == []


@pytest.mark.parametrize(
    ("fault", "code"), [("throttle", "throttled"), ("refuse", "refused")]
)
def test_what_the_lab_declares_to_be_nothing_done_is_refused(
    lab: LabProcess, images: Images, source: str, fault: str, code: str
) -> None:
    lab.fault(fault, "image.copy")
    mark = token()
    with pytest.raises(Refused) as caught:
        images.copy(source, "bulk", alias="copied", token=mark)
    assert caught.value.code == code
    assert images.find(mark) == []


@pytest.mark.parametrize(
    ("fault", "happens"),
    [
        ("lose-reply", True),
        ("commit-then-500", True),
        ("late-landing", True),
        ("hang-after-commit", True),
        ("error-500", False),
        ("hang", False),
    ],
)
def test_what_leaves_open_whether_it_happened_is_doubt(
    lab: LabProcess, source: str, fault: str, happens: bool
) -> None:
    lab.fault(fault, "image.copy", seconds=0.3)
    mark = token()
    hasty = site_of(lab).client(Images, seconds=5)
    with pytest.raises(Exception) as caught:  # noqa: PT011
        hasty.copy(source, "bulk", alias="copied", token=mark)
    assert not isinstance(caught.value, NotSent | Refused)
    assert len(lab.requests("image.copy", mark)) == 1
    images = site_of(lab).client(Images, seconds=60)
    if happens:
        eventually(lambda: images.find(mark), "the copy that was in doubt")
    else:
        assert images.find(mark) == []


def test_power_of_many_vms_is_one_request(lab: LabProcess) -> None:
    power = site_of(lab).client(Power)
    ids = [lab.vm(name)["id"] for name in ("web01", "db01", "build01")]
    lab.clear_ledger()
    assert power.vms(ids).keys() == set(ids)
    assert len(lab.requests()) == 1


def test_a_start_during_a_stop_is_refused(tmp_path: Path) -> None:
    with LabProcess(tmp_path / "lab", power_seconds=60) as lab:
        site = site_of(lab)
        site.client(Power).power_off(site.vm, token())
        with pytest.raises(Refused) as caught:
            site.client(Power).power_on(site.vm, token())
    assert caught.value.code == "wrong-state"


def test_the_token_of_a_power_call_reaches_the_ledger(
    lab_site: Site, lab: LabProcess
) -> None:
    mark = token()
    lab_site.client(Power).power_off(lab_site.vm, mark)
    assert len(lab.requests("vm.stop", mark)) == 1


def test_an_id_with_odd_characters_stays_one_part_of_the_path(lab: LabProcess) -> None:
    with pytest.raises(Refused) as caught:
        site_of(lab).client(Power).power_off("../tasks?x#y", token())
    assert caught.value.code == "not-found"
    # The lab saw one segment, decoded; no other operation was reached.
    assert lab.effects() == []


def test_a_lab_with_a_certificate_of_its_own(tmp_path: Path) -> None:
    pem = self_signed(tmp_path / "it.pem")
    with LabProcess(tmp_path / "lab", certfile=pem) as lab:
        kind = Kind(
            connector=CONNECTOR,
            settings={"url": lab.url},
            secrets={"password": lab.auth[1]},
            address="url",
            vm="vm",
        )
        untrusted = kind.client(Credentials).verify()
        assert untrusted.code is VerifyCode.TLS
        assert "authority" in untrusted.detail
        settings = {"url": lab.url, "ca_file": str(pem)}
        trusting = Kind(**{**vars(kind), "settings": settings})
        assert trusting.client(Credentials).verify().ok


def test_http_to_a_tls_port_is_called_refused_and_says_https(tmp_path: Path) -> None:
    pem = self_signed(tmp_path / "it.pem")
    with LabProcess(tmp_path / "lab", certfile=pem) as lab:
        site = Kind(
            connector=CONNECTOR,
            settings={"url": lab.url.replace("https:", "http:")},
            secrets={"password": lab.auth[1]},
            address="url",
            vm="vm",
        )
        found = site.client(Credentials).verify()
    assert found.code is VerifyCode.REFUSED
    assert "https://" in found.detail


def test_a_password_may_have_any_characters(tmp_path: Path) -> None:
    password = "pässwörd: with/every%thing\u2603"
    with LabProcess(tmp_path / "lab", password=password) as lab:
        assert site_of(lab).client(Credentials).verify().ok


@pytest.mark.parametrize(
    "url",
    [
        "lab.example",
        "ftp://lab.example",
        "http://",
        "http://operator:secret@lab.example",
        "http://lab.example:99999",
        "http://lab.example/?x=1",
        "http://lab.example/#part",
        "http://[::1",
    ],
)
def test_a_url_that_can_never_work_is_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        settings_of(CONNECTOR, {"url": url})


def test_a_refused_url_does_not_show_the_secret_in_it() -> None:
    with pytest.raises(ValidationError) as caught:
        settings_of(CONNECTOR, {"url": "http://operator:hunter2@lab.example"})
    reasons = [error["msg"] for error in caught.value.errors()]
    assert "hunter2" not in "".join(reasons)


@pytest.mark.parametrize("username", ["", "a:b", "line\nbreak"])
def test_a_user_name_that_basic_authentication_cannot_carry_is_refused(
    username: str,
) -> None:
    with pytest.raises(ValidationError):
        settings_of(CONNECTOR, {"url": "http://lab.example", "username": username})


def test_a_ca_file_that_is_missing_is_bad_input(
    lab: LabProcess, tmp_path: Path
) -> None:
    with pytest.raises(BadInput) as caught:
        site_of(lab, ca_file=str(tmp_path / "missing.pem")).session()
    assert caught.value.fields.keys() == {"ca_file"}
