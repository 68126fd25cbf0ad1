"""Parts of the simulator by themselves: tokens, draws, latencies, durations, timers."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from statistics import mean, stdev
from time import monotonic

import pytest
from hypothesis import given
from hypothesis import strategies as st

from InferenceLibrary.simulator.answers.latency import Latency
from InferenceLibrary.simulator.answers.schema_values import value_for
from InferenceLibrary.simulator.answers.tokens import (
    _TOKEN,
    Vocabulary,
    count_tokens,
    random_length,
    random_tokens,
    tokenize,
)
from InferenceLibrary.simulator.core.draws import Draws
from InferenceLibrary.simulator.core.durations import parse_duration
from InferenceLibrary.simulator.core.settings import Settings
from InferenceLibrary.simulator.core.timers import Timers

EXPECTED = [235, 236, 493, 651]


@given(st.text())
def test_tokens_join_to_the_text(text):
    assert "".join(tokenize(text)) == text
    assert count_tokens(text) == len(tokenize(text))


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("one two, three", ["one", " two", ",", " three"]),
        ("東京 é", ["東", "京", " é"]),
        ("  two", ["  ", "two"]),
        ("a\n\nb", ["a", "\n\n", "b"]),
        ("👩‍👧", ["👩", "\u200d", "👧"]),
    ],
)
def test_tokens(text, tokens):
    assert tokenize(text) == tokens


def test_random_text_has_the_length_asked_for():
    for count in (0, 1, 7, 5000):
        tokens = random_tokens(Draws(1), count)
        assert len(tokens) == count
        assert len(tokenize("".join(tokens))) == count


@pytest.mark.parametrize(
    ("limit", "edges"), [(61, [0, 12, 24, 36, 48, 60, 61]), (100, [0, 19, 39, 59, 79, 99, 100]),
                         (200, [0, 20, 40, 60, 180, 199, 200])]
)  # fmt: skip
def test_lengths_follow_upstreams_histogram(limit, edges):
    draws = Draws(1)
    lengths = [random_length(draws, limit, 1000) for _ in range(6000)]
    shares = [sum(low < length <= high for length in lengths) / 60 for low, high in pairwise(edges)]
    assert shares == pytest.approx([20, 30, 20, 5, 10, 15], abs=2)


def test_lengths_without_room_for_a_histogram():
    draws = Draws(1)
    assert {random_length(draws, 4, 1000) for _ in range(200)} == {1, 2, 3, 4}
    assert {random_length(draws, 1, 1000) for _ in range(10)} == {1}


def test_lengths_without_a_limit():
    draws = Draws(1)
    free = [random_length(draws, None, 1000) for _ in range(4000)]
    assert mean(free) == pytest.approx(40, abs=2)
    assert min(free) >= 1


def test_draws_are_the_same_on_every_machine():
    draws = Draws("seed", 7)
    assert [draws.below(1000) for _ in range(4)] == EXPECTED


def test_normal_draws():
    draws = Draws(3)
    found = [draws.normal(10, 2) for _ in range(5000)]
    assert mean(found) == pytest.approx(10, abs=0.15)
    assert stdev(found) == pytest.approx(2, abs=0.1)


def test_latencies_vary_within_bounds():
    settings = Settings(seed=1, inter_token_latency=0.1, inter_token_latency_std_dev=0.03, time_to_first_token=1.0)
    latency = Latency(settings)
    gaps = latency.gaps(2000, 1)
    assert isinstance(gaps, list)
    assert 0.03 <= min(gaps) <= max(gaps) <= 0.17
    assert mean(gaps) == pytest.approx(0.1, abs=0.005)
    assert latency.first(100, 1) == 1.0


def test_load_factor():
    settings = Settings(time_factor_under_load=3.0, max_num_seqs=5, time_to_first_token=1.0, inter_token_latency=0.1)
    latency = Latency(settings)
    assert [latency.first(1, running) for running in (1, 3, 5)] == [1.0, 2.0, 3.0]
    assert latency.gap(5) == pytest.approx(0.3)
    (gap,) = latency.gaps(1, 3)
    assert (gap, gap.alone) == (pytest.approx(0.2), 0.1)


def test_prefill_and_transfer():
    settings = Settings(prefill_overhead=0.1, prefill_time_per_token=0.01, kv_cache_transfer_time_per_token=0.002)
    latency = Latency(settings)
    assert latency.first(50, 1) == pytest.approx(0.6)
    assert latency.first(50, 1, cached=20) == pytest.approx(0.4)
    assert latency.first(50, 1, remote_prefill=True) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("200ms", 0.2),
        ("1.5s", 1.5),
        ("1m30s", 90),
        ("0", 0),
        ("50us", 5e-5),
        ("2h", 7200),
        ("100ns", 1e-7),
        (".5s", 0.5),
    ],
)
def test_durations(text, seconds):
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "5", "ms", "-5ms", "5 ms", "5mss", "1e3s", "٣s"])
def test_no_durations(text):
    with pytest.raises(ValueError, match=r"duration|unit"):
        parse_duration(text)


def test_values_fit_their_schema():
    schema = {
        "type": "object",
        "properties": {
            "a": {"$ref": "#/$defs/small"},
            "b": {"type": "array", "items": {"type": "boolean"}, "minItems": 2, "maxItems": 2},
            "c": {"anyOf": [{"type": "null"}, {"type": "string"}]},
            "d": {"type": "string", "minLength": 30, "maxLength": 35},
            "e": {"const": 7},
        },
        "required": ["a", "b", "c", "d", "e"],
        "$defs": {"small": {"type": "integer", "minimum": 3, "maximum": 4}},
    }
    for seed in range(50):
        value = value_for(schema, Draws(seed), Settings())
        assert value["a"] in {3, 4}
        assert len(value["b"]) == 2
        assert value["c"] is None
        assert 30 <= len(value["d"]) <= 35
        assert value["e"] == 7


def test_recursive_schema_ends():
    schema = {
        "$ref": "#/$defs/n",
        "$defs": {"n": {"type": "object", "properties": {"n": {"$ref": "#/$defs/n"}}, "required": ["n"]}},
    }
    assert value_for(schema, Draws(1), Settings())


def test_token_ids_are_remembered_up_to_a_size():
    vocabulary = Vocabulary(limit=10_000)
    first = vocabulary.ids("first")
    assert vocabulary.text(first) == "first"
    numbers = vocabulary.ids(" ".join(f"word{number}" for number in range(1000)))
    assert vocabulary.text(numbers[-20:]) == "".join(f" word{number}" for number in range(980, 1000))
    assert len(vocabulary._tokens) < 100
    with pytest.raises(KeyError):
        vocabulary.text(first)
    assert vocabulary.ids("first") == first
    long = "x" * 20_000
    assert vocabulary.text(vocabulary.ids(long)) == long


@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_timers_call_in_order_and_never_early(monkeypatch, platform):
    # Elsewhere there is no timerfd, and the loop's own timers serve.
    monkeypatch.setattr("InferenceLibrary.simulator.core.timers.sys.platform", platform)

    async def run() -> list[tuple[int, float]]:
        loop = asyncio.get_running_loop()
        timers = Timers(loop)
        found: list[tuple[int, float]] = []
        done = loop.create_future()
        begin = monotonic()
        for number, delay in ((3, 0.03), (1, 0.01), (2, 0.02)):
            due = begin + delay
            timers.at(due, lambda number=number, due=due: found.append((number, monotonic() - due)))
        cancelled = timers.at(begin + 0.015, lambda: found.append((9, 0.0)))
        timers.cancel(cancelled)
        timers.cancel(cancelled)
        timers.at(begin + 0.05, lambda: done.set_result(None))
        await done
        timers.close()
        return found

    found = asyncio.run(run())
    assert [number for number, _ in found] == [1, 2, 3]
    # The loop's own timers may be a clock tick early.
    assert all(late >= (0 if platform == "linux" else -0.002) for _, late in found)


def test_many_timers_share_wake_ups():
    async def run() -> tuple[list[tuple[float, float]], int]:
        loop = asyncio.get_running_loop()
        timers = Timers(loop)
        found: list[tuple[float, float]] = []
        wake_ups = set()
        done = loop.create_future()
        begin = monotonic() + 0.005

        def call(due: float) -> None:
            found.append((due, monotonic()))
            wake_ups.add(timers._woke)

        for _ in range(200):
            timers.at(begin + 3600, lambda: None)
        for number in range(400):
            due = begin + number * 50e-6
            timers.at(due, lambda due=due: call(due))
        timers.at(begin + 0.03, lambda: done.set_result(None))
        await done
        timers.close()
        return found, len(wake_ups)

    found, wake_ups = asyncio.run(run())
    assert [due for due, _ in found] == sorted(due for due, _ in found)
    assert len(found) == 400
    # Never before the end of the millisecond that the due time falls into, so at most one wake-up for each of 21.
    assert all(when >= due - due % 1e-3 + 999e-6 for due, when in found)
    assert wake_ups <= 22


def test_an_error_in_one_call_leaves_the_others():
    async def run() -> list[int]:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: None)
        timers = Timers(loop)
        found: list[int] = []
        done = loop.create_future()
        due = monotonic() + 0.005
        timers.at(due, lambda: found.append(1))
        timers.at(due, lambda: found.append(1 // 0))
        cancelled = timers.at(due, lambda: found.append(9))
        timers.at(due, lambda: found.append(2))
        timers.at(due, lambda: done.set_result(None))
        timers.cancel(cancelled)
        await asyncio.wait_for(done, 10)
        assert (timers._pending, timers._dead, timers._calls) == (0, 0, {})
        timers.close()
        return found

    assert asyncio.run(run()) == [1, 2]


def test_cancelled_timers_are_forgotten():
    async def run() -> int:
        timers = Timers(asyncio.get_running_loop())
        for _ in range(10_000):
            timers.cancel(timers.at(monotonic() + 3600, lambda: None))
        size = len(timers._heap)
        timers.close()
        return size

    assert asyncio.run(run()) < 3000


@given(st.text(st.characters(max_codepoint=127)) | st.text())
def test_plain_texts_have_the_tokens_of_all_texts(text: str) -> None:
    assert tokenize(text) == _TOKEN.findall(text)
    assert count_tokens(text) == len(tokenize(text))


def test_draws_that_need_not_be_repeated_are_even() -> None:
    places = [Draws.at(place * 0xD1B54A32D192ED03).below(10) for place in range(5000)]
    assert all(400 < places.count(digit) < 600 for digit in range(10))
