"""Connectors: how each kind of provider is spoken to, and what it promises."""
