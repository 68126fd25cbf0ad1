"""Servers: profiles, starting, readiness, targets."""
