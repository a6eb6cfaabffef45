"""What a stream is about, as its address says it; see `fragments` for the words."""

import re
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import parse_qsl

from earmark.domain.errors import BadInput
from earmark.engine.narrow import filter_of
from earmark.store.words import words_of

MOST = 8
#: Rows of one list that are kept up to date.
MOST_ROWS = 100
_PLAIN = frozenset(
    {
        "notifications",
        "orphans",
        "providers",
        "recent",
        "templates",
        "tenants",
        "workers",
    }
)
_QUERIES = frozenset({"vms", "tasks"})
_OBJECTS = frozenset({"vm", "task", "provider"})
_ID = re.compile(r"[\w-]{1,64}")
_WAIT = re.compile(r"/tasks/([\w-]{1,64})/wait\?next=[\w-]{1,64}")


@dataclass(frozen=True, order=True)
class PageTopic:
    """One thing that a page shows, such as `vm` about an id."""

    name: str
    about: str = ""

    @property
    def query(self) -> dict[str, str]:
        """The query of the list that the page shows."""
        return dict(parse_qsl(self.about))

    @property
    def rows(self) -> tuple[str, ...]:
        """The ids of the rows that a list shows, whatever has become of them since."""
        return tuple(_ID.findall(self.query.get("rows", "")))[:MOST_ROWS]

    @cached_property
    def task_id(self) -> str:
        """The task that a wait is for, out of the wait's address."""
        found = _WAIT.fullmatch(self.about)
        assert found is not None, "checked when it was parsed"
        return found[1]


def parse(text: str) -> frozenset[PageTopic]:
    """Read the topics of an address; raises `BadInput` for what no page shows."""
    words = [word for word in text.split(",") if word]
    if len(words) > MOST:
        raise BadInput(f"A page shows at most {MOST} topics.")
    return frozenset(_topic(word) for word in words)


def _topic(word: str) -> PageTopic:
    name, _, about = word.partition(":")
    good = (
        (name in _PLAIN and not about)
        or name in _QUERIES
        or (name in _OBJECTS and _ID.fullmatch(about) is not None)
        or (name == "wait" and _WAIT.fullmatch(about) is not None)
    )
    if not good:
        raise BadInput(f"No page shows the topic {word[:80]!r}.")
    topic = PageTopic(name, about)
    # One watcher reads for all pages: what no store can look for never reaches it.
    if "\0" in "".join(topic.query.values()):
        raise BadInput(f"No page shows the topic {word[:80]!r}.")
    words_of(topic.query.get("q", ""))
    if name == "tasks":
        filter_of(topic.query)
    return topic
