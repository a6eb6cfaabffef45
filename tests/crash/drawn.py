"""How much is tried, and with which luck; both from the environment."""

import os

#: Schedules drawn for each command: pairs of kills, or a storm's deeds.
MOST = int(os.environ.get("EARMARK_SCHEDULES", "6"))
#: The same on PostgreSQL, and for the product, whose pairs `verify` draws too. What
#: differs between the stores is in one file (`earmark.store.dialect`): a share of what
#: is done on SQLite meets all of that many times over.
FEWER = max(MOST // 2, 1)
#: Instants between the boundaries of a big plan at which it is killed.
INSTANTS = 3 * MOST
#: The same seed draws the same schedules again.
SEED = int(os.environ.get("EARMARK_SEED", "1"))
#: Whether there are hours for it: `make kills`.
SOAK = "EARMARK_SOAK" in os.environ
#: On PostgreSQL, of so many times that a big plan meets the same boundary one.
SHARE = 1 if SOAK else 5
