"""The connector to the lab, the simulated site of `earmark lab`."""

from earmark.providers.lab.connector import CONNECTOR

__all__ = ["CONNECTOR"]
