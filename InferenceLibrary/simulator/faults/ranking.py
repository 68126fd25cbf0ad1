"""Faults of rankings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from InferenceLibrary.simulator.faults.kinds import Values, define
from InferenceLibrary.simulator.faults.requests import json_of

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.draft import Draft
    from InferenceLibrary.simulator.core.turn import Turn

_PATHS = ("/rerank", "/v1/rerank", "/v2/rerank")


def _results(draft: Draft) -> list[dict[str, Any]]:
    return draft.body.get("results", []) if isinstance(draft.body, dict) else []


rerank_worst_first = define("rerank-worst-first", "gives the worst document first", paths=_PATHS)


@rerank_worst_first.draft
def rerank_worst_first_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    _results(draft).reverse()


rerank_index_twice = define("rerank-index-twice", "gives the second document the index of the best", paths=_PATHS)


@rerank_index_twice.draft
def rerank_index_twice_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    results = _results(draft)
    for result in results[1:2]:
        result["index"] = results[0]["index"]


rerank_score_missing = define("rerank-score-missing", "gives the best document no score", paths=_PATHS)


@rerank_score_missing.draft
def rerank_score_missing_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    for result in _results(draft)[:1]:
        del result["relevance_score"]


ignores_top_n = define("ignores-top-n", "returns all documents, whatever top_n says", paths=_PATHS)


@ignores_top_n.answer
def ignores_top_n_answer(turn: Turn, _values: Values) -> bool:
    json_of(turn).pop("top_n", None)
    return False
