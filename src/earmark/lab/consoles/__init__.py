"""A console for every simulated machine that is on: a small RFB 3.8 server (the
protocol of VNC), whose screen shows what is typed."""

from earmark.lab.consoles.server import Consoles

__all__ = ["Consoles"]
