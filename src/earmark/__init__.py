"""Durable commands for systems you do not control."""
