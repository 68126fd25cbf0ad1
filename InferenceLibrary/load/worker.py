"""A worker of a load: a process of its own, so that nothing of the test's process stands in the way of a measurement.

It takes a pickled `Order` on standard input, says that it is ready, takes the beginning as a line, sends, and
writes what it measured. When its standard input ends it stops sending: then nobody wants more, or the test has died.
"""

from __future__ import annotations

import gc
import os
import pickle
import select
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

from InferenceLibrary.load.connections import Raw
from InferenceLibrary.load.engine import LoadEngine
from InferenceLibrary.load.plan import LoadPlan
from InferenceLibrary.load.spill import Order, Spill, write_packet


def main() -> None:
    """Run one part of a load."""
    # The test's process gets the signal of a Ctrl-C too, and tells when to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    size = int.from_bytes(source.read(8), "big")
    order = pickle.loads(source.read(size))
    assert isinstance(order, Order)
    plan, spill = order.plan, Spill(order, sink)
    read = _reader(plan) if plan.turns > 1 else None
    sink.write(b"ready\n")
    sink.flush()
    line = source.readline()
    if not line:
        return
    begin = float(line)
    told = [0.0]

    def stop(engine: LoadEngine) -> bool:
        now = time.monotonic()
        spill.relieve(engine)
        if now - told[0] > 0.5:
            told[0] = now
            sink.write(b"%d %d %d %d\n" % (engine.started, engine.ended, engine.failed, engine.active))
            sink.flush()
        # Anything to read is the end of it, or the word to stop.
        return bool(select.select([source], [], [], 0)[0])

    engine = LoadEngine(plan, order.share, begin, stop, read)
    gc.collect()
    gc.freeze()
    gc.disable()
    before, began = time.process_time(), time.monotonic()
    engine.run()
    used, took = time.process_time() - before, time.monotonic() - began
    gc.enable()
    _deliver(order.whole_plan(), engine, {"cpu": used, "wall": took})


def _reader(plan: LoadPlan) -> Callable[[Raw], str]:
    # Only conversations need it while they go on: it imports the rulebook.
    from InferenceLibrary.load.digest import Digest

    return Digest(plan, 0.0).text


def _deliver(plan: LoadPlan, engine: LoadEngine, cost: dict[str, float]) -> None:
    # Decoding and judging are imported after the measurement: they are heavy, and not a part of it.
    import msgspec

    from InferenceLibrary.load.digest import Digest

    digest = Digest(plan, engine.begin)
    encoder = msgspec.msgpack.Encoder()
    sink = sys.stdout.buffer
    facts: dict[str, Any] = {
        **cost,
        "lateness": sorted(engine.lateness),
        "lags": sorted(engine.lags)[-10_000:],
        "lag_count": engine.lag_count,
        "stalls": engine.stalls,
        "clock_steps": engine.steps,
        "unasked": engine.missed,
        "stopped": engine.stopped,
        "pid": os.getpid(),
    }
    sink.write(b"facts\n")
    write_packet(sink, encoder.encode(facts))
    finished = engine.take()
    finished.reverse()
    while finished:
        write_packet(sink, encoder.encode(digest.record(finished.pop())))
    write_packet(sink, b"")


if __name__ == "__main__":
    try:
        main()
    except BrokenPipeError:
        os._exit(1)  # the test has died or wants no more: nobody is left to tell
