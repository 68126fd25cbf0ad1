"""What a load is: what is asked, and the schedule by which requests start. Plain data."""

from __future__ import annotations

import itertools
import json
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from InferenceLibrary.client.route import Route
from InferenceLibrary.errors import MonitorError, describe
from InferenceLibrary.foreign_text import cut
from InferenceLibrary.load.requests import Kind, Prompts

if TYPE_CHECKING:
    from InferenceLibrary.protocol.rules.verdicts import Waiver

ASKED_TO_STOP = "asked to stop"
"""Why a worker ended early that was told to."""


@dataclass(frozen=True)
class Users:
    """Closed loop: so many users, each asks, waits for the answer, thinks, asks again.

    Args:
        count: Number of users.
        think: Seconds between an answer and the next question.
        ramp: Seconds over which the first starts are spread; by default they are all at once.
    """

    count: int
    think: float = 0.0
    ramp: float = 0.0

    def __str__(self) -> str:
        return f"{self.count} user{'' if self.count == 1 else 's'}"


@dataclass(frozen=True)
class Rate:
    """Open loop: requests start on time, whatever the server does.

    Args:
        rate: Requests a second, at the start.
        poisson: Whether the gaps are random (exponential) or all the same.
        end_rate: Requests a second at the end of `ramp`, which rises or falls evenly; the same by default.
        ramp: Seconds of that change.
        burst: So many start at each arrival; the rate is still that of requests.
    """

    rate: float
    poisson: bool = False
    end_rate: float | None = None
    ramp: float = 0.0
    burst: int = 1

    def arrivals(self, seed: int) -> Iterator[float]:
        """Yield when requests start, in seconds from the beginning; without end."""
        draw = random.Random(seed)
        served = 0.0
        while True:
            when = self._when(served)
            yield from itertools.repeat(when, self.burst)
            served += self.burst * (draw.expovariate(1.0) if self.poisson else 1.0)

    def _when(self, count: float) -> float:
        """The time by which so many requests were due: the inverse of the area below the rate."""
        end = self.rate if self.end_rate is None else self.end_rate
        slope = (end - self.rate) / self.ramp if self.ramp else 0.0
        in_ramp = (self.rate + end) / 2 * self.ramp
        if count >= in_ramp:
            return self.ramp + (count - in_ramp) / end
        if not slope:
            return count / self.rate
        return (math.sqrt(self.rate**2 + 2 * slope * count) - self.rate) / slope

    def __str__(self) -> str:
        kind = "Poisson" if self.poisson else "constant"
        to = f" to {self.end_rate:g}" if self.end_rate is not None else ""
        return f"{self.rate:g}{to} requests/s ({kind}{f', bursts of {self.burst}' if self.burst > 1 else ''})"


@dataclass(frozen=True)
class Replay:
    """Open loop: the times of a recorded trace, in seconds from its beginning, ascending."""

    times: tuple[float, ...]

    @staticmethod
    def from_file(path: Path) -> Replay:
        """Read a trace: a time a line, or JSON lines with `timestamp` (seconds) as traces of the field have it.

        Raises:
            MonitorError: The file is missing, or a line has no time.
        """
        times: list[float] = []
        try:
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
                if line.strip():
                    value = json.loads(line)
                    value = value.get("timestamp") if isinstance(value, dict) else value
                    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                        raise MonitorError(
                            describe(
                                f"Line {number} of the trace '{path}' has no time",
                                expected='seconds, or {"timestamp": seconds}',
                                got=cut(line, 80),
                            )
                        )
                    times.append(float(value))
        except (OSError, ValueError) as error:
            raise MonitorError(describe(f"The trace '{path}' cannot be read", got=str(error))) from None
        if not times:
            raise MonitorError(describe(f"The trace '{path}' has no times", expected="one a line"))
        first = min(times)
        return Replay(tuple(sorted(one - first for one in times)))

    def arrivals(self, seed: int) -> Iterator[float]:
        yield from self.times

    def __str__(self) -> str:
        return f"a trace of {len(self.times)} requests"


Schedule = Users | Rate | Replay


@dataclass(frozen=True)
class LoadPlan:
    """A load, whole.

    Args:
        url: Base URL of the server, `http://host:port`.
        schedule: When requests start.
        kinds: What is sent; one is drawn for each request by the weights.
        prompts: What is asked.
        requests: So many are measured; None: as many as start within `duration`.
        duration: Seconds in which requests start; None: until `requests` were sent.
        warmup: So many requests before them do not count.
        headers: Sent with each request, such as `authorization`.
        timeout: Seconds that one request may take in all.
        idle: Seconds that may pass between two reads of an answer.
        cancel: Share of the requests that we break off after their first output, 0 to 1.
        judged: Share of the answers that the rulebook judges after the run, 0 to 1; seeded.
        waivers: Rules that are not held against the server.
        models: Ids of the server's models, where they are known.
        max_error_rate: The run stops when a larger share of the last hundred requests failed; None: never.
        turns: Questions of a conversation of a user: each is sent after all that was said before it.
        route: Whose certificates are trusted, and the socket of a server that has no port.
        workers: Processes that send; each takes its part of one schedule.
        seed: Of arrivals, kinds, cancellations and shares.
        name: How results name the server.
        server_pids: Processes of the server on this machine: what they take is not foreign CPU.
    """

    url: str
    schedule: Schedule
    kinds: tuple[Kind, ...] = field(default_factory=lambda: (Kind.chat(),))
    prompts: Prompts = field(default_factory=Prompts)
    requests: int | None = None
    duration: float | None = None
    warmup: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    timeout: float = 300.0
    idle: float = 60.0
    cancel: float = 0.0
    judged: float = 1.0
    waivers: tuple[Waiver, ...] = ()
    models: tuple[str, ...] | None = None
    max_error_rate: float | None = None
    turns: int = 1
    route: Route = field(default_factory=Route)
    workers: int = 1
    seed: int = 0
    name: str = "server"
    server_pids: tuple[int, ...] = ()

    def seeded(self, seed: int) -> LoadPlan:
        """Return the same load with other random words, arrivals and shares."""
        return replace(self, seed=seed, prompts=replace(self.prompts, seed=seed))

    def check(self) -> None:
        """Refuse what cannot be run.

        Raises:
            MonitorError: One line on what is wrong.
        """
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise MonitorError(
                describe(
                    "A load cannot be sent there", expected="http://host:port or https://host", got=f"'{self.url}'"
                )
            )
        if (proxy := self.route.proxy_for(self.url)) is not None:
            raise MonitorError(
                describe(
                    "A load goes to its server directly: a proxy would be measured too",
                    expected="proxy=none",
                    got=f"'{proxy}'",
                )
            )
        whole = self.schedule
        rates = (
            [whole.rate, whole.rate if whole.end_rate is None else whole.end_rate] if isinstance(whole, Rate) else []
        )
        for name, value, least, most in (
            ("users", whole.count if isinstance(whole, Users) else 1, 1, 100_000),
            ("think", whole.think if isinstance(whole, Users) else 0, 0, 86_400),
            ("rate", min(rates, default=1.0), 1e-6, 1e6),
            ("burst", whole.burst if isinstance(whole, Rate) else 1, 1, 1e6),
            ("requests", self.requests if self.requests is not None else 1, 1, 1e9),
            ("duration", self.duration if self.duration is not None else 1, 1e-3, 1e7),
            ("warmup", self.warmup, 0, 1e9),
            ("turns", self.turns, 1, 1000),
            ("workers", self.workers, 1, 256),
            ("cancel", self.cancel, 0, 1),
            ("judged", self.judged, 0, 1),
            ("max_error_rate", self.max_error_rate or 0, 0, 1),
            ("timeout", self.timeout, 1e-3, 1e7),
        ):
            if not least <= value <= most:
                raise MonitorError(
                    describe(
                        f"A load cannot be run: {name} is out of range",
                        expected=f"{least:g} to {most:g}",
                        got=f"{value:g}",
                    )
                )
        if self.requests is None and self.duration is None and not isinstance(self.schedule, Replay):
            raise MonitorError(describe("A load has no end", expected="requests=, duration=, or both"))
        if not self.kinds or not sum(kind.weight for kind in self.kinds) > 0:
            raise MonitorError(describe("A load has nothing to send", expected="kinds whose weights are above zero"))
        if self.turns > 1 and not isinstance(self.schedule, Users):
            raise MonitorError(
                describe("Conversations belong to users", expected="users= beside turns=", got=str(self.schedule))
            )
        if self.turns > 1 and (unfit := [kind.name for kind in self.kinds if not kind.holds_talks]):
            raise MonitorError(
                describe(f"The kind '{unfit[0]}' cannot hold a conversation", expected="a chat whose last message asks")
            )
