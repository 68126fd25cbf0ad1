"""What one pass over the records of a load gathers: counts by kind, and the values of every figure."""

from __future__ import annotations

import copy
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence

from InferenceLibrary.causes import find_loss
from InferenceLibrary.load.counted import BLOCKS, CountedValues, coarser
from InferenceLibrary.load.figures import FIGURES
from InferenceLibrary.load.record import Record

_FLUSH = 1 << 16
_SERVER_SAYS = ("status 5", "error event")
"""Kinds of failures whose detail is the server's own word."""
_GAPS = ("gap", "itl")


class _Values:
    """The values of one figure, in steps, as they come."""

    def __init__(self) -> None:
        self.fresh = array("q")
        self._counts = Counter[int]()
        self._blocks: list[tuple[int, int]] = []
        self._sum = self._length = 0

    def flush(self) -> None:
        self._counts.update(self.fresh)
        self._sum += sum(self.fresh)
        self._length += len(self.fresh)
        self.fresh = array("q")
        self._counts = coarser(self._counts)

    def end_block(self) -> None:
        self.flush()
        self._blocks.append((self._sum, self._length))
        self._sum = self._length = 0

    def sample(self, step: float) -> CountedValues | None:
        return CountedValues(self._counts, step, self._blocks) if self._counts else None


class LoadTally:
    """Counts and samples of a load.

    Args:
        records: Those that count, by number.
    """

    def __init__(self, records: Sequence[Record]) -> None:
        self.requests = len(records)
        self.good = array("L")
        """Places of the requests that succeeded."""
        self.errors, self.broken, self.sources, self.no_rate = (
            Counter[str](),
            Counter[str](),
            Counter[str](),
            Counter[str](),
        )
        self.judged = self.output_tokens = self.held_back = self.resent = self.cached = self.prompts = 0
        self.streamed = 0
        """Answers that succeeded and came in chunks, or would have."""
        self.busy = 0.0
        """Seconds of all requests together."""
        self.began, self.ended = float("inf"), 0.0
        self.first_failure: Record | None = None
        self.loss: str | None = None
        """What the server lost, its memory or its engine, by the words of an answer that failed."""
        self.failed_early = self.failed_late = 0
        """Failures of the first and of the last quarter."""
        self._ids = array("q")
        """A hash of each answer's id: 64 bits tell a hundred thousand of them apart but once in a billion loads."""
        self._values = {name: _Values() for name in FIGURES if name not in _GAPS}
        self._gaps = _Values()
        self._latencies: _Values | None = None
        """Between tokens, where they are not the gaps."""
        self._samples: dict[str, CountedValues | None] = {}
        self._go_over(records)

    def _go_over(self, records: Iterable[Record]) -> None:
        block, quarter = 0, self.requests // 4
        plain = [(name, FIGURES[name].values, 1 / FIGURES[name].step, self._values[name]) for name in self._values]
        for place, one in enumerate(records):
            if place * BLOCKS // self.requests != block:
                block = place * BLOCKS // self.requests
                self._end_block()
            self._note(one, place, quarter)
            if not one.succeeded:
                continue
            self.good.append(place)
            for _, values, steps, kept in plain:
                for value in values(one):
                    kept.fresh.append(round(value * steps))
            self._add_gaps(one)
        self._end_block()

    def _note(self, one: Record, place: int, quarter: int) -> None:
        self.busy += one.ended - one.sent
        self.began, self.ended = min(self.began, one.sent), max(self.ended, one.ended)
        self.resent += one.resent
        if one.broken is not None:
            self.judged += 1
            self.broken.update(one.broken)
        if one.error is not None:
            self.errors[one.error] += 1
            self.failed_early += place < quarter
            self.failed_late += place >= self.requests - quarter
            if self.first_failure is None and one.detail:
                self.first_failure = one
            if self.loss is None and one.error.startswith(_SERVER_SAYS) and one.detail:
                self.loss = find_loss(one.detail)
        elif not one.cancelled:
            self._note_good(one)

    def _note_good(self, one: Record) -> None:
        self.output_tokens += one.output_tokens
        self.held_back += one.held_back
        self.streamed += one.second_token is not None or one.held_back
        if one.token_source:
            self.sources[one.token_source] += 1
        if one.no_rate:
            self.no_rate[one.no_rate] += 1
        if one.cached_tokens is not None:
            self.cached += one.cached_tokens
            self.prompts += one.prompt_tokens or 0
        if one.answer_id is not None:
            self._ids.append(hash(one.answer_id))

    def _add_gaps(self, one: Record) -> None:
        gaps = one.gap_micros()
        if not one.token_a_chunk and self._latencies is None:
            self._latencies = copy.deepcopy(self._gaps)
        self._gaps.fresh.extend(gaps)
        if self._latencies is not None:
            self._latencies.fresh.extend(gaps if one.token_a_chunk else [round(1e6 / one.rate)] if one.rate else ())
        if len(self._gaps.fresh) > _FLUSH:
            self._gaps.flush()
            if self._latencies is not None:
                self._latencies.flush()

    def _end_block(self) -> None:
        for values in (*self._values.values(), self._gaps, self._latencies):
            if values is not None:
                values.end_block()

    @property
    def failures(self) -> int:
        return self.errors.total()

    @property
    def identified(self) -> int:
        """Answers that succeeded and had an id."""
        return len(self._ids)

    @property
    def repeated_ids(self) -> int:
        """Answers whose id another answer had too."""
        return len(self._ids) - len(set(self._ids))

    def sample(self, name: str) -> CountedValues | None:
        """Return the values of a figure; None where no request has it."""
        if name == "itl" and self._latencies is None:
            name = "gap"  # the same values
        if name not in self._samples:
            values = {"gap": self._gaps, "itl": self._latencies}.get(name) or self._values[name]
            self._samples[name] = values.sample(FIGURES[name].step)
        return self._samples[name]
