"""The lab's own rules and tables as a world: no process, and no network between."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from earmark.domain.connector import Connector
from earmark.lab import ledger
from earmark.providers.lab import CONNECTOR
from earmark.testing import Effect
from tests.crash import cases
from tests.crash.inside import LOST_IMAGE, LabSite, ask_for_console, plant, plant_orphan
from tests.crash.schedules import URL

#: What makes something; the rest brings about a state.
_MAKES = ("image.copy", "snapshot.create", "template.create", "tenant.create")


class LabWorld(LabSite):
    """Named `lab`, as its VMs' provider."""

    connector: Connector = CONNECTOR
    settings: Mapping[str, Any] = {"url": URL}
    secrets: Mapping[str, str] = {"password": cases.PASSWORD}

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.reset()

    def reset(self) -> None:
        self.renew()
        ledger.clear(self.site)

    def effects(self) -> Sequence[Effect]:
        self.advance()
        written = ledger.read(self.site)["effects"]
        made = [one for one in written if one["verb"] in _MAKES]
        return [
            Effect(one["token"] or "", one["object"], self._there(one["object"]))
            for one in made
        ]

    def _there(self, id: str) -> bool:
        tables = ("images", "snapshots", "templates", "tenants")
        query = " UNION ALL ".join(
            f"SELECT id FROM {one} WHERE id = ?" for one in tables
        )
        return bool(self.site.rows(query, *[id] * len(tables)))

    def given(self, tx: Any) -> None:
        """A browser waits for its console, and a sweep has found an orphan. Asked for
        again on the same site after somebody else has had a run there."""
        ask_for_console(tx, "lab")
        if not self._there(LOST_IMAGE):
            plant(self.site, tx.engine.installation)
        plant_orphan(tx, "lab")
