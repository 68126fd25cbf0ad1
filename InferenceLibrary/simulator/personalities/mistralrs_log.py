"""Log lines in the format of the `tracing` library: time, level, module, text; on stdout, as mistral.rs does."""

from __future__ import annotations

import sys
from time import gmtime, strftime, time_ns

_BUILDER = "mistralrs_server_core::mistralrs_for_server_builder"


def line(text: str, module: str = _BUILDER, level: str = "INFO") -> str:
    """Return one line of the present moment, without its end."""
    now = time_ns()
    stamp = f"{strftime('%Y-%m-%dT%H:%M:%S', gmtime(now // 10**9))}.{now // 1000 % 10**6:06}Z"
    return f"{stamp} {level:>5} {module}: {text}"


def log(text: str, module: str = _BUILDER, level: str = "INFO") -> None:
    """Write one line at once."""
    sys.stdout.write(f"{line(text, module, level)}\n")
    sys.stdout.flush()


def fail(text: str) -> int:
    """Write the error that ends the program, as Rust's `main` does; return the exit code."""
    sys.stdout.flush()
    sys.stderr.write(f"Error: {text}\n")
    return 1
