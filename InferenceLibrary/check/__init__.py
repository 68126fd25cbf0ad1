"""`rfinference check` and `mutate`: what a server offers, which rules it keeps, and what suites would notice."""
