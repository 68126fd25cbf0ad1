"""The figures of generations against streams whose times are known."""

# ruff: noqa: E501 - messages are quoted whole

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from InferenceLibrary.errors import MonitorError
from InferenceLibrary.load.generation import read_generation
from InferenceLibrary.load.measurement import Measurement, read_percentile
from InferenceLibrary.load.sequential import measure_generation


@dataclass
class FakeChunk:
    arrival: float


@dataclass
class FakeUsage:
    completion_tokens: int | None


@dataclass
class FakeStream:
    tokens: list[FakeChunk] = field(default_factory=list)
    usage: FakeUsage | None = None
    elapsed: float = 1.0
    finish_reason: str | None = "stop"


def stream(*arrivals: float, usage: int | None = None, elapsed: float | None = None) -> FakeStream:
    return FakeStream(
        [FakeChunk(arrival) for arrival in arrivals],
        FakeUsage(usage) if usage is not None else None,
        elapsed if elapsed is not None else (arrivals[-1] if arrivals else 0.0),
    )


def measured(*streams: FakeStream) -> Measurement:
    replies = iter(streams)
    return measure_generation(lambda: next(replies), name="fake", iterations=len(streams))


def test_figures_of_known_times() -> None:
    # First token after 0.2 s, then five tokens in 0.5 s: ten tokens a second.
    measurement = measured(stream(0.2, 0.3, 0.4, 0.5, 0.6, 0.7, usage=6, elapsed=0.75))
    assert measurement.get("time to first token") == 0.2
    assert measurement.get("tokens per second") == pytest.approx(10)
    assert measurement.get("inter-token latency", "max") == pytest.approx(0.1)
    assert measurement.get("end-to-end latency") == 0.75
    assert measurement.output_tokens == 6
    assert measurement.counted == "counted by the server"
    assert str(measurement) == (
        "fake: 1 generation, 6 tokens (counted by the server); "
        "medians: first token after 200 ms, 10 tokens/s, whole answer in 750 ms"
    )


def test_tokens_are_those_of_the_server_when_chunks_hold_several() -> None:
    # Three chunks, twelve tokens.
    assert measured(stream(0.1, 0.2, 0.3, usage=12)).get("tokens per second") == pytest.approx(11 / 0.2)
    without = measured(stream(0.1, 0.2, 0.3))
    assert without.get("tokens per second") == pytest.approx(2 / 0.2)
    assert without.counted == "counted by chunks: no usage reported"
    assert measured(stream(0.1, 0.2, usage=2), stream(0.1, 0.2)).token_sources == ("chunks", "usage")


def test_percentiles_go_over_generations_and_gaps() -> None:
    measurement = measured(stream(0.1, 0.2), stream(0.3, 0.5), stream(0.2, 0.7))
    assert measurement.get("time to first token") == 0.2
    assert measurement.get("time to first token", "max") == 0.3
    assert measurement.get("time to first token", "p75") == pytest.approx(0.25)
    assert measurement.get("time to first token", "mean") == pytest.approx(0.2)
    assert measurement.get("tokens per second", "min") == pytest.approx(2)
    assert measurement.values("inter-token latency") == pytest.approx([0.1, 0.2, 0.5])
    interval = measurement.interval("time to first token")
    assert (interval.low, interval.high, interval.reached) == (0.1, 0.3, False)


@given(st.lists(st.floats(0.001, 1), min_size=2, max_size=50), st.floats(0.001, 1))
def test_rate_is_the_inverse_of_the_mean_gap(gaps: list[float], first: float) -> None:
    arrivals = list(itertools.accumulate([first, *gaps]))
    generation = read_generation(stream(*arrivals), 0.0)
    assert generation is not None
    assert generation.tokens_per_second == pytest.approx(len(gaps) / sum(gaps))
    assert generation.gaps == pytest.approx(gaps)


def test_warm_up_does_not_count() -> None:
    replies = iter([stream(9.0, 9.1), stream(0.1, 0.2), stream(0.3, 0.4)])
    measurement = measure_generation(lambda: next(replies), name="fake", iterations=2, warmup=1)
    assert measurement.values("time to first token") == [0.1, 0.3]
    assert measurement.warmup == 1


@pytest.mark.parametrize(
    ("streams", "options", "message"),
    [
        ([stream()], {"iterations": 1}, "Iteration 1 of 1 of the measurement of 'fake' generated nothing: expected at least one token, got a stream without output (finish reason: stop) after 0.00 s."),
        ([stream(0.1), stream()], {"iterations": 2}, "Iteration 2 of 2 of the measurement of 'fake' generated nothing"),
        ([stream()], {"iterations": 1, "warmup": 1}, "A warm-up of the measurement of 'fake' generated nothing"),
        ([], {"iterations": 0}, "A measurement needs iterations: expected 1 or more, got 0."),
        ([], {"iterations": 1, "warmup": -1}, "The warm-up of a measurement is wrong: expected 0 or more, got -1."),
    ],
)  # fmt: skip
def test_measurements_of_nothing_fail(streams: list[FakeStream], options: dict[str, Any], message: str) -> None:
    replies = iter(streams)
    with pytest.raises(MonitorError) as error:
        measure_generation(lambda: next(replies), name="fake", **options)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("look", "message"),
    [
        (lambda: Measurement("empty").get("tokens per second"), "The measurement of 'empty' is empty: expected generations, got none."),
        (lambda: measured(stream(0.1)).get("tokens per second"), "The measurement of 'fake' has no tokens per second: expected two or more tokens that arrive one after the other, got 1 in 1 chunk at one moment in iteration 1."),
        (lambda: measured(stream(0.1, 0.2), stream(0.1, 0.1)).get("tokens per second"), "The measurement of 'fake' has no tokens per second: expected two or more tokens that arrive one after the other, got 2 in 2 chunks at one moment in iteration 2."),
        (lambda: measured(stream(0.1)).get("inter-token latency"), "The measurement of 'fake' has no inter-token latency: expected two or more chunks with output, got one in each generation."),
    ],
)  # fmt: skip
def test_figures_that_do_not_exist_fail(look: Callable[[], float], message: str) -> None:
    with pytest.raises(MonitorError) as error:
        look()
    assert str(error.value) == message


def test_measurement_without_a_rate_still_shows() -> None:
    assert "no rate" in str(measured(stream(0.1)))
    assert str(Measurement("empty")) == "empty: nothing measured"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("p50", 2.0), ("50", 2.0), ("P0", 1.0), ("p100", 4.0), ("p99.9", 3.996), ("median", 2.0), ("mean", 7 / 3), ("min", 1.0), (" max ", 4.0)],
)  # fmt: skip
def test_percentiles_have_names(text: str, expected: float) -> None:
    assert read_percentile(text)([1.0, 2.0, 4.0]) == pytest.approx(expected)


@pytest.mark.parametrize("text", ["", "p", "p101", "p-1", "q50", "average", "50%"])
def test_unknown_percentiles_are_refused(text: str) -> None:
    with pytest.raises(MonitorError, match=r"Unknown percentile: expected p50, p99\.9 or the like, median, .*, got '"):
        read_percentile(text)
