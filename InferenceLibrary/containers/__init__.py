"""Containers and compose projects at an engine, and the watcher that removes what a killed run left."""
