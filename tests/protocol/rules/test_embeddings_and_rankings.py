"""Rules of embeddings, model lists, rankings, scores and tokens: each kind fails for its own reason."""

from __future__ import annotations

import base64
import struct
from typing import Any

import pytest
from protocol.rules.exchanges import answer, found
from protocol.rules.typed_exchanges import WHOLE, Change, both, drop, good, put

from InferenceLibrary.protocol.exchange import Held
from InferenceLibrary.protocol.rules.book import judge

EMBEDDINGS, MODELS, RERANK, SCORE = "/v1/embeddings", "/v1/models", "/v1/rerank", "/score"


def coded(*numbers: float) -> str:
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


@pytest.mark.parametrize("path", [path for path, _, _ in WHOLE])
def test_good_answers_keep_all_rules(path: str) -> None:
    judgement = judge(good(path))
    assert judgement.broken == ()
    assert judgement.not_judged == {}


@pytest.mark.parametrize(
    ("path", "rules"),
    [
        (EMBEDDINGS, {"E1", "E2", "E3", "E5", "E6"}),
        (MODELS, {"M1", "M3"}),
        (f"{MODELS}/m", {"M4"}),
        (RERANK, {"RK1", "RK2", "RK3", "RK4"}),
        (SCORE, {"SC1"}),
        ("/tokenize", {"TK1"}),
        ("/detokenize", {"TK2"}),
        ("/v1/chat/completions", {"O1", "O2", "O3", "O4"}),
    ],
)
def test_the_rules_are_asked(path: str, rules: set[str]) -> None:
    assert rules <= set(judge(good(path)).kept)


@pytest.mark.parametrize(
    ("path", "change", "breach"),
    [
        (EMBEDDINGS, lambda data: [data], ("E1", "missing")),
        (EMBEDDINGS, drop("model"), ("E1", "missing")),
        (EMBEDDINGS, put("embedding", "object"), ("E1", "wrong")),
        (EMBEDDINGS, put("x", "data", 1), ("E1", "item")),
        (EMBEDDINGS, put("vector", "data", 1, "object"), ("E1", "item")),
        (EMBEDDINGS, put(2, "data", 1, "index"), ("E1", "index")),
        (EMBEDDINGS, put(True, "data", 1, "index"), ("E1", "index")),
        (EMBEDDINGS, put(None, "data", 1, "embedding"), ("E1", "embedding")),
        (EMBEDDINGS, put([[0.1, 0.2, 0.3]], "data", 1, "embedding"), ("E1", "embedding")),
        (EMBEDDINGS, put([0.1, None, 0.3], "data", 1, "embedding"), ("E1", "embedding")),
        (EMBEDDINGS, both(put([], "data", 0, "embedding"), put([], "data", 1, "embedding")), ("E1", "embedding")),
        (EMBEDDINGS, drop("data", 1), ("E1", "count")),
        (EMBEDDINGS, drop("usage"), ("E1", "usage")),
        (EMBEDDINGS, put(0, "usage", "prompt_tokens"), ("E1", "usage")),
        (EMBEDDINGS, put("2", "usage", "total_tokens"), ("E1", "usage")),
        (EMBEDDINGS, put(coded(0.1, 0.2, 0.3), "data", 1, "embedding"), ("E2", "not a list")),
        (EMBEDDINGS, put([0.1, 0.2], "data", 1, "embedding"), ("E3", "lengths")),
        (MODELS, put(None, "data"), ("M1", "missing")),
        (MODELS, put("m", "data", 1), ("M1", "item")),
        (MODELS, put("", "data", 1, "id"), ("M1", "id")),
        (MODELS, put("m", "data", 1, "id"), ("M1", "twice")),
        (MODELS, put("models", "object"), ("M3", "list")),
        (MODELS, drop("data", 1, "created"), ("M3", "model")),
        (f"{MODELS}/m", put("n", "id"), ("M4", "id")),
        (RERANK, put(None, "results"), ("RK1", "results")),
        (RERANK, put("b", "results", 2), ("RK1", "result")),
        (RERANK, drop("results", 0, "index"), ("RK1", "index")),
        (RERANK, drop("results", 0, "relevance_score"), ("RK1", "score")),
        (RERANK, put("0.9", "results", 0, "relevance_score"), ("RK1", "score")),
        (RERANK, put(float("nan"), "results", 0, "relevance_score"), ("RK1", "score")),
        (RERANK, lambda data: data["results"].reverse(), ("RK2", "order")),
        (RERANK, put(0.6, "results", 2, "relevance_score"), ("RK2", "order")),
        (RERANK, put(1, "results", 2, "index"), ("RK3", "twice")),
        (RERANK, put(3, "results", 2, "index"), ("RK3", "no document")),
        (RERANK, put(-1, "results", 2, "index"), ("RK3", "no document")),
        (RERANK, drop("results", 2), ("RK4", "too few")),
        (SCORE, put(None, "data"), ("SC1", "data")),
        (SCORE, put(5, "data", 1), ("SC1", "item")),
        (SCORE, put(2, "data", 1, "index"), ("SC1", "index")),
        (SCORE, put(None, "data", 1, "score"), ("SC1", "score")),
        (SCORE, put(float("inf"), "data", 1, "score"), ("SC1", "score")),
        (SCORE, drop("data", 1), ("SC1", "count")),
        ("/tokenize", drop("tokens"), ("TK1", "tokens")),
        ("/tokenize", put("x", "tokens", 1), ("TK1", "token")),
        ("/tokenize", put({"piece": "x"}, "tokens", 1), ("TK1", "token")),
        ("/tokenize", put(3, "count"), ("TK1", "count")),
        ("/detokenize", put(None, "prompt"), ("TK2", "text")),
        ("/v1/chat/completions", put("yes", "orchestration"), ("O1", "no object")),
        ("/v1/chat/completions", put("vote", "orchestration", "mode"), ("O1", "mode")),
        ("/v1/chat/completions", put([], "orchestration", "models_used"), ("O1", "models_used")),
        (
            "/v1/chat/completions",
            put(-1, "orchestration", "total_inference_time_ms"),
            ("O1", "total_inference_time_ms"),
        ),
        ("/v1/chat/completions", put("debate", "orchestration", "mode"), ("O2", "mode")),
        ("/v1/chat/completions", put(["m"], "orchestration", "models_used"), ("O3", "models")),
        ("/v1/chat/completions", put(["m", "m"], "orchestration", "models_used"), ("O3", "twice")),
        ("/v1/chat/completions", put(0, "orchestration", "rounds"), ("O3", "rounds")),
        ("/v1/chat/completions", put(1.5, "orchestration", "final_score"), ("O4", "final_score")),
        ("/v1/chat/completions", put(float("nan"), "orchestration", "confidence"), ("O4", "confidence")),
        ("/v1/chat/completions", put(-0.1, "orchestration", "agreement_score"), ("O4", "agreement_score")),
    ],
)
def test_an_answer_breaks_the_rule(path: str, change: Change, breach: tuple[str, str]) -> None:
    assert breach in found(good(path, change))


def base64_of(*rows: tuple[float, ...]) -> Change:
    return both(*(put(coded(*row), "data", place, "embedding") for place, row in enumerate(rows)))


@pytest.mark.parametrize(
    ("asked", "change", "breach"),
    [
        ({"encoding_format": "base64"}, None, ("E2", "not base64")),
        ({"dimensions": 2}, None, ("E3", "dimensions")),
        ({"encoding_format": "base64"}, base64_of((0.1, 0.2), (0.1, 0.2, 0.3)), ("E3", "lengths")),
        ({"encoding_format": "base64"}, base64_of((0.1, float("nan")), (0.1, 0.2)), ("E6", "not finite")),
        ({"encoding_format": "base64"}, base64_of((0.1, float("-inf")), (0.1, 0.2)), ("E6", "not finite")),
        ({"encoding_format": "base64"}, put("AAA", "data", 0, "embedding"), ("E1", "embedding")),
        ({"input": ""}, drop("data", 1), ("E5", "taken")),
        ({"input": []}, None, ("E5", "taken")),
        ({"input": ["Paris", ""]}, None, ("E5", "taken")),
        ({"input": 5}, drop("data", 1), ("E5", "taken")),
    ],
)
def test_embeddings_are_not_what_was_asked_for(asked: Any, change: Change | None, breach: tuple[str, str]) -> None:
    assert breach in found(good(EMBEDDINGS, change, asked=asked))


def test_numbers_that_are_not_finite_are_found_in_lists_too() -> None:
    assert ("E6", "not finite") in found(good(EMBEDDINGS, put(float("nan"), "data", 0, "embedding", 1)))


@pytest.mark.parametrize(
    ("path", "asked", "change"),
    [
        (EMBEDDINGS, {"encoding_format": "base64"}, base64_of((0.1, 0.2), (0.1, 0.2))),
        (EMBEDDINGS, {"dimensions": 3}, None),
        (EMBEDDINGS, {"input": [5, 6, 7]}, drop("data", 1)),
        (EMBEDDINGS, {"input": [[5, 6], [7]]}, None),
        (RERANK, {"top_n": 2}, drop("results", 2)),
        (RERANK, {"top_n": 0}, None),
        (RERANK, {"top_n": 9}, None),
        (SCORE, {"text_1": ["a", "b"], "text_2": ["a", "b"]}, None),
        ("/tokenize", {}, drop("count")),
        ("/tokenize", {}, put([{"id": 5, "piece": "Pa"}, {"id": 6, "piece": "ris"}], "tokens")),
        ("/detokenize", {}, lambda data: {"content": data["prompt"]}),
    ],
)
def test_answers_that_are_right(path: str, asked: Any, change: Change | None) -> None:
    assert found(good(path, change, asked=asked)) == set()


def test_more_results_than_top_n() -> None:
    assert found(good(RERANK, asked={"top_n": 2})) == {("RK4", "too many")}


def test_the_form_of_tei_is_another_api() -> None:
    call = good(RERANK, lambda data: [{"index": 0, "score": 0.5}], asked={"documents": None, "texts": ["a"]})
    assert ("RK1", "results") in found(call)
    asked = {"query": "a", "texts": ["a"]}
    assert found(answer(RERANK, asked, [{"index": 0, "score": 0.5}])) == set()


def test_without_the_request_the_form_is_judged_and_the_rest_is_not() -> None:
    judgement = judge(good(EMBEDDINGS, drop("model"), held=frozenset({Held.HEADERS, Held.BODY})))
    assert judgement.broken == ("E1",)
    assert {"E2", "E5"} <= set(judgement.not_judged)
    for path in (RERANK, SCORE, MODELS):
        assert judge(good(path, held=frozenset({Held.HEADERS, Held.BODY}))).broken == ()
