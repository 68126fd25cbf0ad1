"""Rules over several calls, asked of the calls that a test makes one after another."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from robot.api import SkipExecution
from robot.api.types import Secret

from InferenceLibrary import InferenceLibrary
from InferenceLibrary.errors import CheckFailure
from InferenceLibrary.types import JsonObject


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a simulator that these tests share; what was called before is known to each library alone."""
    library = InferenceLibrary()
    library.context.output_dir = tmp_path_factory.mktemp("simulator")
    yield library.start_server("simulator").base_url
    library.close()


@pytest.fixture
def lib(tmp_path: Path) -> Iterator[InferenceLibrary]:
    lib = InferenceLibrary(rules="fail-should")
    lib.context.output_dir = tmp_path
    yield lib
    lib.close()


def faulty(fault: str) -> dict[str, Any]:
    return {"headers": JsonObject({"x-inference-fault": fault})}


def test_metrics_that_do_not_count_fail_their_second_reading(lib: InferenceLibrary, simulator: str) -> None:
    lib.connect_to_server(simulator, profile="simulator")
    lib.send_request("GET", "/metrics", **faulty("metrics-frozen"))
    lib.chat("one")
    with pytest.raises(CheckFailure, match="R9: The metrics count each answer"):
        lib.send_request("GET", "/metrics", **faulty("metrics-frozen"))
    lib.chat("one")


def test_what_a_call_breaks_beside_another_is_told_once(lib: InferenceLibrary, simulator: str) -> None:
    lib.connect_to_server(simulator, profile="simulator")
    lib.chat("one")
    with pytest.raises(CheckFailure, match="M2: A model that is served is in the model list"):
        lib.send_request("GET", "/v1/models", **faulty("model-unlisted"))
    lib.send_request("GET", "/health")


def test_streams_of_a_server_that_answers_by_chance_are_not_compared(lib: InferenceLibrary) -> None:
    lib.start_server("simulator", arguments=["--as", "llm-d", "--mode", "random"])
    question = ("Write a long story.",)
    # Three choices are hardly the same by chance.
    how: dict[str, Any] = {"temperature": 0, "n": 3}
    lib.chat(*question, **how)
    with pytest.raises(CheckFailure, match="C19: The joined texts of a stream are those of the whole answer"):
        lib.stream_chat(*question, **how)
    with pytest.raises(SkipExecution, match="repeatable answers"):
        lib.skip_unless_server_supports("repeatable answers")
    lib.chat(*question, **how)
    lib.stream_chat(*question, **how)


def test_a_server_that_wanted_a_key_wants_it_for_the_same_path(lib: InferenceLibrary) -> None:
    lib.start_server("simulator", arguments=["--api-key", "of-the-house"], api_key=Secret("of-the-house"))
    lib.send_request("GET", "/v1/models", api_key="none", **faulty("accepts-any-key"))
    lib.chat("one", api_key="none", expected_status=401)
    lib.send_request("GET", "/v1/models", api_key="none", **faulty("accepts-any-key"))
    lib.chat("one")
    with pytest.raises(CheckFailure, match=r"R4: .* Got status 200 for a call without a key"):
        lib.chat("one", api_key="none", **faulty("accepts-any-key"))


def test_a_refusal_by_401_where_there_is_no_key_says_nothing_of_keys(lib: InferenceLibrary, simulator: str) -> None:
    lib.connect_to_server(simulator, profile="simulator")
    lib.chat("one", expected_status=401, **faulty("status:code=401"))
    lib.chat("one")
