# ruff: noqa: E501 - each message stands on one line, as the reader of a log sees it
"""Keywords against answers and connections that no server at hand gives: made byte by byte, judged in a Robot run."""

from __future__ import annotations

import json
import re
import socket
import sys
from collections.abc import Iterator

import pytest
from inner_suites import InnerRun, run_inner
from wire_server import WireServer, answer


def ranking(*pairs: tuple[object, object]) -> str:
    return json.dumps({"results": [{"index": index, "relevance_score": score} for index, score in pairs]})


def scores(*pairs: tuple[object, object]) -> str:
    return json.dumps({"data": [{"index": index, "score": score} for index, score in pairs]})


ANSWERS = {
    "RANKED": ranking((2, 0.9), (0, 0.5), (1, 0.01)),
    "WORST": ranking((1, 0.01), (0, 0.5), (2, 0.9)),
    "BEST": ranking((2, 0.9)),
    "NO_RESULTS": '{"data": []}',
    "LIST": '[{"index": 0, "score": 1}]',
    "TWICE": ranking((2, 0.9), (0, 0.5), (0, 0.4)),
    "BEYOND": ranking((3, 0.9), (0, 0.5), (1, 0.4)),
    "NO_INDEX": ranking((2, 0.9), (0, 0.5), ([], 0.4)),
    "NO_SCORE": ranking((2, 0.9), (0, 0.5), (1, "high")),
    "SCORED": scores((0, 0.5), (1, 0.01), (2, 1)),
    "SCORED_TWICE": scores((0, 0.5), (0, 0.01), (2, 1)),
    "SCORED_HIGH": scores((0, 0.5), (1, "high"), (2, 1)),
    "PROMPT": '{"prompt": "a cat"}',
    "CONTENT": '{"content": "a cat"}',
    "NUMBER": '{"prompt": 7}',
    "DEFAULT_ROUTE": "{}",
    "LLAMA_ROUTE": "{}",
    "MISTRAL_ROUTE": "{}",
}
"""Bodies of the servers, by the variable that holds the address."""

ROUTES = {
    "DEFAULT_ROUTE": [
        ("POST /v1/models/org%2Fphi%204/load", {"context_length": 64}),
        ("POST /v1/models/org%2Fphi%204/unload", {}),
    ],
    "LLAMA_ROUTE": [("POST /models/load", {"model": "org/phi 4"}), ("POST /models/unload", {"model": "org/phi 4"})],
    "MISTRAL_ROUTE": [
        ("POST /v1/models/reload", {"model_id": "org/phi 4"}),
        ("POST /v1/models/unload", {"model_id": "org/phi 4"}),
    ],
}
"""What these servers must have been sent."""

MESSAGES = {
    "Connect Limit": r"POST .*: expected an answer, got no answer within the connect limit of 0\.3 s \(nothing had arrived\) after .*",
    "Connect Limit Of A Total That Ends First": r"POST .*: expected an answer, got .*total time limit of 0\.3 s.*",
    "Rerank Without Results": r"Ranking: RK1: .* Got results null\.",
    "Rerank With The Worst First": r"Ranking: RK2: The best document comes first, .* Got 0\.5 of result 1 after 0\.01\. \(2 times\)",
    "Rerank With A List": r"POST .*/v1/rerank of .*: expected a JSON object, got application/json: '\[.*\]' after .*",
    "Rerank With An Index Twice": r"Ranking: RK3: .* Got index 0 of result 2 again\.",
    "Rerank With An Index Beyond": r"Ranking: RK3: .* Got index 3 of result 0 for 3 documents\.",
    "Rerank With An Index That Is No Number": r"Ranking: RK1: .* Got index \[\] of result 2\.",
    "Rerank With A Score That Is No Number": r'Ranking: RK1: .* Got relevance_score "high" of result 2\.',
    "Score Without Scores": r"Scores: SC1: .* Got 0 scores for 3 pairs\.",
    "Score With A List": r"POST .*/v1/score of .*: expected a JSON object, got application/json: '\[.*\]' after .*",
    "Score Of Another Document": r"Scores: SC1: .* Got index 0 of score 1\.",
    "Score That Is No Number": r'Scores: SC1: .* Got score "high" of pair 1\.',
    "Rerank With Too Many": r"Ranking: RK4: .* Got 3 results, 2 expected\.",
    "Detokenize Without Text": r"Text of tokens: expected it in 'prompt' or 'content', got \{\"data\": \[\]\}\.",
    "Detokenize With A Number": r"Text of tokens: expected it in 'prompt' or 'content', got \{\"prompt\": 7\}\.",
    "Metric Of A Page Without Metrics": r"Metric vllm:num_requests_running: there is no sample of it\. The page holds no sample at all, but lines such as '\{\"data\": \[\]\}'\.",
    "Detokenize With A List": r"Text of tokens: expected it in 'prompt' or 'content', got \[.*\]\.",
}


@pytest.fixture(scope="module")
def full() -> Iterator[str]:
    """The address of a listener whose backlog is full: Linux drops what comes, and a connect hangs."""
    if sys.platform != "linux":
        pytest.skip("A full backlog makes a connect hang on Linux only.")
    waiting: list[socket.socket] = []
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            waiting.append(socket.socket())
            waiting[-1].setblocking(False)
            waiting[-1].connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        for connection in waiting:
            connection.close()


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, WireServer]]:
    started = {name: WireServer([[answer(body, headers="Connection: close\r\n")]]) for name, body in ANSWERS.items()}
    yield started
    for server in started.values():
        server.close()


@pytest.fixture(scope="module")
def run(full: str, servers: dict[str, WireServer], tmp_path_factory: pytest.TempPathFactory) -> InnerRun:
    addresses = {"FULL": full} | {name: server.url for name, server in servers.items()}
    given = [part for name, url in addresses.items() for part in ("--variable", f"{name}:{url}")]
    return run_inner("wire_answers.robot", tmp_path_factory.mktemp("wire_answers"), *given)


def test_what_is_right_passes(run: InnerRun) -> None:
    assert {name: test.message for name, test in run.tests.items() if test.status != "FAIL" or name[:4] == "Good"} == {
        name: "" for name in run.tests if name.startswith("Good")
    }


@pytest.mark.parametrize("test", MESSAGES)
def test_what_is_wrong_is_told_in_one_line(run: InnerRun, test: str) -> None:
    assert run[test].status == "FAIL"
    assert re.fullmatch(MESSAGES[test], run[test].first_line), run[test].first_line
    assert "Traceback" not in run[test].message


def test_every_test_is_read(run: InnerRun) -> None:
    assert {name for name in run.tests if not name.startswith("Good")} == set(MESSAGES)


@pytest.mark.parametrize("name", ROUTES)
def test_models_are_loaded_by_the_routes_of_the_profile(
    run: InnerRun, servers: dict[str, WireServer], name: str
) -> None:
    heads = [request.partition(b"\r\n\r\n") for request in servers[name].requests]
    assert [(head.decode().partition(" HTTP/")[0], json.loads(body)) for head, _, body in heads] == ROUTES[name]
