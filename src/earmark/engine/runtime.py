"""What every verb needs at hand: the database, the commands, the connectors, the
vault. Built once per process by the composition root."""

import threading
from collections.abc import Callable, Mapping
from typing import TypeVar

from earmark.domain.connector import (
    Connector,
    Operation,
    ProviderConfig,
    Session,
    Vault,
    settings_of,
)
from earmark.domain.errors import UnknownName
from earmark.domain.inventory import Provider
from earmark.engine.registry import Commands
from earmark.store import inventory, secrets
from earmark.store.database import Database, Transaction

T = TypeVar("T")


class Engine:
    """The parts, and sessions to providers kept open between calls."""

    def __init__(
        self,
        database: Database,
        commands: Commands,
        connectors: Mapping[str, Connector],
        vault: Vault,
        installation: str,
    ) -> None:
        self.database = database
        self.commands = commands
        self.connectors = connectors
        self.vault = vault
        self.installation = installation
        self._sessions: dict[tuple[str, int], Session] = {}
        self._lock = threading.Lock()

    def write(self, work: Callable[[Transaction], T]) -> T:
        """Run a transaction; see `Database.write`."""
        return self.database.write(work)

    def read(self, work: Callable[[Transaction], T]) -> T:
        """Run a reading transaction."""
        return self.database.read(work)

    def connector(self, kind: str) -> Connector:
        """The connector of a kind; raises `UnknownName`."""
        found = self.connectors.get(kind)
        if found is None:
            known = ", ".join(sorted(self.connectors))
            raise UnknownName(
                f"There is no kind of provider {kind!r}.", hint=f"There are: {known}."
            )
        return found

    def operation(self, provider: Provider, name: str) -> Operation:
        """What the provider's connector declares for an operation."""
        operation = self.connector(provider.kind).operations.get(name)
        if operation is None:
            raise UnknownName(
                f"{provider.name} is of kind {provider.kind}, which cannot do {name}.",
                code="unsupported",
            )
        return operation

    def session(self, provider_id: str) -> Session:
        """The open session of a provider, in its present settings."""
        provider = self.read(lambda tx: inventory.provider(tx, provider_id))
        key = (provider.id, provider.version)
        with self._lock:
            found = self._sessions.get(key)
        if found is not None:
            return found
        clear = {
            name: self.reveal(secret_id) for name, secret_id in provider.secrets.items()
        }
        connector = self.connector(provider.kind)
        config = ProviderConfig(settings_of(connector, provider.settings), clear)
        session = connector.open(config)
        with self._lock:
            return self._sessions.setdefault(key, session)

    def reveal(self, secret_id: str) -> str:
        """Open a sealed secret by its id."""
        sealed = self.read(lambda tx: secrets.sealed(tx, secret_id))
        return self.vault.open(sealed, secret_id)

    def close(self) -> None:
        """Close sessions and the database."""
        for session in self._sessions.values():
            session.close()
        self.database.close()
