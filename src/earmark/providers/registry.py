"""Which kinds of provider there are, found by entry points."""

from collections.abc import Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType

from earmark.domain.connector import Connector
from earmark.domain.errors import EarmarkError, RegistrationRefused

GROUP = "earmark.connectors"

_PARTS = ("kind", "title", "settings", "secrets", "operations", "open")


def load_connectors(
    entries: Iterable[EntryPoint] | None = None,
) -> Mapping[str, Connector]:
    """Return every installed connector by its kind.

    A connector whose extra is not installed is among them; opening it says what to
    install. Raises `RegistrationRefused`, naming the package, for an entry point
    that does not load, is no connector, or claims a kind that is taken.
    """
    found: dict[str, Connector] = {}
    origins: dict[str, str] = {}
    for entry in entry_points(group=GROUP) if entries is None else entries:
        origin = _origin(entry)
        if entry.name in found:
            raise RegistrationRefused(
                f"Two packages offer the connector {entry.name}: "
                f"{origins[entry.name]} and {origin}.",
                hint="Uninstall one of them.",
            )
        found[entry.name] = _load(entry, origin)
        origins[entry.name] = origin
    return MappingProxyType(dict(sorted(found.items())))


def _origin(entry: EntryPoint) -> str:
    return f"{entry.dist.name if entry.dist else 'unknown package'} ({entry.value})"


def _load(entry: EntryPoint, origin: str) -> Connector:
    hint = "Repair or uninstall that package."
    try:
        connector = entry.load()
    except EarmarkError as error:
        raise RegistrationRefused(f"{origin}: {error}", hint=hint) from error
    except Exception as error:
        # A package's own code runs at its import: it can fail in any way.
        raise RegistrationRefused(
            f"The connector {entry.name} of {origin} does not load: {error!r}.",
            hint=hint,
        ) from error
    missing = [part for part in _PARTS if not hasattr(connector, part)]
    if missing:
        raise RegistrationRefused(
            f"The connector {entry.name} of {origin} lacks {', '.join(missing)}.",
            hint=hint,
        )
    if connector.kind != entry.name:
        raise RegistrationRefused(
            f"The connector {entry.name} of {origin} calls itself {connector.kind!r}.",
            hint=hint,
        )
    accepted: Connector = connector
    return accepted
