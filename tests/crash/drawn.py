"""How much is tried, and with which luck; both from the environment."""

import os

#: Schedules drawn for each command: pairs of kills, or a storm's deeds.
MOST = int(os.environ.get("EARMARK_SCHEDULES", "6"))
#: The same seed draws the same schedules again.
SEED = int(os.environ.get("EARMARK_SEED", "1"))
