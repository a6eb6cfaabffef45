"""HTTP calls to the lab: one request each, and what its answers mean."""

import json
import ssl
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from earmark.domain.deadline import Deadline
from earmark.domain.errors import ProviderError, Refused, Throttled
from earmark.domain.mark import Mark
from earmark.providers.transport import Answer, Request, exchange

#: Statuses and codes with which the lab says that nothing was done and nothing will
#: be. An answer that is not among them, or not in the lab's words, may come from
#: something in between and is doubt.
REFUSALS = frozenset(
    {
        (400, "bad-request"),
        (401, "unauthorised"),
        (404, "not-found"),
        (409, "bad-name"),
        (409, "has-disks"),
        (409, "in-use"),
        (409, "name-taken"),
        (409, "no-such-domain"),
        (409, "no-such-image"),
        (409, "no-such-vm"),
        (409, "not-done"),
        (409, "refused"),
        (409, "token-mismatch"),
        (409, "wrong-state"),
    }
)

#: The lab did not look at the request: it did nothing, and may be asked again.
THROTTLED = (429, "throttled")


class Unexpected(ProviderError):
    """An answer that the lab's API does not have; `answer` is all of it."""

    code = "unexpected-answer"

    def __init__(self, message: str, answer: Answer) -> None:
        super().__init__(message)
        self.answer = answer


def path(*parts: str) -> str:
    """Return the API's path for these parts, whatever characters ids have."""
    return "/api/" + "/".join(quote(part, safe="") for part in parts)


class Calls:
    """The lab's API as one user, until a deadline."""

    def __init__(
        self,
        url: str,
        login: str,
        trusted: ssl.SSLContext,
        deadline: Deadline,
        installation: str = "",
    ) -> None:
        self.url = url
        self.installation = installation
        self._headers = {
            "Authorization": f"Basic {login}",
            "Accept": "application/json",
            "User-Agent": "earmark",
        }
        self._trusted = trusted
        self.deadline = deadline

    def read(self, where: str, query: Mapping[str, str] | None = None) -> Any:
        """GET, and return the JSON; raises `Refused` for the lab's own no.

        Anything else that goes wrong is raised too, and says nothing of the lab.
        """
        asked = f"?{urlencode(query)}" if query else ""
        return self._call("GET", where + asked)

    def listed(self, what: str, query: Mapping[str, str] | None = None) -> list[Any]:
        """Return one of the lab's lists: `vms`, `images`, `snapshots`, `templates`,
        `tenants` or `tasks`."""
        rows: list[Any] = self.read(path(what), query)[what]
        return rows

    def tasks(self, ids: Sequence[str]) -> list[Any]:
        """Return these tasks; those that the lab does not know are missing."""
        rows: list[Any] = []
        # A request line has limits; 100 ids are 4 kB.
        for start in range(0, len(ids), 100):
            rows += self.listed("tasks", {"ids": ",".join(ids[start : start + 100])})
        return rows

    def change(self, where: str, body: Mapping[str, Any]) -> str:
        """POST once, and return the id of the task.

        Raises `NotSent` when no byte left, `Refused` for a declared no. Any other
        exception leaves it open whether the lab will do it.
        """
        answer = self._call("POST", where, json.dumps(body).encode())
        return str(answer["task"])

    def create(self, where: str, body: Mapping[str, Any]) -> str:
        """The same for what makes something: our mark goes into it (rule 17)."""
        mark = {}
        if self.installation:
            mark = {"mark": str(Mark(self.installation, body["token"]))}
        return self.change(where, {**body, **mark})

    def ask(self, where: str) -> Any:
        """POST what changes nothing, and return the JSON; raises as `read` does."""
        return self._call("POST", where)

    def delete(self, where: str, token: str) -> str:
        """DELETE once, and return the id of the task; raises as `change` does."""
        answer = self._call("DELETE", f"{where}?{urlencode({'token': token})}")
        return str(answer["task"])

    def _call(self, method: str, where: str, body: bytes = b"") -> Any:
        headers = dict(self._headers)
        if body:
            headers["Content-Type"] = "application/json"
        request = Request(method, self.url + where, headers, body)
        answer = exchange(request, self.deadline, self._trusted)
        content = _json(answer)
        if answer.status in (200, 202) and content is not None:
            return content
        code, message = _error(content)
        if (answer.status, code) == THROTTLED:
            raise Throttled(f"The lab is busy: {message}.")
        if (answer.status, code) in REFUSALS:
            raise Refused(f"The lab refused: {message}.", code=code)
        raise Unexpected(
            f"The lab answered {method} {where} with {answer.status}"
            f"{f' ({code}: {message})' if code else ''}.",
            answer,
        )


def _json(answer: Answer) -> dict[str, Any] | None:
    try:
        content = json.loads(answer.body)
    except ValueError:
        return None
    return content if isinstance(content, dict) else None


def _error(content: dict[str, Any] | None) -> tuple[str, str]:
    content = content or {}
    return str(content.get("code", "")), str(content.get("message", "")).rstrip(".")
