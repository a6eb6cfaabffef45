"""Where a wait goes on to: names on a list, never a stored method or an address.

`then` may write, once: asked again, it leads to the same place.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from earmark.domain.errors import UnknownName
from earmark.web.onboarding import create_provider
from earmark.web.site import Site
from earmark.web.tenancy import meanwhile, tenant_created
from earmark.web.views import TaskView


@dataclass(frozen=True)
class Continuation:
    """`then` is asked when the task is over and returns an address; `meanwhile` is
    where those go who wait no longer."""

    then: Callable[[Site, str], str]
    meanwhile: Callable[[TaskView], str]


def _to_task(site: Site, task_id: str) -> str:
    return f"/tasks/{task_id}"


CONTINUATIONS: Mapping[str, Continuation] = {
    "task": Continuation(_to_task, lambda task: task.href),
    "create-provider": Continuation(create_provider, lambda task: "/providers"),
    "tenant-created": Continuation(tenant_created, meanwhile),
}


def find(name: str) -> Continuation:
    """The continuation of that name; raises `UnknownName`."""
    if name not in CONTINUATIONS:
        raise UnknownName(
            f"No wait goes on to {name[:40]!r}.", hint="Open the task itself instead."
        )
    return CONTINUATIONS[name]
