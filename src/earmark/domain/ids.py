"""Identifiers. One kind for everything: UUIDv7, so that age can be read from an id."""

import hashlib
import uuid
from datetime import datetime

import uuid_utils

#: How many parts of one thing `derived_id` keeps in order.
MOST_PARTS = 1 << 20


def new_id() -> str:
    """Return a new UUIDv7 as text; ids made later in one process sort later."""
    return str(uuid_utils.uuid7())


def first_id(moment: datetime) -> str:
    """The smallest id that can be made at a moment, by the clock of who makes it."""
    milliseconds = min(max(0, int(moment.timestamp() * 1000)), (1 << 48) - 1)
    high = milliseconds << 16 | 7 << 12
    return str(uuid.UUID(int=high << 64 | 0b10 << 62))


def derived_id(whole: str, key: str, position: int = 0) -> str:
    """The id of a part: always the same for the same `whole` (an id), `key` and place.

    A plan that is made twice, because the store was restored to a copy from before it,
    names its effects by the same tokens; so what they did can be found, not done again.
    It is a UUIDv7 of the millisecond after the whole's, so that parts sort after it,
    and among themselves by `position`, which is below `MOST_PARTS`.
    """
    if not 0 <= position < MOST_PARTS:
        raise ValueError(f"position {position} is not below {MOST_PARTS}")
    time = (uuid.UUID(whole).int >> 80) + 1
    digest = hashlib.blake2b(f"{whole}/{key}".encode(), digest_size=8).digest()
    luck = int.from_bytes(digest) & ((1 << 54) - 1)
    # 48 bits of time, version 7, 12 bits of the place, variant 2, 8 more, 54 of luck.
    high = time << 16 | 7 << 12 | position >> 8
    low = 0b10 << 62 | (position & 0xFF) << 54 | luck
    return str(uuid.UUID(int=high << 64 | low))
