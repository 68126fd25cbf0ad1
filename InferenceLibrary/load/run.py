"""Run a load: processes that send by one schedule, and the result that comes of it."""

from __future__ import annotations

import os
import pickle
import select
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, NamedTuple

import msgspec

from InferenceLibrary.errors import MonitorError, describe
from InferenceLibrary.load.machine import MachineTicks, machine_facts, machine_ticks
from InferenceLibrary.load.plan import LoadPlan
from InferenceLibrary.load.record import Record
from InferenceLibrary.load.result import LoadResult, WorkerFacts

_LEAD = 0.02
"""Seconds between the word to begin and the beginning, so that all workers have heard it."""
_PATIENCE = 30.0
_LAST_WORDS = 10.0
"""Seconds in which workers of an interrupted load may deliver what they have, once somebody asks for it."""


class Progress(NamedTuple):
    """How far a load is."""

    elapsed: float
    started: int
    finished: int
    failed: int
    active: int

    def __str__(self) -> str:
        return (
            f"{self.elapsed:.0f} s: {self.finished} of {self.started} requests answered, {self.failed} failed, "
            f"{self.active} open"
        )


@dataclass
class _Worker:
    process: subprocess.Popen[bytes]
    counts: tuple[int, int, int, int] = (0, 0, 0, 0)
    facts: WorkerFacts | None = None
    records: list[Record] = field(default_factory=list)
    buffer: bytearray = field(default_factory=bytearray)
    packets: bool = False
    done: bool = False

    @property
    def source(self) -> IO[bytes]:
        assert self.process.stdout is not None
        return self.process.stdout

    @property
    def sink(self) -> IO[bytes]:
        assert self.process.stdin is not None
        return self.process.stdin


class _Begun(NamedTuple):
    """What is known of a load before its end."""

    plan: LoadPlan
    wall: float
    """Its beginning on the wall clock."""
    begin: float
    """And on the monotonic one."""
    ticks: MachineTicks
    workers: list[_Worker]

    def result(self) -> LoadResult:
        """What the workers delivered."""
        measured = machine_ticks(self.plan.server_pids)
        facts = [worker.facts for worker in self.workers if worker.facts is not None]
        return LoadResult(
            plan=self.plan,
            began=self.wall,
            records=sorted((one for worker in self.workers for one in worker.records), key=lambda one: one.number),
            workers=facts,
            machine=machine_facts(),
            foreign=self.ticks.foreign_share(measured, sum(one.cpu for one in facts)),
            clock=self.begin,
        )


class InterruptedLoad:
    """What an interrupted load has measured: it is fetched when somebody asks, so the interruption itself waits for
    nothing.

    Args:
        begun: The load; its workers were told to stop.
    """

    def __init__(self, begun: _Begun) -> None:
        self._begun = begun
        self._result: LoadResult | None = None
        self.kept_in: Path | None = None
        """Where `close` writes what was measured, if anywhere."""
        self.redact: Callable[[str], str] = str

    @property
    def name(self) -> str:
        """What was put under load."""
        return self._begun.plan.name

    def result(self) -> LoadResult:
        """Return what was measured until the interruption.

        Raises:
            MonitorError: A worker died.
        """
        if self._result is None:
            try:
                _follow(self._begun.workers, self._begun.begin, None, within=_LAST_WORDS)
            finally:
                self._result = self._begun.result()
                for worker in self._begun.workers:
                    _end(worker)
        return self._result

    def close(self) -> None:
        """Write what was measured, where that was asked for, and end the workers."""
        try:
            if self.kept_in is not None:
                self.result().save(self.kept_in, self.redact)
        finally:
            for worker in self._begun.workers:
                _end(worker)


def run(plan: LoadPlan, progress: Callable[[Progress], None] | None = None) -> LoadResult:
    """Run a load and return its result.

    An interruption (Ctrl-C, a timeout of Robot) ends it at once; the exception that is raised then has an
    `InterruptedLoad` as its attribute `load`, which the caller closes.

    Args:
        plan: What is sent, when.
        progress: Called about twice a second.

    Raises:
        MonitorError: The plan cannot be run, or a worker died.
    """
    plan.check()
    workers: list[_Worker] = []
    wall, ticks = time.time(), machine_ticks(plan.server_pids)
    kept = False
    try:
        for share in range(plan.workers):
            workers.append(_start(plan, share))
        for worker in workers:
            if worker.source.readline() != b"ready\n":
                raise _died(worker)
        begin = time.monotonic() + _LEAD
        for worker in workers:
            worker.sink.write(f"{begin!r}\n".encode())
            worker.sink.flush()
        begun = _Begun(plan, wall, begin, ticks, workers)
        try:
            _follow(workers, begin, progress)
        except MonitorError:
            raise
        except BaseException as error:
            _stop(workers)
            error.load = InterruptedLoad(begun)  # type: ignore[attr-defined]
            kept = True
            raise
        return begun.result()
    finally:
        for worker in [] if kept else workers:
            _end(worker)


def _start(plan: LoadPlan, share: int) -> _Worker:
    data = pickle.dumps((plan, share))
    process = subprocess.Popen(
        [sys.executable, "-m", "InferenceLibrary.load.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # Ctrl-C is ours to tell.
        start_new_session=True,
    )
    worker = _Worker(process)
    try:
        worker.sink.write(len(data).to_bytes(8, "big") + data)
        worker.sink.flush()
    except BaseException:
        process.kill()
        _end(worker)
        raise
    return worker


def _follow(
    workers: list[_Worker], begin: float, progress: Callable[[Progress], None] | None, within: float = float("inf")
) -> None:
    """Take what workers say until all have delivered, or so many seconds are over."""
    told, until = 0.0, time.monotonic() + within
    while time.monotonic() < until and (waiting := [worker for worker in workers if not worker.done]):
        for source in select.select([worker.source for worker in waiting], [], [], 0.1)[0]:
            worker = next(one for one in waiting if one.source is source)
            data = os.read(source.fileno(), 1 << 20)
            if not data:
                raise _died(worker)
            worker.buffer += data
            _take(worker)
        now = time.monotonic()
        if progress is not None and now - told >= 0.5:
            told = now
            started, finished, failed, active = (sum(one.counts[place] for one in workers) for place in range(4))
            progress(Progress(now - begin, started, finished, failed, active))


def _take(worker: _Worker) -> None:
    buffer = worker.buffer
    while not worker.packets:
        end = buffer.find(b"\n")
        if end < 0:
            return
        line = bytes(buffer[:end])
        del buffer[: end + 1]
        if line == b"facts":
            worker.packets = True
        else:
            started, finished, failed, active = map(int, line.split())
            worker.counts = (started, finished, failed, active)
    at = 0
    while len(buffer) - at >= 4 and not worker.done:
        size = int.from_bytes(buffer[at : at + 4], "big")
        if len(buffer) - at - 4 < size:
            break
        data = bytes(buffer[at + 4 : at + 4 + size])
        at += 4 + size
        if not data:
            worker.done = True
        elif worker.facts is None:
            worker.facts = msgspec.msgpack.decode(data, type=WorkerFacts)
        else:
            worker.records.append(_decode(data))
    del buffer[:at]


_decode: Any = msgspec.msgpack.Decoder(Record).decode


def _stop(workers: list[_Worker]) -> None:
    for worker in workers:
        try:
            worker.sink.write(b"stop\n")
            worker.sink.flush()
        except OSError:
            continue  # it is gone


def _died(worker: _Worker) -> MonitorError:
    code = worker.process.wait(_PATIENCE)
    return MonitorError(describe("A worker of the load died", expected="its records", got=f"exit code {code}"))


def _end(worker: _Worker) -> None:
    for pipe in (worker.sink, worker.source):
        try:
            pipe.close()
        except OSError:
            continue  # it is gone
    try:
        worker.process.wait(0 if not worker.done else 5)
    except subprocess.TimeoutExpired:
        worker.process.kill()
        worker.process.wait()
