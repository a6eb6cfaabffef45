"""Mutants: patches that each take out one protection of the protocol, and the tests
that must turn red without it."""
