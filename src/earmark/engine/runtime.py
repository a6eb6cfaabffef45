"""What every verb needs at hand: the database, the commands, the connectors, the
vault. Built once per process by the composition root."""

import threading
from collections.abc import Callable, Mapping
from time import monotonic
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
from earmark.engine.attend import Attendants
from earmark.engine.authored import never_show
from earmark.engine.registry import Commands
from earmark.store import inventory, secrets
from earmark.store.database import Database, Transaction

T = TypeVar("T")
#: A session of old settings is closed after so long: no call in it is under way then.
RETIRED_SECONDS = 900.0


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
        self.attendants = Attendants()
        self._sessions: dict[str, tuple[int, Session]] = {}
        self._retired: list[tuple[float, Session]] = []
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
        self._close_retired()
        with self._lock:
            version, found = self._sessions.get(provider.id, (0, None))
        if found is not None and version >= provider.version:
            return found
        clear = {
            name: self.reveal(secret_id) for name, secret_id in provider.secrets.items()
        }
        connector = self.connector(provider.kind)
        settings = settings_of(connector, provider.settings)
        config = ProviderConfig(settings, clear, self.installation)
        return self._keep(provider, connector.open(config))

    def _keep(self, provider: Provider, session: Session) -> Session:
        """Keep the newest; another thread may have been quicker."""
        with self._lock:
            version, found = self._sessions.get(provider.id, (0, None))
            if found is not None and version >= provider.version:
                session, found = found, session
            else:
                self._sessions[provider.id] = (provider.version, session)
            if found is not None:
                self._retired.append((monotonic() + RETIRED_SECONDS, found))
        return session

    def _close_retired(self, before: float | None = None) -> None:
        now = monotonic() if before is None else before
        with self._lock:
            old = [session for at, session in self._retired if at < now]
            self._retired = [item for item in self._retired if item[0] >= now]
        for session in old:
            session.close()

    def reveal(self, secret_id: str) -> str:
        """Open a sealed secret by its id."""
        sealed = self.read(lambda tx: secrets.sealed(tx, secret_id))
        clear = self.vault.open(sealed, secret_id)
        never_show(clear)
        return clear

    def close(self) -> None:
        """End what goes on here, close sessions and the database."""
        self.attendants.stop("this process ends")
        self._close_retired(float("inf"))
        for _, session in self._sessions.values():
            session.close()
        self.database.close()
