"""Faults of rankings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from InferenceLibrary.simulator.faults.kinds import Values, define
from InferenceLibrary.simulator.faults.requests import json_of

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.draft import Draft
    from InferenceLibrary.simulator.core.turn import Turn

_PATHS = ("/rerank", "/v1/rerank", "/v2/rerank")
_SCORES = ("/score", "/v1/score")


def _results(draft: Draft) -> list[dict[str, Any]]:
    return draft.body.get("results", []) if isinstance(draft.body, dict) else []


rerank_worst_first = define("rerank-worst-first", "gives the worst document first", breaks=("RK2",), paths=_PATHS)


@rerank_worst_first.draft
def rerank_worst_first_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    _results(draft).reverse()


rerank_index_twice = define(
    "rerank-index-twice",
    "gives the second document the index of the best",
    breaks=("RK3",),
    paths=_PATHS,
)


@rerank_index_twice.draft
def rerank_index_twice_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    results = _results(draft)
    for result in results[1:2]:
        result["index"] = results[0]["index"]


rerank_score_missing = define("rerank-score-missing", "gives the best document no score", breaks=("RK1",), paths=_PATHS)


@rerank_score_missing.draft
def rerank_score_missing_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    for result in _results(draft)[:1]:
        del result["relevance_score"]


ignores_top_n = define("ignores-top-n", "returns all documents, whatever top_n says", breaks=("RK4",), paths=_PATHS)


@ignores_top_n.answer
def ignores_top_n_answer(turn: Turn, _values: Values) -> bool:
    data = json_of(turn)
    documents = data.get("documents")
    if isinstance(documents, list) and isinstance(data.get("top_n"), int) and data["top_n"] < len(documents):
        del data["top_n"]
    return False


rerank_index_out_of_range = define(
    "rerank-index-out-of-range", "gives the last document an index that no document has", breaks=("RK3",), paths=_PATHS
)


@rerank_index_out_of_range.draft
def rerank_index_out_of_range_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    for result in _results(draft)[-1:]:
        result["index"] += 1000


rerank_score_text = define("rerank-score-text", "gives the scores as texts", breaks=("RK1",), paths=_PATHS)


@rerank_score_text.draft
def rerank_score_text_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    for result in _results(draft):
        result["relevance_score"] = str(result["relevance_score"])


rerank_document_lost = define("rerank-document-lost", "leaves out the last document", breaks=("RK4",), paths=_PATHS)


@rerank_document_lost.draft
def rerank_document_lost_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    del _results(draft)[-1:]


def _scores(draft: Draft) -> list[dict[str, Any]]:
    items = draft.body.get("data", []) if isinstance(draft.body, dict) else []
    return items if all("score" in item for item in items) else []


score_lost = define("score-lost", "gives no score for the last pair", breaks=("SC1",), paths=_SCORES)


@score_lost.draft
def score_lost_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    del _scores(draft)[-1:]


score_index_wrong = define("score-index-wrong", "numbers the scores from 1", breaks=("SC1",), paths=_SCORES)


@score_index_wrong.draft
def score_index_wrong_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    for item in _scores(draft):
        item["index"] += 1


score_text = define("score-text", "gives the scores as texts", breaks=("SC1",), paths=_SCORES)


@score_text.draft
def score_text_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    for item in _scores(draft):
        item["score"] = str(item["score"])
