"""Which news stands (rule 18): an older observation never wins, nor does a listing
within the provider's lag after a command of ours."""

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa


def newer(row: sa.Row[Any], began: datetime, lag: timedelta) -> bool:
    """True when what the row says is newer than a listing that began then."""
    if row.observed_at >= began:
        return True
    return row.command_at is not None and row.command_at + lag > began
