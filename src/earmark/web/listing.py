"""The addresses of lists: this page, the next one, the newest."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from earmark.engine.narrow import FILTERS
from earmark.web.reading.machines import PAGE, place_of


def vms_more(listed: Sequence[Any], q: str) -> str | None:
    """Address the VMs after this page, if there are more."""
    if len(listed) <= PAGE:
        return None
    query = {"q": q} if q else {}
    return "/vms?" + urlencode(query | {"after": place_of(listed[PAGE - 1])})


def tasks_href(query: Mapping[str, str], **more: str) -> str:
    """Address a list of tasks with the same filters, and its page if told."""
    kept = {name: query[name] for name in FILTERS if query.get(name)}
    words = urlencode(kept | more)
    return f"/tasks?{words}" if words else "/tasks"
