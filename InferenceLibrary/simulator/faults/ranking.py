"""Faults of rankings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from InferenceLibrary.simulator.faults.requests import json_of
from InferenceLibrary.simulator.faults.spec import Values, define

if TYPE_CHECKING:
    from InferenceLibrary.simulator.drafts import Draft
    from InferenceLibrary.simulator.exchange import Exchange

_PATHS = ("/rerank", "/v1/rerank", "/v2/rerank")


def _results(draft: Draft) -> list[dict[str, Any]]:
    return draft.body.get("results", []) if isinstance(draft.body, dict) else []


worst_first = define("rerank-worst-first", "gives the worst document first", paths=_PATHS)


@worst_first.draft
def _(draft: Draft, _values: Values, _exchange: Exchange) -> None:
    _results(draft).reverse()


index_twice = define("rerank-index-twice", "gives the second document the index of the best", paths=_PATHS)


@index_twice.draft
def _(draft: Draft, _values: Values, _exchange: Exchange) -> None:
    results = _results(draft)
    for result in results[1:2]:
        result["index"] = results[0]["index"]


score_missing = define("rerank-score-missing", "gives the best document no score", paths=_PATHS)


@score_missing.draft
def _(draft: Draft, _values: Values, _exchange: Exchange) -> None:
    for result in _results(draft)[:1]:
        del result["relevance_score"]


top_n = define("ignores-top-n", "returns all documents, whatever top_n says", paths=_PATHS)


@top_n.answer
def _(exchange: Exchange, _values: Values) -> bool:
    json_of(exchange).pop("top_n", None)
    return False
