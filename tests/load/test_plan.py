"""Schedules, prompts and the bytes of requests."""

# ruff: noqa: E501 - messages are quoted whole

from __future__ import annotations

import itertools
import json
import statistics
from pathlib import Path
from typing import Any

import pytest

from InferenceLibrary.client.route import Route
from InferenceLibrary.errors import MonitorError
from InferenceLibrary.load.plan import LoadPlan, Rate, Replay, Users
from InferenceLibrary.load.requests import Kind, Prompts
from InferenceLibrary.load.wording import Wording

URL = "http://127.0.0.1:1"


def test_a_constant_rate_is_even_and_bursts_keep_it() -> None:
    assert list(itertools.islice(Rate(50).arrivals(1), 4)) == pytest.approx([0, 0.02, 0.04, 0.06])
    assert list(itertools.islice(Rate(10, burst=5).arrivals(1), 11)) == pytest.approx([0] * 5 + [0.5] * 5 + [1.0])


def test_a_ramp_rises_evenly() -> None:
    times = list(itertools.takewhile(lambda when: when <= 12, Rate(10, end_rate=30, ramp=10).arrivals(1)))
    # The area below the rate: 200 until the end of the ramp, then 30 a second.
    assert sum(when < 10 for when in times) == pytest.approx(200, abs=1)
    assert sum(when < 5 for when in times) == pytest.approx(75, abs=1)
    assert times[-1] - times[-31] == pytest.approx(1)


@pytest.mark.parametrize("workers", [1, 4, 8])
def test_poisson_arrivals_of_all_workers_together_are_poisson(workers: int) -> None:
    parts = [
        list(itertools.islice(Rate(50, poisson=True).arrivals(7), share, 1600, workers)) for share in range(workers)
    ]
    times = sorted(itertools.chain(*parts))
    assert len(times) == 1600
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert statistics.fmean(gaps) == pytest.approx(0.02, rel=0.1)
    counts = [sum(second <= when < second + 1 for when in times) for second in range(int(times[-1]))]
    assert 0.6 <= statistics.variance(counts) / statistics.fmean(counts) <= 1.5
    assert abs(statistics.correlation(gaps[:-1], gaps[1:])) < 0.1


def test_requests_are_the_same_for_all_who_ask_and_vary_by_their_number() -> None:
    plan = LoadPlan(
        URL,
        Users(1),
        (Kind.chat(name="a"), Kind("b", "/x", '{"q": "{prompt}"}', weight=3)),
        Prompts(tokens=12, shared_prefix=4),
        1,
    )
    one, other = Wording(plan), Wording(plan)
    found = [one.request(number) for number in range(400)]
    assert found == [other.request(number) for number in range(400)]
    assert 250 < sum(kind for kind, _, _ in found) < 350
    prompts = [prompt for _, prompt, _ in found]
    assert len(set(prompts)) == 400
    assert len({tuple(prompt.split()[:4]) for prompt in prompts}) == 1
    assert {len(prompt.split()) for prompt in prompts} == {12}
    for kind, prompt, data in found[:20]:
        head, _, body = data.partition(b"\r\n\r\n")
        assert f"content-length: {len(body)}".encode() in head
        assert prompt in (json.loads(body)["messages"][0]["content"] if kind == 0 else json.loads(body)["q"])


def test_given_prompts_vary_unless_they_shall_not(tmp_path: Path) -> None:
    assert Prompts(("Hi",)).text(1).endswith(": Hi")
    assert Prompts(("Hi",)).text(1) != Prompts(("Hi",)).text(2)
    file = tmp_path / "prompts.txt"
    file.write_text('plain\n\n{"prompt": "an object"}\n"a text"\n')
    assert [Prompts.from_file(file).text(number) for number in range(4)] == ["plain", "an object", "a text", "plain"]
    file.write_text('{"other": 1}\n')
    with pytest.raises(MonitorError, match=r"Line 1 of '.*' is not a prompt: expected text, or JSON such as"):
        Prompts.from_file(file)
    file.write_text("\n")
    with pytest.raises(MonitorError, match="has no prompts"):
        Prompts.from_file(file)
    with pytest.raises(MonitorError, match="cannot be read"):
        Prompts.from_file(tmp_path / "none")


def test_a_trace_is_read(tmp_path: Path) -> None:
    file = tmp_path / "trace.jsonl"
    file.write_text('{"timestamp": 5.5}\n5\n7\n')
    assert Replay.from_file(file).times == (0, 0.5, 2)
    file.write_text("1\ntrue\n")
    with pytest.raises(MonitorError, match=r"Line 2 of the trace '.*' has no time"):
        Replay.from_file(file)
    file.write_text("")
    with pytest.raises(MonitorError, match="has no times"):
        Replay.from_file(file)
    file.write_text("x\n")
    with pytest.raises(MonitorError, match="cannot be read"):
        Replay.from_file(file)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"url": "ftp://x"}, "A load cannot be sent there: expected http://host:port or https://host, got 'ftp://x'."),
        ({"url": "nowhere"}, "A load cannot be sent there: expected http://host:port or https://host, got 'nowhere'."),
        ({"route": Route(proxy="http://p:1")}, "A load goes to its server directly: a proxy would be measured too: expected proxy=none, got 'http://p:1'."),
        ({"turns": 0}, "A load cannot be run: turns is out of range: expected 1 to 1000, got 0."),
        ({"turns": 2, "schedule": Rate(5)}, "Conversations belong to users: expected users= beside turns=, got 5 requests/s (constant)."),
        ({"turns": 2, "kinds": (Kind("e", "/v1/embeddings", '{"input": "{prompt}"}'),)}, "The kind 'e' cannot hold a conversation: expected a chat whose last message asks."),
        ({"requests": None}, "A load has no end: expected requests=, duration=, or both."),
        ({"requests": 0}, "A load cannot be run: requests is out of range: expected 1 to 1e+09, got 0."),
        ({"schedule": Users(0)}, "A load cannot be run: users is out of range: expected 1 to 100000, got 0."),
        ({"schedule": Users(1, think=-1)}, "A load cannot be run: think is out of range: expected 0 to 86400, got -1."),
        ({"schedule": Rate(0)}, "A load cannot be run: rate is out of range: expected 1e-06 to 1e+06, got 0."),
        ({"schedule": Rate(float("nan"))}, "A load cannot be run: rate is out of range: expected 1e-06 to 1e+06, got nan."),
        ({"schedule": Rate(5, end_rate=0, ramp=1)}, "A load cannot be run: rate is out of range: expected 1e-06 to 1e+06, got 0."),
        ({"cancel": 1.5}, "A load cannot be run: cancel is out of range: expected 0 to 1, got 1.5."),
        ({"judged": -0.5}, "A load cannot be run: judged is out of range: expected 0 to 1, got -0.5."),
        ({"workers": 0}, "A load cannot be run: workers is out of range: expected 1 to 256, got 0."),
        ({"kinds": ()}, "A load has nothing to send: expected kinds whose weights are above zero."),
    ],
)  # fmt: skip
def test_what_cannot_be_run_is_refused(changes: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"url": URL, "schedule": Users(1), "requests": 1, **changes}
    with pytest.raises(MonitorError) as error:
        LoadPlan(**given).check()
    assert str(error.value) == message
