"""The group of processes that a program leads which was started in a session of its own."""

from __future__ import annotations

import contextlib
import os
import signal


def end_group(leader: int) -> None:
    """Kill a program and what runs in its group; on Windows, which has no such groups, the program alone."""
    with contextlib.suppress(ProcessLookupError):
        if hasattr(os, "killpg"):
            os.killpg(leader, signal.SIGKILL)
        else:
            # There it ends a program at once.
            os.kill(leader, signal.SIGTERM)
