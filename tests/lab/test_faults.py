"""Every way in which the lab can be told to misbehave."""

import contextlib
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from earmark.lab.faults import FAULTS
from tests.lab.copies import copied, copy, image_ids, lasted
from tests.peers.lab import LabProcess, eventually


def outcomes(lab: LabProcess, verb: str = "image.copy") -> list[tuple[str, int | None]]:
    return [(row["outcome"], row["status"]) for row in lab.requests(verb)]


def copy_is_cut(lab: LabProcess, token: str) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        copy(lab, token)


def test_lost_reply_has_its_effect(lab: LabProcess) -> None:
    lab.fault("lose-reply", "image.copy")
    copy_is_cut(lab, "t")
    assert outcomes(lab) == [("lost", None)]
    answer = copy(lab, "t")
    assert answer.status_code == 200
    lab.finished(answer.json()["task"])
    assert len(lab.effects("image.copy", "t")) == 1


def test_a_refusal_can_be_lost_too(lab: LabProcess) -> None:
    lab.fault("lose-reply", "image.copy")
    with pytest.raises(httpx.RemoteProtocolError):
        copy_nothing(lab)
    assert outcomes(lab) == [("lost", None)]


def test_commit_then_500(lab: LabProcess) -> None:
    lab.fault("commit-then-500", "image.copy")
    assert copy(lab, "t").status_code == 500
    assert outcomes(lab) == [("error500", 500)]
    assert copy(lab, "t").status_code == 200


def test_error_500_has_no_effect(lab: LabProcess) -> None:
    lab.fault("error-500", "image.copy")
    assert copy(lab, "t").status_code == 500
    assert copy(lab, "t").status_code == 202


def test_refuse_has_no_effect(lab: LabProcess) -> None:
    lab.fault("refuse", "image.copy")
    response = copy(lab, "t")
    assert (response.status_code, response.json()["code"]) == (409, "refused")
    assert outcomes(lab) == [("refused", 409)]
    assert copy(lab, "t").status_code == 202


def test_throttle_says_when_to_come_again(lab: LabProcess) -> None:
    lab.fault("throttle", "read", seconds=2.5)
    response = lab.call("GET", "/vms")
    assert (response.status_code, response.headers["retry-after"]) == (429, "3")
    assert lab.requests()[0]["outcome"] == "throttled"
    assert lab.call("GET", "/vms").status_code == 200


def test_slow_answers_in_the_end(lab: LabProcess) -> None:
    lab.fault("slow", "image.copy", seconds=0.4)
    begun = time.monotonic()
    assert copy(lab, "t").status_code == 202
    assert time.monotonic() - begun >= 0.4


def test_slow_request_lands_though_its_client_left(lab: LabProcess) -> None:
    lab.fault("slow", "vm.stop", seconds=1.5)
    vm = lab.vm("web01")["id"]
    with pytest.raises(httpx.ReadTimeout):
        lab.call("POST", f"/vms/{vm}/stop", timeout=0.1)
    assert lab.vm("web01")["power_state"] == "on"
    eventually(lambda: lab.effects("vm.stop"), "the late stop")


def test_hang_has_no_effect_and_blocks_nobody(lab: LabProcess) -> None:
    lab.fault("hang", "vm.stop")
    vm = lab.vm("web01")["id"]
    with ThreadPoolExecutor(1) as pool:
        hung = pool.submit(
            httpx.post,
            f"{lab.url}/api/vms/{vm}/stop",
            auth=lab.auth,
            timeout=3,
            trust_env=False,
        )
        eventually(lambda: outcomes(lab, "vm.stop") == [("hung", None)], "the hang")
        assert lab.call("GET", "/vms").status_code == 200
        assert not hung.done()
        assert isinstance(hung.exception(), httpx.ReadTimeout)
    assert lab.call("GET", "/tasks").json() == {"tasks": []}


def test_hang_ends_with_a_cut_when_its_time_is_up(lab: LabProcess) -> None:
    lab.fault("hang", "image.copy", seconds=0.2)
    copy_is_cut(lab, "t")
    assert outcomes(lab) == [("hung", None)]
    assert copy(lab, "t").status_code == 202


def test_hang_after_commit_has_its_effect(lab: LabProcess) -> None:
    lab.fault("hang-after-commit", "image.copy", seconds=0.1)
    copy_is_cut(lab, "t")
    assert outcomes(lab) == [("hung", None)]
    assert copy(lab, "t").status_code == 200


def test_late_landing_arrives_later(lab: LabProcess) -> None:
    lab.fault("late-landing", "image.copy", seconds=1)
    assert copy(lab, "t").status_code == 504
    assert outcomes(lab) == [("late", 504)]
    by_token = {"token": "t"}
    assert lab.call("GET", "/tasks", params=by_token).json() == {"tasks": []}
    (task,) = eventually(
        lambda: lab.call("GET", "/tasks", params=by_token).json()["tasks"], "arrival"
    )
    assert lab.finished(task["id"])["result"] == "ok"
    assert len(lab.effects("image.copy", "t")) == 1


def test_late_landing_meets_the_token_of_a_resend(lab: LabProcess) -> None:
    lab.fault("late-landing", "image.copy", seconds=0.3)
    copy(lab, "t")
    copied(lab, "t")
    # The copy lasted longer than the delay: the first request has arrived by now.
    assert len(lab.effects("image.copy")) == 1
    assert len(lab.call("GET", "/tasks").json()["tasks"]) == 1


def test_late_landing_is_refused_quietly(lab: LabProcess) -> None:
    lab.fault("late-landing", "image.copy", seconds=0.1)
    assert copy(lab, "t", domain="nowhere").status_code == 504
    copied(lab, "other")
    assert lab.call("GET", "/tasks", params={"token": "t"}).json() == {"tasks": []}


def test_list_lag_hides_what_is_new(lab: LabProcess) -> None:
    image = copied(lab, "t")
    lab.fault("list-lag", times=None, seconds=60)
    assert lab.call("GET", "/images").json() == {"images": []}
    assert lab.call("GET", "/tasks", params={"token": "t"}).json() == {"tasks": []}
    lab.clear_faults()
    assert image in image_ids(lab)


def test_forgotten_task_has_its_effect(lab: LabProcess) -> None:
    lab.fault("forget-task", "image.copy")
    task = copy(lab, "t").json()["task"]
    assert lab.call("GET", f"/tasks/{task}").status_code == 404
    assert lab.call("GET", "/tasks").json() == {"tasks": []}
    eventually(lambda: lab.effects("image.copy", "t"), "the effect")


def test_ignored_tokens_double_the_effect(lab: LabProcess) -> None:
    lab.fault("ignore-tokens", "image.copy", times=None)
    first, second = copy(lab, "t").json()["task"], copy(lab, "t").json()["task"]
    assert first != second
    lab.finished(first)
    lab.finished(second)
    assert len(lab.effects("image.copy", "t")) == 2
    images = lab.call("GET", "/images").json()["images"]
    assert [image["token"] for image in images].count("t") == 2


def test_failing_task_fails_half_way(lab: LabProcess) -> None:
    before = image_ids(lab)
    lab.fault("fail-task", "image.copy")
    response = copy(lab, "t")
    assert response.status_code == 202
    task = lab.finished(response.json()["task"])
    assert (task["result"], task["progress"]) == ("failed", 50)
    assert task["message"] == "simulated: no space left on domain"
    (half,) = [it for it in lab.call("GET", "/images").json()["images"] if it["token"]]
    assert (half["legality"], half["id"] in before) == ("illegal", False)
    assert lab.effects() == []


def test_half_way_is_half_the_time(tmp_path: Path) -> None:
    with LabProcess(tmp_path / "lab", copy_seconds=2) as lab:
        lab.fault("fail-task", "image.copy")
        task = lab.finished(copy(lab, "t").json()["task"])
        assert 1.0 <= lasted(task) < 1.8


def test_faults_that_bend_meet_a_request_with_one_that_decides(
    lab: LabProcess,
) -> None:
    copied(lab, "t")
    lab.fault("lose-reply", "image.copy")
    lab.fault("ignore-tokens", "image.copy")
    lab.fault("error-500", "image.copy")
    copy_is_cut(lab, "t")
    eventually(lambda: len(lab.effects("image.copy", "t")) == 2, "the second copy")
    # The second of those that decide waits for the next request.
    assert copy(lab, "t").status_code == 500
    assert [fault["used"] for fault in lab.faults()] == [1, 1, 1]


def test_a_rule_says_which_requests_it_means(lab: LabProcess) -> None:
    vm = lab.vm("db01")["id"]

    def statuses() -> list[int]:
        calls = [("GET", "/vms"), ("POST", f"/vms/{vm}/stop"), ("DELETE", "/images/x")]
        return [lab.call(method, path).status_code for method, path in calls]

    for verb, expected in {
        "read": [500, 202, 404],
        "vm.stop": [200, 500, 404],
        None: [200, 500, 500],
        "*": [500, 500, 500],
    }.items():
        lab.fault("error-500", verb, times=None)
        assert statuses() == expected, verb
        lab.clear_faults()


def test_after_and_times(lab: LabProcess) -> None:
    lab.fault("error-500", "*", after=2, times=2)
    statuses = [lab.call("GET", "/vms").status_code for _ in range(6)]
    assert statuses == [200, 200, 500, 500, 200, 200]


def test_probability_is_repeatable(lab: LabProcess) -> None:
    def run() -> list[int]:
        lab.fault("error-500", "read", times=None, probability=0.5, seed=7)
        statuses = [lab.call("GET", "/about").status_code for _ in range(30)]
        lab.clear_faults()
        return statuses

    first = run()
    assert set(first) == {200, 500}
    assert run() == first


def test_one_fault_can_be_removed(lab: LabProcess) -> None:
    kept, removed = lab.fault("error-500"), lab.fault("refuse")
    httpx.delete(f"{lab.url}/lab/faults/{removed}", trust_env=False)
    assert [fault["id"] for fault in lab.faults()] == [kept]


@pytest.mark.parametrize(
    "order",
    [
        {"fault": "nope"},
        {"fault": "hang", "verb": "vm.stpo"},
        {"fault": "hang", "tmes": 1},
        {"fault": "hang", "times": -1},
        {"fault": "hang", "probability": 1.5},
        {"fault": "hang", "seconds": "1"},
        [],
    ],
)
def test_a_misspelt_fault_is_refused(lab: LabProcess, order: object) -> None:
    response = httpx.post(f"{lab.url}/lab/faults", json=order, trust_env=False)
    assert (response.status_code, response.json()["code"]) == (400, "bad-request")
    assert lab.faults() == []


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_every_fault_serves_reads_and_changes(lab: LabProcess, fault: str) -> None:
    """No fault may break the lab, whatever it meets, and it lasts once."""
    lab.fault(fault, "*", seconds=0.1, times=2)
    with contextlib.suppress(httpx.RemoteProtocolError):
        lab.call("GET", "/vms")
    with contextlib.suppress(httpx.RemoteProtocolError):
        copy_nothing(lab)
    assert lab.call("GET", "/vms").status_code == 200
    assert "Traceback" not in lab.log.read_text()


def copy_nothing(lab: LabProcess) -> httpx.Response:
    body = {"image": "nope", "domain": "fast", "alias": "a", "token": "t"}
    return lab.call("POST", "/images/copy", json=body)
