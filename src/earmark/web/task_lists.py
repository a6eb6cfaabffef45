"""The pages of many tasks as values: the list with its filters, and what is asked
before something is done to several of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from urllib.parse import urlencode

from earmark.web.pages import Page
from earmark.web.views import TaskView


@dataclass(frozen=True)
class TaskFilters:
    """What a list of tasks is narrowed to; empty means all."""

    q: str = ""
    state: str = ""
    outcome: str = ""
    command: str = ""
    object: str = ""
    user: str = ""
    zone: str = ""
    since: str = ""
    until: str = ""
    needs: str = ""

    @property
    def more(self) -> bool:
        """Whether it is narrowed by what is folded away in the form."""
        return any((self.object, self.user, self.zone, self.since, self.until))

    @property
    def any(self) -> bool:
        """Whether the list is narrowed at all."""
        return bool(self.query)

    @property
    def query(self) -> dict[str, str]:
        """The filters as an address has them."""
        return {name: value for name, value in asdict(self).items() if value}


@dataclass(frozen=True)
class TasksPage(Page):
    """Root tasks, newest first, a hundred at a time."""

    template = "tasks.html"
    section = "tasks"
    heading = "Tasks"
    tasks: tuple[TaskView, ...]
    filters: TaskFilters
    commands: tuple[str, ...]
    older_href: str | None = None
    newest_href: str | None = None
    """The first page again, where this is not it."""
    zones: tuple[str, ...] = ()
    searched: int = 0
    """How many tasks were looked through for words, where there are more."""
    about: str = ""
    """The object of the filter by its id, as the stream wants it."""
    error: str = ""
    """What is wrong with the filters; then nothing is listed."""
    wrong: frozenset[str] = frozenset()
    """The filters that it is about."""
    here: str = ""
    """The query of this very page."""
    all_chosen: bool = False
    """Whether every row is ticked already."""

    @property
    def topics(self) -> tuple[str, ...]:
        """The tasks of this very page, and how many have come since."""
        if self.error:
            return ()
        shown = {"rows": ".".join(task.id for task in self.tasks)}
        if self.about:
            shown["object"] = self.about
        if self.newest_href:
            shown["older"] = "yes"
        return (f"tasks:{urlencode(self.filters.query | shown)}",)

    @property
    def command_choices(self) -> list[tuple[str, str]]:
        """The commands that the list can be narrowed to."""
        return [(name, name) for name in self.commands]

    @property
    def zone_choices(self) -> list[tuple[str, str]]:
        """The zones that the list can be narrowed to."""
        return [(name, name) for name in self.zones]


@dataclass(frozen=True)
class Fate:
    """What will happen to some of the chosen tasks, or why nothing will."""

    text: str
    titles: tuple[str, ...]
    refused: bool

    @property
    def shown(self) -> tuple[str, ...]:
        """The first few of them."""
        return self.titles[:3]


@dataclass(frozen=True)
class BulkPage(Page):
    """What is asked before something is done to many tasks: what it means for how
    many, and the form that does it."""

    template = "bulk.html"
    section = "tasks"
    verb: str
    fates: tuple[Fate, ...]
    chosen: tuple[str, ...]
    """The ids of all of them."""
    back: str
    """The query of the list that they were chosen in."""
    back_href: str
    idempotency_key: str

    @property
    def heading(self) -> str:
        """What is asked."""
        tasks = "1 task" if self.possible == 1 else f"{self.possible} tasks"
        return f"{self.verb.capitalize()} {tasks}?"

    @property
    def possible(self) -> int:
        """How many of them it can be done to."""
        return sum(len(it.titles) for it in self.fates if not it.refused)
