"""Several processes that serve on one port as one server: `--workers N`."""
