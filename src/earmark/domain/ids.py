"""Identifiers. One kind for everything: UUIDv7, so that age can be read from an id."""

import uuid_utils


def new_id() -> str:
    """Return a new UUIDv7 as text; ids made later in one process sort later."""
    return str(uuid_utils.uuid7())
