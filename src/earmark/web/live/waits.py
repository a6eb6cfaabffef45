"""The panels of waits, of which there may be thousands, each for a task of its own."""

import math
import time
from collections.abc import Sequence

from earmark.domain.task import LOCAL_OWNER
from earmark.engine.pace import Paces
from earmark.store.database import Transaction
from earmark.web import fragments
from earmark.web.fragments import Fragment
from earmark.web.live.topics import PageTopic
from earmark.web.reading import tasks
from earmark.web.views import TaskView

#: Looking at every task that is waited for takes this part of a core at most.
SHARE = 0.02
#: However long it takes: so late are pages told what no task's own row says.
MOST_SECONDS = 5.0


class Waits:
    """Keeps the panels, and makes those anew whose tasks have changed.

    What a task waits for changes without its row: others are claimed before it, a
    worker falls silent, time passes. So all are looked at anew after a while, which is
    the longer the more they are: 0.1 s for a few, some seconds for thousands.
    """

    def __init__(self, paces: Paces) -> None:
        self._paces = paces
        self._views: dict[str, TaskView] = {}
        self._panels: dict[PageTopic, tuple[TaskView | None, Fragment]] = {}
        self._due = 0.0
        self._looked_at_all = True

    @property
    def rests_until(self) -> float:
        """When all are to be looked at; infinite when they just were, or none is."""
        return math.inf if self._looked_at_all else self._due

    def panels(
        self, tx: Transaction, wanted: Sequence[PageTopic]
    ) -> dict[PageTopic, tuple[Fragment, ...]]:
        """Show what each of the waits waits for."""
        self._look(tx, {topic.task_id for topic in wanted})
        kept, self._panels = self._panels, {}
        for topic in wanted:
            view = self._views.get(topic.task_id)
            found = kept.get(topic)
            if found is None or found[0] is not view:
                found = (view, _panel(topic, view))
            self._panels[topic] = found
        return {topic: (panel,) for topic, (_, panel) in self._panels.items()}

    def _look(self, tx: Transaction, ids: set[str]) -> None:
        self._looked_at_all = time.monotonic() >= self._due
        if self._looked_at_all:
            began = time.thread_time()
            self._views = self._read(tx, ids)
            took = time.thread_time() - began
            self._due = time.monotonic() + min(took / SHARE, MOST_SECONDS)
            return
        versions = tasks.versions(tx, ids)
        kept = {
            task_id: view
            for task_id, view in self._views.items()
            if versions.get(task_id) == view.version
        }
        changed = versions.keys() - kept.keys()
        self._views = kept | (self._read(tx, changed) if changed else {})

    def _read(self, tx: Transaction, ids: set[str]) -> dict[str, TaskView]:
        theirs = [it for it in tasks.by_ids(tx, ids) if it.owner == LOCAL_OWNER]
        views = (self._same(it) for it in tasks.followed(tx, theirs, self._paces))
        return {view.id: view for view in views}

    def _same(self, view: TaskView) -> TaskView:
        """The one that is known already, if it says the same."""
        known = self._views.get(view.id)
        return known if known == view else view


def _panel(topic: PageTopic, view: TaskView | None) -> Fragment:
    if view is None:
        return fragments.wait_gone(topic.task_id)
    return fragments.wait_panel(view, topic.about)
