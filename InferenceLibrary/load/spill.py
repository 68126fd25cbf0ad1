"""What workers do with answers while a load goes on: they leave them in files, and a process beside makes records.

A long load would fill the memory of its worker, and a condition to stop needs figures before the end. Decoding and
judging in the worker would make it late, so it is done elsewhere, at a lower priority.
"""

from __future__ import annotations

import os
import pickle
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from InferenceLibrary.load.plan import LoadPlan

if TYPE_CHECKING:
    from InferenceLibrary.load.connections import Raw
    from InferenceLibrary.load.engine import LoadEngine

PIECE = b"piece "
"""Begins the line of a worker that tells of a file; its path follows."""
_NICE = 5
"""Its priority: behind the worker and the server, and not so low that a busy machine never gets to it."""
_MOST = 500
"""Answers that one file holds, so that writing it does not hold up the worker."""


class Order(NamedTuple):
    """What a worker is told."""

    plan: LoadPlan
    share: int
    """Which part of the load is its own, from 0."""
    folder: str
    """Where it may leave files."""
    hold: int
    """Bytes of answers that it may hold before it begins to leave what it has; 0: it leaves everything at once."""
    waivers: bytes
    """Pickled, and not in the plan: to read them imports the rulebook, which is needed after the measurement only."""

    @staticmethod
    def of(plan: LoadPlan, share: int, folder: str, hold: int) -> Order:
        """Return the order for a worker."""
        return Order(replace(plan, waivers=()), share, folder, hold, pickle.dumps(plan.waivers))

    def whole_plan(self) -> LoadPlan:
        """Return the plan with its waivers."""
        return replace(self.plan, waivers=pickle.loads(self.waivers))


class Spill:
    """Leaves the answers of a worker in files.

    Args:
        order: What the worker was told.
        sink: Where it tells of the files.
    """

    def __init__(self, order: Order, sink: Any) -> None:
        self._order = order
        self._sink = sink
        self._number = 0

    def relieve(self, engine: LoadEngine) -> None:
        """Leave what the engine holds, where that is much or was much before."""
        if engine.finished and (self._number or engine.held >= self._order.hold):
            taken = engine.take()
            for place in range(0, len(taken), _MOST):
                self._leave(taken[place : place + _MOST])

    def _leave(self, raws: list[Raw]) -> None:
        path = Path(self._order.folder) / f"{self._order.share}-{self._number}"
        self._number += 1
        path.write_bytes(pickle.dumps(raws, pickle.HIGHEST_PROTOCOL))
        self._sink.write(PIECE + os.fsencode(path) + b"\n")
        self._sink.flush()


def write_packet(sink: Any, data: bytes) -> None:
    """Write a record, or what else a worker tells, with its length; nothing is the end."""
    sink.write(len(data).to_bytes(4, "big"))
    sink.write(data)
    if not data:
        sink.flush()


def main() -> None:
    """Make records of the files whose paths come on standard input, after a pickled `(plan, begin)`.

    It ends with its standard input, and deletes each file that it has read.
    """
    import signal

    import msgspec

    from InferenceLibrary.load.digest import Digest

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "nice"):
        os.nice(_NICE)
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    plan, begin = pickle.loads(source.read(int.from_bytes(source.read(8), "big")))
    digest, encoder = Digest(plan, begin), msgspec.msgpack.Encoder()
    for line in source:
        path = Path(os.fsdecode(line.rstrip(b"\n")))
        raws = pickle.loads(path.read_bytes())
        path.unlink()
        for raw in raws:
            write_packet(sink, encoder.encode(digest.record(raw)))
        sink.flush()
    write_packet(sink, b"")


if __name__ == "__main__":
    try:
        main()
    except BrokenPipeError:
        os._exit(1)  # the test has died or wants no more: nobody is left to tell
