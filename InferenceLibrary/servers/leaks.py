"""What a server left behind when it ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from InferenceLibrary.deadline import wait_until
from InferenceLibrary.processes.ports import is_free
from InferenceLibrary.servers.server import Server
from InferenceLibrary.sizes import show_bytes


class Leaks(NamedTuple):
    """What was found, each as text."""

    found: tuple[str, ...]
    not_looked_at: tuple[str, ...]
    """What could not be judged, and why."""


def leaks_of(server: Server, *, port_patience: float, gpu_patience: float, tolerance: int) -> Leaks:
    """Look for processes, a port and GPU memory that a server left behind.

    Args:
        server: One whose process has ended.
        port_patience: Seconds that its port may take to come free.
        gpu_patience: Seconds that its GPU memory may take to come free.
        tolerance: Bytes in use on a GPU beyond those before the start that do not count.
    """
    found: list[str] = []
    unseen: list[str] = []
    program = server.process
    if program is not None:
        program.settle()
    if program is None or program.orphans is None:
        unseen.append("processes: it did not run as a process here")
    elif program.orphans:
        found.append(f"the processes {', '.join(map(str, program.orphans))}")
    port = server.port
    if port is not None and not wait_until(lambda: is_free(port), port_patience):
        found.append(f"a listener on port {port}")
    if server.gpu_before is None:
        unseen.append("GPU memory: nobody looked at it before the start")
    else:
        found += _gpu_leaks(server.gpu_before, gpu_patience, tolerance)
    return Leaks(tuple(found), tuple(unseen))


def _gpu_leaks(before: Mapping[int, int], patience: float, tolerance: int) -> list[str]:
    from InferenceLibrary.servers.gpu_gate import look_at_gpus

    more: list[str] = []

    def back() -> bool:
        uses, missing = look_at_gpus()
        more[:] = [missing] if missing else []
        for use in uses:
            if use.gpu in before and use.used > before[use.gpu] + tolerance:
                more.append(f"{show_bytes(use.used - before[use.gpu])} of GPU memory: {use}")
        return not more

    wait_until(back, patience, first=0.1, longest=0.2)
    return more
