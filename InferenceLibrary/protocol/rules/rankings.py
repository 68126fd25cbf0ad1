"""Rules of rankings and scores."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from InferenceLibrary.protocol.exchange import Exchange, Held
from InferenceLibrary.protocol.rules.builders import builds
from InferenceLibrary.protocol.rules.forms import inside, is_integer, is_number, listed
from InferenceLibrary.protocol.rules.rule import Api, Found, Known, Level, rule
from InferenceLibrary.protocol.rules.views import View
from InferenceLibrary.protocol.strict_json import read_json, show

_RERANK = "Cohere's API reference, Rerank (v2), and the Jina-compatible route of vLLM and llama.cpp, read 2026-11"
_SCORE = "vLLM's documentation, Score API, read 2026-11"
_SIDES = (("text_1", "text_2"), ("queries", "documents"), ("queries", "items"), ("data_1", "data_2"))
"""What the two sides of `/score` may be called."""


class Ranking(View):
    """The answer of `/rerank`."""

    def __init__(self, exchange: Exchange, api: Api) -> None:
        super().__init__(exchange, api)
        self.data = read_json(exchange.text).value
        self.results = [item for item in listed(inside(self.data, "results")) if isinstance(item, dict)]

    @property
    def documents(self) -> int | None:
        """How many documents were given; None where that cannot be told."""
        given = self.exchange.asked_for("documents") if Held.REQUEST in self.exchange.held else None
        return len(given) if isinstance(given, list) else None


class Scores(View):
    """The answer of `/score`."""

    def __init__(self, exchange: Exchange, api: Api) -> None:
        super().__init__(exchange, api)
        self.data = read_json(exchange.text).value
        self.items = listed(inside(self.data, "data"))

    @property
    def pairs(self) -> int | None:
        """How many pairs were given; None where that cannot be told."""
        if Held.REQUEST not in self.exchange.held or not isinstance(self.exchange.asked, dict):
            return None
        asked = self.exchange.asked
        names = next((names for names in _SIDES if all(name in asked for name in names)), None)
        if names is None:
            return None
        sides = [asked[name] for name in names]
        if not all(isinstance(side, str | list) for side in sides):
            return None
        return max(1 if isinstance(side, str) else len(side) for side in sides)


@builds(Api.RERANK, stream=False)
def ranking_views(exchange: Exchange, api: Api) -> list[View]:
    """The views of a ranking; none where TEI's form was asked for, which answers with a bare list."""
    asked = exchange.asked if Held.REQUEST in exchange.held else None
    other = isinstance(asked, dict) and "texts" in asked and "documents" not in asked
    return [] if other else [Ranking(exchange, api)]


@builds(Api.SCORE, stream=False)
def score_views(exchange: Exchange, api: Api) -> list[View]:
    """The views of scores."""
    return [Scores(exchange, api)]


@rule(
    "RK1",
    Level.MUST,
    "A ranking has the list results, each with an index and a relevance_score, a finite number.",
    source=_RERANK,
    kinds=("results", "result", "index", "score"),
    view=Ranking,
    apis=(Api.RERANK,),
)
def form(view: Ranking, known: Known) -> Iterator[Found]:
    results = inside(view.data, "results")
    if not isinstance(results, list):
        yield Found("results", f"results {show(results)}")
    for place, item in enumerate(listed(results)):
        if not isinstance(item, dict):
            yield Found("result", f"{show(item)} as result {place}")
            continue
        if not is_integer(item.get("index")):
            yield Found("index", f"index {show(item.get('index'))} of result {place}")
        if not is_number(item.get("relevance_score")):
            yield Found("score", f"relevance_score {show(item.get('relevance_score'))} of result {place}")


@rule(
    "RK2",
    Level.MUST,
    "The best document comes first, and none has a higher score than the one before it.",
    source=_RERANK,
    kinds=("order",),
    view=Ranking,
    apis=(Api.RERANK,),
)
def order(view: Ranking, known: Known) -> Iterator[Found]:
    scores = [(place, item.get("relevance_score")) for place, item in enumerate(view.results)]
    numbers = [(place, score) for place, score in scores if is_number(score)]
    for (_, before), (place, after) in itertools.pairwise(numbers):
        if not after <= before:
            yield Found("order", f"{show(after)} of result {place} after {show(before)}")


@rule(
    "RK3",
    Level.MUST,
    "Each index is that of a document, and no document comes twice.",
    source=_RERANK,
    kinds=("twice", "no document"),
    view=Ranking,
    apis=(Api.RERANK,),
)
def indices(view: Ranking, known: Known) -> Iterator[Found]:
    seen: set[Any] = set()
    count = view.documents
    for place, item in enumerate(view.results):
        index = item.get("index")
        if not is_integer(index):
            continue
        if index in seen:
            yield Found("twice", f"index {index} of result {place} again")
        seen.add(index)
        if index < 0 or (count is not None and index >= count):
            given = "" if count is None else f" for {count} documents"
            yield Found("no document", f"index {show(index)} of result {place}{given}")


@rule(
    "RK4",
    Level.MUST,
    "There are as many results as documents, or as top_n allows.",
    source=_RERANK,
    kinds=("too few", "too many"),
    view=Ranking,
    apis=(Api.RERANK,),
    needs=(Held.REQUEST,),
)
def count(view: Ranking, known: Known) -> Iterator[Found]:
    documents, top = view.documents, view.exchange.asked_for("top_n")
    if documents is None or not isinstance(inside(view.data, "results"), list):
        return
    # As in vLLM, zero and less ask for all of them.
    wanted = min(top, documents) if is_integer(top) and top > 0 else documents
    if len(view.results) != wanted:
        kind = "too few" if len(view.results) < wanted else "too many"
        yield Found(kind, f"{len(view.results)} results, {wanted} expected")


@rule(
    "SC1",
    Level.MUST,
    "Scores are the list data, one for each pair, in order, each with an index and a score, a finite number.",
    source=_SCORE,
    kinds=("data", "item", "index", "score", "count"),
    view=Scores,
    apis=(Api.SCORE,),
)
def scores(view: Scores, known: Known) -> Iterator[Found]:
    data = inside(view.data, "data")
    if not isinstance(data, list):
        yield Found("data", f"data {show(data)}")
        return
    for place, item in enumerate(view.items):
        if not isinstance(item, dict):
            yield Found("item", f"{show(item)} as score {place}")
            continue
        if not is_integer(item.get("index")) or item["index"] != place:
            yield Found("index", f"index {show(item.get('index'))} of score {place}")
        if not is_number(item.get("score")):
            yield Found("score", f"score {show(item.get('score'))} of pair {place}")
    pairs = view.pairs
    if pairs is not None and len(data) != pairs:
        yield Found("count", f"{len(data)} scores for {pairs} pairs")
