"""Ring 1: the wire, as data. No I/O, no Robot."""
