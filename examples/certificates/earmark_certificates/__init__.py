"""An example for Earmark: a certificate is ordered from a CA and installed on load
balancers, or nothing is left of it."""
