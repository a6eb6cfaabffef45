"""A small simulated site: the demo's provider and the crash tests' adversary.

The lab is a program of its own. It shares no code with the rest of Earmark and
keeps its own durable state, so that it outlives the engine's death as a real
provider would, and so that a mistake of the engine cannot hide in code that both
sides use. It is always labelled as simulated.
"""

from earmark.lab.config import LabConfig
from earmark.lab.server import serve

__all__ = ["LabConfig", "serve"]
