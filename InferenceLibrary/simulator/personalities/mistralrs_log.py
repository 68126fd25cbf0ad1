"""Log lines in the format of the `tracing` library: time, level, module, text; on stdout, as mistral.rs does."""

from __future__ import annotations

import os
import sys
from time import gmtime, strftime, time_ns

_BUILDER = "mistralrs_server_core::mistralrs_for_server_builder"


_COLOURS = {"INFO": 32, "WARN": 33, "ERROR": 31}
_style = {"coloured": False}


def use_colours(on: bool) -> None:
    """Colour the log from now on, even in a file or a pipe, but where NO_COLOR is set."""
    _style["coloured"] = on and not os.environ.get("NO_COLOR")


def line(text: str, module: str = _BUILDER, level: str = "INFO") -> str:
    """Return one line of the present moment, without its end."""
    now = time_ns()
    stamp = f"{strftime('%Y-%m-%dT%H:%M:%S', gmtime(now // 10**9))}.{now // 1000 % 10**6:06}Z"
    if not _style["coloured"]:
        return f"{stamp} {level:>5} {module}: {text}"
    shown = f"\x1b[{_COLOURS[level]}m{level:>5}\x1b[0m"
    return f"\x1b[2m{stamp}\x1b[0m {shown} \x1b[2m{module}\x1b[0m\x1b[2m:\x1b[0m {text}"


def log(text: str, module: str = _BUILDER, level: str = "INFO") -> None:
    """Write one line at once."""
    sys.stdout.write(f"{line(text, module, level)}\n")
    sys.stdout.flush()


def fail(text: str) -> int:
    """Write the error that ends the program, as Rust's `main` does; return the exit code."""
    sys.stdout.flush()
    sys.stderr.write(f"Error: {text}\n")
    return 1
