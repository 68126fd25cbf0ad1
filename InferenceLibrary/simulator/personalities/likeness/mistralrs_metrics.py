"""The metrics of mistral.rs: requests by path, model and status, and sequences of its engine."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import accumulate, pairwise
from time import monotonic
from typing import TYPE_CHECKING

from InferenceLibrary.simulator.core.delivery import deliver
from InferenceLibrary.simulator.core.draft import Draft

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.turn import Turn
    from InferenceLibrary.simulator.personalities.likeness.personality import Likeness

_LIMITS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1200)
"""Upper limits of the buckets, in seconds."""
_NOT_COUNTED = frozenset({"/health", "/metrics"})
_UNMATCHED = "<unmatched>"
_Labels = tuple[tuple[str, str], ...]


class _Histogram:
    """How long something took, in seconds."""

    def __init__(self) -> None:
        self._counts = [0] * (len(_LIMITS) + 1)
        self.count = 0
        self._sum = 0.0

    def add(self, seconds: float) -> None:
        self._counts[bisect_left(_LIMITS, seconds)] += 1
        self.count += 1
        self._sum += seconds

    def lines(self, name: str, labels: _Labels = ()) -> Iterator[str]:
        """Yield the samples."""
        for limit, below in zip((*(f"{one:g}" for one in _LIMITS), "+Inf"), accumulate(self._counts), strict=True):
            yield f"{name}_bucket{_in((*labels, ('le', limit)))} {below}"
        yield f"{name}_sum{_in(labels)} {self._sum:.9g}"
        yield f"{name}_count{_in(labels)} {self.count}"


class Metrics:
    """What happened since the start, by the labels of the real server.

    Args:
        server: The stand-in.
    """

    def __init__(self, server: Likeness) -> None:
        self._server = server
        self._seconds: dict[_Labels, _Histogram] = {}
        self._seen: dict[_Labels, None] = {}
        self._open: dict[Turn, _Labels] = {}
        self._tokens = 0
        self._reasons: Counter[str] = Counter()
        self._first, self._gaps = _Histogram(), _Histogram()
        server.app.on_generating.append(self._begin)
        server.app.on_ended.append(self._end)

    def _labels(self, turn: Turn) -> _Labels:
        path = self._server.place_of(turn.request.path) or _UNMATCHED
        model = self._server.app.settings.names[0] if path in self._server.generating else "none"
        return ("method", turn.request.method), ("path", path.replace("*", "{id}")), ("model", model)

    def _begin(self, turn: Turn) -> None:
        self._open[turn] = labels = self._labels(turn)
        self._seen[labels] = None
        turn.at_end(self._open.__delitem__)

    def _end(self, turn: Turn) -> None:
        if turn.request.path in _NOT_COUNTED or not turn.status:
            return
        labels = (*self._labels(turn), ("status", str(turn.status)))
        self._seen[labels[:3]] = None
        self._seconds.setdefault(labels, _Histogram()).add(monotonic() - turn.started)
        if turn.tokens:
            self._tokens += turn.prompt_tokens + turn.tokens
            self._reasons["canceled" if turn.outcome == "cancelled" else turn.finish_reason or "stop"] += 1
            self._first.add(turn.first_token - turn.started)
            for early, late in pairwise(turn.token_times or ()):
                self._gaps.add(late - early)

    def told(self, turn: Turn) -> None:
        """Answer with the metrics, or that there are none."""
        server = self._server
        if server.flags.get("disable-metrics"):
            deliver(turn, Draft(503, content_type=server.choices.metrics_type, body=b"metrics disabled"))
            return
        lines = [line for name, kind, samples in self._families() for line in _family(name, kind, samples)]
        text = "\n".join(lines) + "\n"
        deliver(turn, Draft(content_type=server.choices.metrics_type, body=text.encode()))

    def _families(self) -> Iterator[tuple[str, str, Iterable[str]]]:
        name = "http_requests_total"
        yield name, "counter", [f"{name}{_in(one)} {found.count}" for one, found in self._seconds.items()]
        name = "http_requests_in_flight"
        # An answer whose client has left is made to its end, and does not count as in flight.
        open_ = Counter(one for turn, one in self._open.items() if not turn.connection.transport.is_closing())
        yield name, "gauge", [f"{name}{_in(one)} {open_[one]}" for one in self._seen]
        name = "http_request_duration_seconds"
        yield name, "histogram", [line for one, found in self._seconds.items() for line in found.lines(name, one)]
        if not self._reasons:
            # The engine has no metrics before its first answer.
            return
        yield "mistralrs_tokens_processed_total", "counter", [f"mistralrs_tokens_processed_total {self._tokens}"]
        # It never goes back to zero.
        running = max(1, self._server.app.running)
        yield "mistralrs_sequences_running", "gauge", [f"mistralrs_sequences_running {running}"]
        waiting = len(self._server.app.waiting)
        yield "mistralrs_sequences_waiting", "gauge", [f"mistralrs_sequences_waiting {waiting}"]
        name = "mistralrs_sequences_completed_total"
        yield name, "counter", [f'{name}{{reason="{reason}"}} {count}' for reason, count in self._reasons.items()]
        for name, found in (
            ("mistralrs_time_to_first_token_seconds", self._first),
            ("mistralrs_inter_token_latency_seconds", self._gaps),
        ):
            yield name, "histogram", list(found.lines(name))


def _family(name: str, kind: str, samples: Iterable[str]) -> list[str]:
    return [f"# TYPE {name} {kind}", *samples, ""]


def _in(labels: _Labels) -> str:
    return "{" + ",".join(f'{name}="{value}"' for name, value in labels) + "}" if labels else ""
