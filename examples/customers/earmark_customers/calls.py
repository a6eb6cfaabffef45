"""JSON over HTTP, one request per call, and what an answer means."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from earmark import Deadline, ProviderError, Refused, Throttled
from earmark.providers.transport import Exchange, Request
from earmark_customers.trace import TRACE

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Api:
    """One provider's address and key, and which of its words are a definite no.

    `refusals`: codes with which it says that it did nothing, and will not. `absent`:
    the code for what is not there.
    """

    name: str
    url: str
    key: str
    exchange: Exchange
    refusals: Collection[str]
    absent: str


class Calls:
    """Calls to one API, until a deadline. A changing one carries our token."""

    def __init__(self, api: Api, deadline: Deadline) -> None:
        self.api = api
        self._deadline = deadline

    def __call__(
        self,
        method: str,
        *path: str,
        query: str = "",
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        token: str = "",
    ) -> Json | None:
        """Call once; None when the API says that it is not there.

        Raises `NotSent` and `Refused` when that is certain, `Throttled` for "not now";
        whatever else it raises is doubt.
        """
        api = self.api
        sent = {"Authorization": f"Bearer {api.key}", **(headers or {})}
        if token:
            sent[TRACE] = token
        where = "/".join(quote(part, safe="") for part in path) + query
        content = b"" if body is None else json.dumps(body).encode()
        request = Request(method, f"{api.url}/{where}", sent, content)
        answer = api.exchange(request, self._deadline)
        try:
            said = json.loads(answer.body)
        except ValueError:
            said = None
        if answer.status in (200, 201) and isinstance(said, dict):
            return said
        # Only the API's own words count: a 404 of something in between is no answer.
        said = said if isinstance(said, dict) else {}
        code, message = str(said.get("code", "")), str(said.get("message", ""))
        if code == api.absent:
            return None
        if answer.status == 429 and code == "rate_limited":
            raise Throttled(f"{api.name} says not now: {message}.", code=code)
        if 400 <= answer.status < 500 and code in api.refusals:
            raise Refused(f"{api.name} refused: {message}.", code=code)
        raise ProviderError(f"{api.name} answered /{where} with {answer.status}.")
