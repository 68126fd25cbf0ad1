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
from InferenceLibrary.load import sequential
from InferenceLibrary.load.generation import DecodingRate, Outputs, generation_of, read_generation
from InferenceLibrary.load.measurement import Measurement, read_percentile
from InferenceLibrary.load.sequential import measure_generation
from InferenceLibrary.protocol.pieces import Piece, ToolCall
from InferenceLibrary.protocol.usage_details import NO_DETAILS, UsageDetails, read_usage_details


@dataclass
class FakeChunk:
    arrival: float
    text: str = "word "

    @property
    def pieces(self) -> list[Piece]:
        return [Piece(text=self.text)]


@dataclass
class FakeUsage:
    completion_tokens: int | None
    prompt_tokens: int | None = None


@dataclass
class FakeStream:
    tokens: list[FakeChunk] = field(default_factory=list)
    usage: FakeUsage | None = None
    elapsed: float = 1.0
    finish_reason: str | None = "stop"
    usage_details: UsageDetails = NO_DETAILS


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
    # Three chunks, twelve tokens: four of them came before the clock of decoding runs.
    lumps = [FakeChunk(arrival, "four words of text ") for arrival in (0.1, 0.2, 0.3)]
    assert measured(FakeStream(lumps, FakeUsage(12), 0.35)).get("tokens per second") == pytest.approx(8 / 0.2)
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


def test_a_long_measurement_is_told_while_it_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = itertools.count(100, 3)
    monkeypatch.setattr(sequential.time, "monotonic", lambda: float(next(clock)))
    told: list[str] = []
    measure_generation(lambda: stream(0.1, 0.2), name="fake", iterations=4, warmup=1, progress=told.append)
    # The clock goes on by 3 s at each look, twice a generation; what is done at the end is not told.
    assert told == [
        "Measuring 'fake': the warm-up after 6 s",
        "Measuring 'fake': 1 of 4 generations after 12 s",
        "Measuring 'fake': 2 of 4 generations after 18 s",
        "Measuring 'fake': 3 of 4 generations after 24 s",
    ]


def test_a_short_measurement_is_quiet() -> None:
    told: list[str] = []
    measure_generation(lambda: stream(0.1, 0.2), name="fake", iterations=4, progress=told.append)
    assert told == []


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
        (lambda: measured(stream(0.1)).get("tokens per second"), "The measurement of 'fake' has no tokens per second: expected two or more tokens whose times are known, got 1 token shown: a rate needs two or more (iteration 1)."),
        (lambda: measured(stream(0.1, 0.2), stream(0.1, 0.1)).get("tokens per second"), "The measurement of 'fake' has no tokens per second: expected two or more tokens whose times are known, got 2 tokens in 2 chunks at one moment: something held them back (iteration 2)."),
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


def spoken(arrivals: list[float], text: str, tokens: int | None, elapsed: float, **details: int) -> FakeStream:
    usage = FakeUsage(tokens) if tokens is not None else None
    return FakeStream([FakeChunk(one, text) for one in arrivals], usage, elapsed, "stop", UsageDetails(**details))


def rate_of(recorded: FakeStream) -> DecodingRate:
    generation = read_generation(recorded, 0.0)
    assert generation is not None
    return generation.rate


def test_several_tokens_a_chunk_are_no_faster() -> None:
    # 15 of 20 tokens follow the first chunk within 0.3 s.
    assert rate_of(spoken([0.1, 0.2, 0.3, 0.4], "five words of a text ", 20, 0.45)).value == pytest.approx(50)
    generation = read_generation(spoken([0.1, 0.2, 0.3, 0.4], "five words of a text ", 20, 0.45), 0.0)
    assert generation is not None
    assert not generation.is_a_token_a_chunk
    assert generation.token_latencies == pytest.approx([0.02])
    assert generation.gaps == pytest.approx([0.1] * 3)
    # A first chunk of one token before larger ones: 20 follow it.
    chunks = [
        FakeChunk(0.1, "The"),
        *(FakeChunk(0.1 * place, "ten more words of the same text, in all, ") for place in (2, 3)),
    ]
    assert rate_of(FakeStream(chunks, FakeUsage(21), 0.35)).value == pytest.approx(20.3 / 0.2, rel=0.02)


def test_words_of_one_letter_are_a_token_each() -> None:
    # 15 tokens follow the first chunk within 0.3 s.
    assert rate_of(spoken([0.2, 0.3, 0.4, 0.5], "w w w w w ", 20, 0.5)).value == pytest.approx(50)


@pytest.mark.parametrize(
    ("recorded", "reason"),
    [
        (spoken([1.0] * 30 + [1.02] * 30, "word ", 60, 1.07), "60 tokens came in 2 bursts within 20 ms of 1.07 s: something held them back"),
        (spoken([1.0, 1.02], "thirty words " * 15, 60, 1.07), "60 tokens came in 2 bursts within 20 ms of 1.07 s: something held them back"),
        (spoken([0.8] * 40, "word ", 40, 0.81), "40 tokens in 40 chunks at one moment: something held them back"),
        (spoken([0.05, 0.1, 0.15, 0.2], "word ", 500, 0.2), "500 tokens are counted, but what was shown in 4 chunks can be 10 at most: the others are hidden, and their time is unknown"),
        (spoken([0.1 * place for place in range(1, 51)], "word ", 2, 5.1), "2 tokens are counted, but 50 chunks with output came"),
        (spoken([0.1], "word ", 1, 0.2), "1 token shown: a rate needs two or more"),
    ],
)  # fmt: skip
def test_a_rate_that_would_lie_is_refused_with_its_reason(recorded: FakeStream, reason: str) -> None:
    assert rate_of(recorded) == DecodingRate(None, reason)


def test_hidden_tokens_that_the_server_tells_do_not_count() -> None:
    hidden = spoken([0.05, 0.1, 0.15, 0.2], "word ", 504, 0.2, reasoning_tokens=500)
    assert rate_of(hidden).value == pytest.approx(3 / 0.15)


def test_a_long_prompt_before_fast_chunks_is_not_held_back() -> None:
    arrivals = [5 + 0.01 * place for place in range(20)]
    assert rate_of(spoken(arrivals, "five words of a text ", 100, 5.2)).value == pytest.approx(500)


def test_a_warm_measurement_says_so() -> None:
    one = spoken([0.1, 0.2], "word ", 2, 0.3, cached_tokens=40)
    one.usage = FakeUsage(2, 50)
    found = measured(one)
    assert found.cached_share == pytest.approx(0.8)
    assert str(found).endswith("; warm: 80% of the prompts came from a cache")
    assert measured(stream(0.1, 0.2)).cached_share is None


def test_each_channel_has_its_first_output() -> None:
    outputs = Outputs()
    assert not outputs.add(0.1, [Piece(role="assistant")])
    assert outputs.add(0.2, [Piece(reasoning="Hm")])
    assert outputs.add(0.5, [Piece(text="Yes")])
    assert outputs.add(0.7, [Piece(tool_calls=(ToolCall(0, "a", "f", ""),))])
    assert outputs.channels == {"reasoning": 0.2, "text": 0.5, "tool calls": 0.7}
    found = generation_of(outputs, started=0.0, elapsed=1.0)
    assert found is not None
    assert (found.time_to_first_token, found.time_to_second_token) == (0.2, pytest.approx(0.3))


@pytest.mark.parametrize(
    ("data", "found"),
    [
        ({"usage": {"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4}}}, UsageDetails(4)),
        ({"usage": {"completion_tokens_details": {"reasoning_tokens": 7}}}, UsageDetails(None, 7)),
        ({"type": "message_start", "message": {"usage": {"cache_read_input_tokens": 3}}}, UsageDetails(3)),
        ({"type": "response.completed", "response": {"usage": {"output_tokens_details": {"reasoning_tokens": 2}}}}, UsageDetails(None, 2)),
        ({"timings": {"cache_n": 9, "predicted_per_second": 50.5}}, UsageDetails(9, None, 50.5)),
        ({"usage": {"prompt_tokens_details": {"cached_tokens": True}}, "timings": {"predicted_per_second": float("inf")}}, NO_DETAILS),
        ({"usage": [1]}, NO_DETAILS),
        ("text", NO_DETAILS),
    ],
)  # fmt: skip
def test_details_of_a_usage_are_read(data: Any, found: UsageDetails) -> None:
    assert read_usage_details(data) == found
