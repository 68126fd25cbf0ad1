"""What models of a size usually take, and what is said of those that take longer."""

# ruff: noqa: E501 - messages are quoted whole

from __future__ import annotations

import re
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from InferenceLibrary import InferenceLibrary
from InferenceLibrary.errors import CheckFailure, MonitorError
from InferenceLibrary.keywords.expected_latencies import ExpectedLatencyKeywords
from InferenceLibrary.load.expected import class_of


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("meta-llama/Llama-2-7b-chat-hf", "7B"),
        ("Qwen2.5-0.5B-Instruct", "7B"),
        ("Qwen2.5-14B", "13B"),
        ("gemma-2-27b-it", "13B"),
        ("Llama-3.3-70B-Instruct-AWQ", "70B"),
        ("Llama-3.1-405B", None),
        ("gpt-4", None),
        ("model-7bit", None),
        ("", None),
    ],
)
def test_a_class_is_read_from_the_name(model: str, expected: str | None) -> None:
    assert class_of(model) == expected


def library(model: str | None, profile: str = "vllm") -> tuple[InferenceLibrary, list[str]]:
    lib = InferenceLibrary()
    warned: list[str] = []
    server = SimpleNamespace(name="s", model=model, profile=SimpleNamespace(name=profile), close=lambda: None)
    lib.context.servers.get = lambda _ref: server  # type: ignore[assignment, method-assign]
    return lib, warned


@pytest.mark.parametrize(
    ("took", "options", "failure"),
    [
        (2.9, {}, None),
        (12.0, {}, "warning"),
        (30.1, {}, r"Latency of 's', a model of class 7B: expected up to 3 s, at most 30 s, got 30\.1 s\. Hint: look for other work on the GPU"),
        (30.1, {"model_class": "70B"}, r"a model of class 70B: expected up to 30 s, at most 30 s, got 30\.1 s"),
        (29.0, {"model_class": "70B"}, None),
        (6.0, {"maximum": timedelta(seconds=5)}, r"expected up to 3 s, at most 5 s, got 6 s"),
        (0.09, {"model_class": "simulator"}, None),
        (0.2, {"model_class": "simulator"}, "warning"),
    ],
)  # fmt: skip
def test_a_latency_is_usual_unusual_or_too_high(
    took: float, options: dict[str, Any], failure: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    lib, _ = library("Llama-2-7b")
    warned: list[str] = []
    monkeypatch.setattr("InferenceLibrary.log.Log.warn", lambda _self, text: warned.append(text))
    if failure is None or failure == "warning":
        assert lib.latency_should_be_as_expected(SimpleNamespace(elapsed=took), **options) == took
    else:
        with pytest.raises(CheckFailure, match=failure):
            lib.latency_should_be_as_expected(took, **options)
    assert len(warned) == (failure == "warning")
    assert all(re.search(r"is unusual: expected up to .*, got", text) for text in warned)


def test_what_cannot_be_judged_is_refused() -> None:
    lib, _ = library("gpt-4")
    with pytest.raises(
        MonitorError,
        match=r"The size of the model of 's' is not known: .* got 'gpt-4'\. Hint: give model_class=simulator, 7B",
    ):
        lib.latency_should_be_as_expected(1.0)
    with pytest.raises(MonitorError, match=r"A latency cannot be read: expected a reply, .*, got the text 'soon'\."):
        lib.latency_should_be_as_expected("soon", model_class="7B")
    with pytest.raises(MonitorError, match="A latency cannot be read"):
        lib.latency_should_be_as_expected(float("nan"), model_class="7B")
    simulator, _ = library(None, "simulator")
    assert simulator.latency_should_be_as_expected(0.01) == 0.01
    assert issubclass(type(simulator), ExpectedLatencyKeywords)
