"""Run a load: processes that send by one schedule, and the result that comes of it."""

from __future__ import annotations

import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol
from urllib.parse import urlsplit

from InferenceLibrary.errors import MonitorError, describe
from InferenceLibrary.load.crew import Crew
from InferenceLibrary.load.machine import MachineTicks, machine_facts, machine_ticks
from InferenceLibrary.load.plan import LoadPlan

if TYPE_CHECKING:
    from InferenceLibrary.load.record import Record
    from InferenceLibrary.load.result import LoadResult

_LEAD = 0.02
"""Seconds between the word to begin and the beginning, so that all workers have heard it."""
_LAST_WORDS, _SILENCE = 60.0, 10.0
"""Seconds in which workers of an interrupted load may deliver what they have, once somebody asks for it; seconds
without anything from them, after which no more is waited for."""
HOLD = 100_000_000
"""Bytes of answers that a worker may hold."""
WINDOW = 100
"""Latest requests by which a condition to stop is judged."""
FEWEST = 20
"""Requests that must have ended before it is judged."""


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


class StopCondition(Protocol):
    """A condition at which a load ends early."""

    def __call__(self, latest: Sequence[Record]) -> str | None:
        """Return why the load ends, judged by its latest records, by number; None: it goes on."""


class _Begun(NamedTuple):
    """What is known of a load before its end."""

    plan: LoadPlan
    wall: float
    """Its beginning on the wall clock."""
    ticks: MachineTicks
    crew: Crew

    def result(self, stopped: str | None = None) -> LoadResult:
        """What the workers delivered."""
        from InferenceLibrary.load.result import LoadResult

        measured = machine_ticks(self.plan.server_pids)
        facts = self.crew.facts
        return LoadResult(
            plan=self.plan,
            began=self.wall,
            records=self.crew.store.records(),
            workers=facts,
            machine=machine_facts(),
            foreign=self.ticks.foreign_share(measured, sum(one.cpu for one in facts)),
            clock=self.crew.begin,
            stopped=stopped,
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
                self._begun.crew.follow(within=_LAST_WORDS, silence=_SILENCE)
            finally:
                self._result = self._begun.result(self._begun.crew.lost)
                self._begun.crew.close()
        return self._result

    def close(self) -> None:
        """Write what was measured, where that was asked for, and end the workers."""
        try:
            if self.kept_in is not None:
                self.result().save(self.kept_in, self.redact)
        finally:
            self._begun.crew.close()


class _Follower:
    """Tells how a load goes on, and ends it where its condition says so."""

    def __init__(self, crew: Crew, progress: Callable[[Progress], None] | None, watch: StopCondition | None) -> None:
        self.crew = crew
        self.stopped: str | None = None
        self._progress = progress
        self._watch = watch
        self._latest: deque[Record] = deque(maxlen=WINDOW)
        self._told = 0.0
        crew.seen = self._latest.append if watch is not None else None

    def __call__(self) -> None:
        now = time.monotonic()
        if now - self._told < 0.5:
            return
        self._told = now
        if self._progress is not None:
            started, ended, failed, active = self.crew.counts
            self._progress(Progress(now - self.crew.begin, started, ended, failed, active))
        if self._watch is not None and self.stopped is None and len(self._latest) >= FEWEST:
            self.stopped = self._watch(sorted(self._latest, key=lambda one: one.number))
            if self.stopped is not None:
                self.crew.stop()


def _find_host(plan: LoadPlan) -> None:
    parts = urlsplit(plan.url)
    if plan.route.unix_socket is None:
        try:
            socket.getaddrinfo(parts.hostname, None)
        except OSError as error:
            raise MonitorError(describe(f"The host of '{plan.url}' cannot be found", got=str(error))) from None


def run(
    plan: LoadPlan, progress: Callable[[Progress], None] | None = None, watch: StopCondition | None = None
) -> LoadResult:
    """Run a load and return its result.

    An interruption (Ctrl-C, a timeout of Robot) ends it at once; the exception that is raised then has an
    `InterruptedLoad` as its attribute `load`, which the caller closes.

    Args:
        plan: What is sent, when.
        progress: Called about twice a second.
        watch: Asked about twice a second whether to go on.

    Raises:
        MonitorError: The plan cannot be run, or a worker died.
    """
    plan.check()
    _find_host(plan)
    wall, ticks = time.time(), machine_ticks(plan.server_pids)
    crew = Crew(plan, 0 if watch is not None else HOLD)
    kept = False
    try:
        crew.start(_LEAD)
        begun = _Begun(plan, wall, ticks, crew)
        follower = _Follower(crew, progress, watch)
        try:
            crew.follow(follower)
        except MonitorError:
            raise
        except BaseException as error:
            crew.stop()
            error.load = InterruptedLoad(begun)  # type: ignore[attr-defined]
            kept = True
            raise
        return begun.result(follower.stopped)
    finally:
        if not kept:
            crew.close()
