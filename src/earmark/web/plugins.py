"""Pages of authors: modules that list routes in `ROUTES`, put behind our guard."""

from collections.abc import Sequence
from importlib.metadata import entry_points

from starlette.routing import BaseRoute

from earmark.domain.errors import RegistrationRefused
from earmark.engine.authored import import_authored, look_here

ENTRY_POINTS = "earmark.pages"
_HINT = "Check EARMARK_PAGES and the installed packages."


def load_pages(extra_modules: Sequence[str] = ()) -> list[BaseRoute]:
    """Every route of the installed packages and of the modules named.

    Importing them registers their continuations. Raises `RegistrationRefused` for a
    module that does not load, or that has no `ROUTES`.
    """
    if extra_modules:
        look_here()
    points = sorted(entry_points(group=ENTRY_POINTS), key=lambda point: point.name)
    routes: list[BaseRoute] = []
    for name in (*(point.value for point in points), *extra_modules):
        module = import_authored(name, "pages", _HINT)
        found = getattr(module, "ROUTES", None)
        if not isinstance(found, Sequence) or not all(
            isinstance(route, BaseRoute) for route in found
        ):
            raise RegistrationRefused(
                f"The module {name!r} has no list of Starlette's routes in ROUTES.",
                hint=_HINT,
            )
        routes += found
    return routes
