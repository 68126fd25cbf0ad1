"""The result of a load: its records, the figures of them, whether they can be trusted, and its files."""

from __future__ import annotations

import csv
import itertools
import json
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import msgspec

from InferenceLibrary.errors import MonitorError, describe
from InferenceLibrary.files import text_file, write_text
from InferenceLibrary.load.counted import FEWEST, CountedValues, Distribution
from InferenceLibrary.load.figures import FIGURES, figure_of, read_figure
from InferenceLibrary.load.plan import ASKED_TO_STOP, LoadPlan, Users
from InferenceLibrary.load.record import Record
from InferenceLibrary.load.records import Selection
from InferenceLibrary.load.summaries import KIND, SCHEMA
from InferenceLibrary.load.tally import LoadTally
from InferenceLibrary.stats import percentile

_DELIVERED = 0.98
"""Share of the asked load that must be sent."""
_LATE = 0.005
"""Seconds, p99: requests that start later than that are another load than the one asked for."""
_IDLE = 0.05
"""Seconds in all that the users of a closed loop may wait for the client."""
_AT_ONCE = 0.001
"""Seconds that a user may take to ask again; more is not the load that was asked for."""
_SATURATED = 0.95
"""Share of its core that a worker may use."""
_FOREIGN = 0.5
_KEPT = 5000


class WorkerFacts(msgspec.Struct):
    """What a worker saw of itself. Times in seconds."""

    cpu: float
    wall: float
    lateness: list[float]
    """How late each request began, ascending."""
    lags: list[float]
    """From the arrival of bytes at the kernel to the end of the turn that read them: the longest, ascending."""
    lag_count: int
    stalls: list[float]
    """Silences of the loop."""
    clock_steps: int
    unasked: int
    """Times that bytes came on a connection that waited for nothing."""
    stopped: str | None
    pid: int


@dataclass(eq=False)
class LoadResult:
    """What a load measured.

    Args:
        plan: The load.
        began: When, in seconds of the wall clock.
        records: One a request, by number; warm-up included.
        workers: What the workers saw of themselves.
        machine: On what machine.
        foreign: Share of the machine that others took, 0 to 1; None where that is not known.
        clock: The beginning of the load on the monotonic clock, which monitors have too; None: it is not known.
    """

    plan: LoadPlan
    began: float
    records: Sequence[Record]
    workers: list[WorkerFacts]
    machine: dict[str, str]
    foreign: float | None
    clock: float | None = None
    stopped: str | None = None
    """Why it ended early, by a condition of the test; None: it did not."""
    server_ended: str | None = None
    """How the server's process ended meanwhile, and what that hints at; None: it lives, or is not ours."""

    @property
    def name(self) -> str:
        """What was put under load."""
        return self.plan.name

    @cached_property
    def measured(self) -> Sequence[Record]:
        """The records that count: without warm-up, which comes first."""
        return self.records[sum(1 for _ in itertools.takewhile(lambda one: one.warmup, self.records)) :]

    @cached_property
    def succeeded(self) -> Sequence[Record]:
        return Selection(self.measured, self.tally.good)

    @cached_property
    def tally(self) -> LoadTally:
        """What all figures come from: the records are read once."""
        return LoadTally(self.measured)

    @property
    def failures(self) -> int:
        return self.tally.failures

    @property
    def errors(self) -> dict[str, int]:
        """How many requests failed, by kind, the most frequent first."""
        return dict(self.tally.errors.most_common())

    @property
    def broken(self) -> dict[str, int]:
        """How many answers break each rule."""
        return dict(self.tally.broken.most_common())

    @property
    def span(self) -> float:
        """Seconds from the first start that counts to the last end."""
        return self.tally.ended - self.tally.began if self.measured else 0.0

    @property
    def repeated_ids(self) -> int:
        """Answers whose id another answer had too: they may be answers to other requests."""
        return self.tally.repeated_ids

    def values(self, name: str) -> list[float]:
        """Return the values of a figure that has one per request, token or gap, in SI units and ascending.

        Raises:
            MonitorError: The figure does not exist, or no request has it.
        """
        found = self.sample(name)
        return found.thinned(len(found))

    def sample(self, name: str) -> CountedValues:
        """Return a figure that has a value per request, token or gap: `ttft`, `itl`, `latency`.

        Raises:
            MonitorError: The figure does not exist, or no request has it.
        """
        figure = figure_of(name)
        found = self.tally.sample(name)
        if found is None:
            why = f"; {next(iter(self.tally.no_rate))}" if name in {"rate", "tpot"} and self.tally.no_rate else ""
            raise MonitorError(
                describe(
                    f"The load of '{self.plan.name}' has no {figure.title}",
                    got=f"{len(self.succeeded)} of {len(self.measured)} requests succeeded{why}",
                )
            )
        return found

    @cached_property
    def figures(self) -> list[str]:
        """Names of the figures that this load has."""
        return [name for name in FIGURES if self.tally.sample(name) is not None]

    @cached_property
    def distributions(self) -> dict[str, Distribution]:
        """Every figure that this load has, in full."""
        return {name: self.sample(name).describe(self.plan.seed) for name in self.figures}

    @cached_property
    def totals(self) -> dict[str, float]:
        """Figures of the load as a whole, by name."""
        span, count, tokens = self.span, len(self.measured), self.tally.output_tokens
        return {
            "requests": float(count),
            "failures": float(self.failures),
            "error_rate": self.failures / count if count else 0.0,
            "requests_per_second": len(self.succeeded) / span if span > 0 else 0.0,
            "tokens_per_second": tokens / span if span > 0 else 0.0,
            "output_tokens": float(tokens),
            "concurrency": self.tally.busy / span if span > 0 else 0.0,
            "held_back": float(self.tally.held_back),
            "delivered": self.delivered,
            "repeated_ids": float(self.repeated_ids),
            "error_rate_drift": self._error_drift(),
        }

    def _error_drift(self) -> float:
        """How much larger the share of failed requests is in the last quarter than in the first."""
        quarter = len(self.measured) // 4
        return (self.tally.failed_late - self.tally.failed_early) / quarter if quarter else 0.0

    def _refuse_few(self, name: str) -> None:
        """A total that holds of nothing must not pass.

        Raises:
            MonitorError: The load has too little of what the total counts.
        """
        count, ids, streams = len(self.measured), self.tally.identified, self.tally.streamed
        needed = {
            "error_rate_drift": (count, FEWEST, f"{FEWEST} requests or more"),
            "repeated_ids": (ids, 1, "an answer with an id"),
            "held_back": (streams, 1, "an answer that succeeded and came in chunks"),
        }
        has, least, expected = needed.get(name, (1, 1, ""))
        if has < least:
            raise MonitorError(
                describe(f"{name} of the load of '{self.name}' cannot be told", expected=expected, got=str(has))
            )

    def get(self, name: str) -> float:
        """Return a figure by its name: a total such as `failures`, or `ttft_p99`, `latency_mean`, `itl_max`.

        `ttft_drift` is how much it rose from the first quarter of the load to the last: 0.1 for ten percent.

        Raises:
            MonitorError: The figure does not exist, or this load does not have it.
        """
        if name in self.totals:
            self._refuse_few(name)
            return self.totals[name]
        figure, reduce = read_figure(name, self.totals)
        found = self.sample(figure)
        if reduce is None:
            if (drift := found.drift) is None:
                raise MonitorError(
                    describe(
                        f"A drift of {FIGURES[figure].title} cannot be told",
                        expected="40 values or more",
                        got=str(len(found)),
                        hint="run more requests",
                    )
                )
            return drift
        return found.mean if reduce.rank is None else found.percentile(reduce.rank)

    def goodput(self, **limits: float) -> float:
        """Return the requests a second that keep all limits: `goodput(ttft=0.5, tpot=0.05, latency=10)`, in seconds.

        Raises:
            MonitorError: The figure does not exist.
        """
        for name in limits:
            figure_of(name)
        good = sum(
            all((values := FIGURES[name].values(one)) and max(values) <= limit for name, limit in limits.items())
            for one in self.succeeded
        )
        return good / self.span if self.span > 0 else 0.0

    def concurrency_over_time(self) -> list[tuple[float, int]]:
        """Return (seconds from the beginning, open requests from then on) for each change; of very many, even steps."""
        sent, ended = array("d"), array("d")
        for one in self.records:
            sent.append(one.sent)
            ended.append(one.ended)
        sent, ended = array("d", sorted(sent)), array("d", sorted(ended))
        moments: Iterable[float] = sorted({*sent, *ended}) if len(sent) <= _KEPT else ()
        if len(sent) > _KEPT:
            moments = (sent[0] + (ended[-1] - sent[0]) * step / _KEPT for step in range(_KEPT + 1))
        return [(when, bisect_right(sent, when) - bisect_right(ended, when)) for when in moments]

    @property
    def idle(self) -> float:
        """Seconds in all that users of a closed loop waited for the client."""
        return sum(max(0.0, one - _AT_ONCE) for facts in self.workers for one in facts.lateness)

    @property
    def delivered(self) -> float:
        """Share of the asked load that was sent: on time in an open loop, without idle users in a closed one."""
        if isinstance(self.plan.schedule, Users):
            busy = self.tally.busy + sum(
                one.latency for one in itertools.takewhile(lambda one: one.warmup, self.records)
            )
            return busy / (busy + self.idle) if busy + self.idle > 0 else 1.0
        asked = self.records[-1].scheduled if self.records else 0.0
        return (
            asked / (asked + max((facts.lateness[-1] for facts in self.workers if facts.lateness), default=0.0))
            if asked
            else 1.0
        )

    @property
    def broken_off(self) -> str | None:
        """By which condition of the test it ended before its end (`stop_when`, `max_error_rate`); None: by none."""
        told = (facts.stopped for facts in self.workers if facts.stopped and facts.stopped != ASKED_TO_STOP)
        return self.stopped or next(told, None)

    @cached_property
    def lateness_p99(self) -> float:
        """Seconds, p99, that requests began after they were due."""
        found = [one for facts in self.workers for one in facts.lateness]
        return percentile(found, 99) if found else 0.0

    @cached_property
    def doubts(self) -> list[str]:
        """Why the result cannot be trusted: what held the client up; empty where nothing did. Gates fail on it."""
        found = []
        closed = isinstance(self.plan.schedule, Users)
        # A short closed loop loses some percent by one late wake-up, which changes none of its figures.
        if self.delivered < _DELIVERED and not (closed and self.idle <= _IDLE):
            found.append(f"{self.delivered:.1%} of the asked load was delivered, {_DELIVERED:.0%} are needed")
        if self.lateness_p99 > _LATE and not closed:
            found.append(
                f"requests began {self.lateness_p99 * 1000:.1f} ms late (p99), {_LATE * 1000:g} ms are tolerated"
            )
        for facts in self.workers:
            if facts.wall > 1 and facts.cpu / facts.wall > _SATURATED:
                found.append(f"a worker used {facts.cpu / facts.wall:.0%} of its core: give it workers= beside it")
            if facts.clock_steps:
                found.append(f"the wall clock was set {facts.clock_steps} times during the run")
            if sum(facts.stalls) > max(0.01 * facts.wall, 0.05):
                found.append(f"a worker stood still for {sum(facts.stalls) * 1000:.0f} ms in all")
        if len(self.workers) < self.plan.workers:
            found.append(f"{len(self.workers)} of {self.plan.workers} workers told how they fared")
        if not self.measured:
            found.append("no request was measured")
        return found

    @cached_property
    def remarks(self) -> list[str]:
        """What a reader must know of the figures, beside `doubts`."""
        found = [f"the server died: {self.server_ended}"] if self.server_ended else []
        if self.tally.loss is not None:
            found.append(f"an answer tells what went wrong: {self.tally.loss.rstrip('.')}")
        if self.delivered < _DELIVERED:
            found.append(f"{self.delivered:.1%} of the asked load was delivered")
        if stalls := [one for facts in self.workers for one in facts.stalls]:
            found.append(f"the client stalled {len(stalls)} times, {max(stalls) * 1000:.0f} ms at most")
        if self.foreign is not None and self.foreign > _FOREIGN:
            found.append(f"other work took {self.foreign:.0%} of this machine")
        cached, prompt = self.tally.cached, self.tally.prompts
        if cached and prompt:
            found.append(f"warm: {cached / prompt:.0%} of the prompts came from a cache")
        if held := self.tally.held_back:
            found.append(f"{held} of {len(self.succeeded)} answers came in lumps: something held them back")
        sources = sorted(self.tally.sources)
        if sources and sources != ["usage"]:
            found.append(f"tokens were counted by {' and '.join(sources)}: not every answer had a usage")
        if resent := self.tally.resent:
            found.append(f"{resent} requests were sent again: the server had closed their idle connections")
        if self.repeated_ids:
            found.append(f"{self.repeated_ids} answers have the id of another one")
        if unasked := sum(facts.unasked for facts in self.workers):
            found.append(f"bytes that nobody had asked for came on idle connections {unasked} times")
        texts, vary = self.plan.prompts.texts, self.plan.prompts.vary
        if texts and not vary and len(self.records) > len(texts):
            found.append(
                f"prompts were repeated ({len(texts)} for {len(self.records)} requests): a cache may have answered"
            )
        found += [self.stopped] if self.stopped else [facts.stopped for facts in self.workers if facts.stopped]
        return found

    def summary(self) -> dict[str, Any]:
        """Everything but the records, as JSON takes it."""
        samples = {name: self.sample(name).thinned(_KEPT) for name in self.figures}
        return {
            "kind": KIND,
            "schema": SCHEMA,
            "name": self.plan.name,
            "url": self.plan.url,
            "load": str(self.plan.schedule),
            "began": self.began,
            "machine": self.machine,
            "totals": self.totals,
            "figures": {name: one.facts() for name, one in self.distributions.items()},
            "samples": samples,
            "errors": self.errors,
            "broken_rules": self.broken,
            "judged": self.tally.judged,
            "client": {
                "lateness_p99": self.lateness_p99,
                "cpu": [facts.cpu / facts.wall if facts.wall else 0.0 for facts in self.workers],
                "lag_max": max((facts.lags[-1] for facts in self.workers if facts.lags), default=None),
                "stalls": [one for facts in self.workers for one in facts.stalls],
                "foreign_cpu": self.foreign,
            },
            "doubts": self.doubts,
            "remarks": self.remarks,
        }

    def save(self, folder: Path, redact: Callable[[str], str] = str) -> list[Path]:
        """Write `summary.json`, `requests.jsonl` and `requests.csv`; return their paths.

        Args:
            folder: Where; it is made.
            redact: Takes secrets out of what servers said.

        Raises:
            InferenceError: A file cannot be written.
        """
        paths = [folder / name for name in ("summary.json", "requests.jsonl", "requests.csv")]
        write_text(paths[0], redact(json.dumps(self.summary(), indent=1)) + "\n")
        names = [name for name in Record.__struct_fields__ if name != "micros"]
        clean = lru_cache(4096)(redact)
        with text_file(paths[1], errors="replace") as lines, text_file(paths[2], errors="replace") as table:
            writer = csv.DictWriter(table, names)
            writer.writeheader()
            for one in self.records:
                values = ((name, getattr(one, name)) for name in names)
                row = {name: clean(value) if isinstance(value, str) else value for name, value in values}
                writer.writerow(row)
                lines.write(json.dumps({**row, "arrivals": one.arrivals}) + "\n")
        return paths

    def __str__(self) -> str:
        parts = [f"{self.plan.name}: {len(self.measured)} requests by {self.plan.schedule} in {self.span:.3g} s"]
        parts.append(f"{self.failures} failed" + (f" ({_counted(self.errors)})" if self.errors else ""))
        parts.append(f"{self.totals['tokens_per_second']:.4g} tokens/s")
        for name in ("ttft", "latency"):
            if (one := self.tally.sample(name)) is not None:
                middle, tail = one.percentile(50) * 1000, one.percentile(99) * 1000
                parts.append(f"{name} p50 {middle:.4g} ms, p99 {tail:.4g} ms")
        return "; ".join(parts + [f"UNTRUSTWORTHY: {one}" for one in self.doubts])

    __repr__ = __str__

    def close(self) -> None:
        """Nothing is held."""


def _counted(errors: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in errors.items())
