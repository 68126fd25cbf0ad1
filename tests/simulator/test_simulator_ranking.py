"""Documents put in order: the routes /rerank and /score, as vLLM has them."""

from __future__ import annotations

import re

import pytest

from InferenceLibrary.simulator.answers import ranking

RERANK = ["/rerank", "/v1/rerank", "/v2/rerank"]
SCORE = ["/score", "/v1/score"]
QUERY = "What is the capital of France?"
DOCUMENTS = ["Cats sleep all day.", "Paris is the capital of France.", "The capital of Italy is Rome."]


def rerank(simulator, path="/v1/rerank", **more):
    return simulator.request("POST", path, {"query": QUERY, "documents": DOCUMENTS, **more})


@pytest.mark.parametrize("path", RERANK)
def test_documents_are_ranked(simulator, path):
    body = rerank(simulator, path, model="fake-model").json
    assert body["id"].startswith("rerank-")
    assert body["model"] == "fake-model"
    assert [item["index"] for item in body["results"]] == [1, 2, 0]
    assert [item["document"]["text"] for item in body["results"]] == [DOCUMENTS[1], DOCUMENTS[2], DOCUMENTS[0]]
    # Common words twice, over the words of both: 5 of 6 and 6, 4 of 6 and 6, none.
    assert [item["relevance_score"] for item in body["results"]] == pytest.approx([10 / 12, 8 / 12, 0])
    # The query is read with each document.
    assert body["usage"] == {"prompt_tokens": 3 * 7 + 5 + 7 + 7, "total_tokens": 40}


@pytest.mark.parametrize(
    ("query", "document", "expected"),
    [
        ("The SAME words", "the same, words!", 1.0),
        ("straße", "STRASSE", 1.0),
        ("東京", "京", 2 / 3),
        ("snake_case here", "snake_case", 2 / 3),
        ("?", "?", 0.0),
        ("", "a", 0.0),
        ("a", "", 0.0),
    ],
)
def test_relevance_is_that_of_the_words(simulator, query, document, expected):
    results = rerank(simulator, query=query, documents=[document]).json["results"]
    assert results[0]["relevance_score"] == pytest.approx(expected)


@pytest.mark.parametrize(("top_n", "count"), [(1, 1), (2, 2), (3, 3), (9, 3), (0, 3), (-1, 3), (None, 3)])
def test_as_many_as_asked_for(simulator, top_n, count):
    body = rerank(simulator, top_n=top_n).json
    assert [item["index"] for item in body["results"]] == [1, 2, 0][:count]
    assert body["usage"]["total_tokens"] == 40


def test_equal_documents_keep_their_order(simulator):
    results = rerank(simulator, documents=["x", "France", "y", "France"]).json["results"]
    assert [item["index"] for item in results] == [1, 3, 0, 2]


@pytest.mark.parametrize(
    ("wrong", "status", "param"),
    [
        ({"query": None}, 400, "query"),
        ({"query": 7}, 400, "query"),
        ({"query": [QUERY]}, 400, "query"),
        ({"documents": None}, 400, "documents"),
        ({"documents": []}, 400, "documents"),
        ({"documents": 7}, 400, "documents"),
        ({"documents": ["a", 7]}, 400, "documents"),
        ({"documents": [{"content": []}]}, 400, "documents"),
        ({"top_n": "three"}, 400, "top_n"),
        ({"top_n": 1.5}, 400, "top_n"),
        ({"top_n": True}, 400, "top_n"),
        ({"model": 7}, 400, "model"),
        ({"model": "nobody"}, 404, "model"),
    ],
)
def test_wrong_rankings_are_refused(simulator, wrong, status, param):
    answer = rerank(simulator, **wrong)
    assert (answer.status, answer.json["error"]["param"]) == (status, param)


@pytest.mark.parametrize("path", SCORE)
@pytest.mark.parametrize(
    "names", [("text_1", "text_2"), ("queries", "documents"), ("queries", "items"), ("data_1", "data_2")]
)
def test_pairs_are_scored(simulator, path, names):
    first, second = names
    body = simulator.request("POST", path, {first: QUERY, second: DOCUMENTS}).json
    assert body["id"].startswith("score-")
    assert (body["object"], body["model"]) == ("list", "fake-model")
    assert [(item["index"], item["object"]) for item in body["data"]] == [(0, "score"), (1, "score"), (2, "score")]
    assert [item["score"] for item in body["data"]] == pytest.approx([0, 10 / 12, 8 / 12])
    assert body["usage"] == {"prompt_tokens": 40, "total_tokens": 40, "completion_tokens": 0}


@pytest.mark.parametrize(
    ("left", "right", "scores"),
    [("a", "a", [1]), (["a"], ["a", "b"], [1, 0]), (["a", "b"], ["a", "b"], [1, 1]), (["a", "b"], ["b", "a"], [0, 0])],
)
def test_one_text_or_as_many_as_the_others(simulator, left, right, scores):
    data = simulator.request("POST", "/v1/score", {"text_1": left, "text_2": right}).json["data"]
    assert [item["score"] for item in data] == scores


@pytest.mark.parametrize(
    ("wrong", "status", "param"),
    [
        ({"text_1": None}, 400, "text_1"),
        ({"text_2": None}, 400, "text_2"),
        ({"text_1": []}, 400, "text_1"),
        ({"text_2": []}, 400, "text_2"),
        ({"text_1": ["a", "b"]}, 400, "text_1"),
        ({"text_2": [7]}, 400, "text_2"),
        ({"model": "nobody"}, 404, "model"),
    ],
)
def test_wrong_pairs_are_refused(simulator, wrong, status, param):
    answer = simulator.request("POST", "/v1/score", {"text_1": "a", "text_2": "b", **wrong})
    assert (answer.status, answer.json["error"]["param"]) == (status, param)


@pytest.mark.parametrize(
    ("path", "names"), [("/v1/rerank", ("query", "documents")), ("/v1/score", ("text_1", "text_2"))]
)
def test_both_texts_must_fit_into_the_context(start_simulator, path, names):
    simulator = start_simulator("--max-model-len", "10")
    first, second = names
    fits = simulator.request("POST", path, {first: "a b", second: ["c", "a b c d e f g h"]})
    assert fits.json["usage"]["total_tokens"] == 3 + 10
    error = simulator.request("POST", path, {first: "a b", second: ["c", "a b c d e f g h i"]}).json["error"]
    assert (error["code"], error["param"]) == (None, second)
    assert "maximum context length is 10 tokens. However, you requested 11 tokens" in error["message"]


def test_each_text_is_read_once(monkeypatch):
    """A long query with many documents would else hold up the server."""
    read = []
    for name in ("tokenize", "count_tokens"):
        function = getattr(ranking, name)
        monkeypatch.setattr(ranking, name, lambda text, function=function: read.append(text) or function(text))
    ranking.rerank({"query": "q", "documents": ["d", "e", "d"]}, 10)
    assert sorted(read) == ["d", "d", "e", "e", "q", "q"]


def test_rankings_are_counted(start_simulator):
    simulator = start_simulator("--control-port", "0")
    rerank(simulator)
    simulator.request("POST", "/v1/score", {"text_1": "a", "text_2": "b"})
    assert rerank(simulator, query=None).status == 400
    counters = simulator.stats()
    assert (counters["received"], counters["completed"], counters["failed"]) == (3, 2, 1)
    assert counters["prompt_tokens"] == 42
    metrics = simulator.request("GET", "/metrics").body.decode()
    assert re.search(r"vllm:prompt_tokens_total\{.*\} 42\n", metrics)
    assert re.search(r'vllm:request_success_total\{.*"stop"\} 2\n', metrics)
    assert re.search(r"vllm:generation_tokens_total\{.*\} 0\n", metrics)


def test_an_adapter_ranks_under_its_name(simulator):
    simulator.request("POST", "/v1/load_lora_adapter", {"lora_name": "ranker", "lora_path": "/r"})
    assert rerank(simulator, model="ranker").json["model"] == "ranker"


def test_no_failures_are_injected_into_rankings(start_simulator):
    simulator = start_simulator("--failure-injection-rate", "100")
    assert simulator.chat().status != 200
    assert rerank(simulator).status == 200
