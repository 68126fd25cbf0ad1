"""What a skip says."""

from __future__ import annotations

import re

import pytest
from inner_suites import InnerRun, run_inner

from InferenceLibrary.keywords.skips import is_loaded


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> InnerRun:
    return run_inner("wire_skips.robot", tmp_path_factory.mktemp("wire_skips"), env={"LLM_GATEWAY_URL": ""})


SKIPS = {
    "Nobody There": r"Server http://127\.0\.0\.1:9 is not available: connection refused\. Hint: start it\.",
    "Only Errors There": r"Server http://127\.0\.0\.1:\d+ is not available: status 503\. Hint: start it first\.",
    "No Gateway Known": r"No gateway is known\. Start it and set LLM_GATEWAY_URL to its address\.",
    "Gateway Not There": r"Gateway http://127\.0\.0\.1:9 is not available: connection refused\. Hint: .*",
    "No Model": r"'simulator' has no loaded model \(0 are listed\)\. Load one, .*",
}


@pytest.mark.parametrize("test", SKIPS)
def test_what_is_missing_is_told(run: InnerRun, test: str) -> None:
    assert run[test].status == "SKIP"
    assert re.fullmatch(SKIPS[test], run[test].first_line), run[test].first_line


@pytest.mark.parametrize("test", ["Somebody There", "A Model"])
def test_what_is_there_is_not_skipped(run: InnerRun, test: str) -> None:
    assert run[test].status == "PASS", run[test].message


@pytest.mark.parametrize(
    ("item", "loaded"),
    [
        ({"id": "m"}, True),
        ({"id": "m", "loaded": True}, True),
        ({"id": "m", "loaded": False}, False),
        ({"id": "m", "status": "loaded"}, True),
        ({"id": "m", "status": "ready"}, True),
        ({"id": "m", "status": {"value": "loaded"}}, True),
        ({"id": "m", "status": "available"}, False),
        ({"id": "m", "status": "unloaded"}, False),
        ({"id": "m", "status": "loading"}, False),
        ({"id": "m", "status": {"value": "sleeping"}}, False),
    ],
)
def test_a_model_is_loaded_when_its_list_does_not_say_otherwise(item: dict[str, object], loaded: bool) -> None:
    assert is_loaded(item) is loaded
