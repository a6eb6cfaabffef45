"""How much is tried, and with which luck; both from the environment."""

import os

#: Schedules drawn for each command: pairs of kills, or a storm's deeds.
MOST = int(os.environ.get("EARMARK_SCHEDULES", "6"))
#: Instants between the boundaries of a big plan at which it is killed.
INSTANTS = 3 * MOST
#: The same seed draws the same schedules again.
SEED = int(os.environ.get("EARMARK_SEED", "1"))
#: Whether there are hours for it: `make kills`.
SOAK = "EARMARK_SOAK" in os.environ
