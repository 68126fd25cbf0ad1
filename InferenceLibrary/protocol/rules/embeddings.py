"""Rules of embeddings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

from InferenceLibrary.protocol.exchange import Exchange, Held
from InferenceLibrary.protocol.rules.asked import has_text
from InferenceLibrary.protocol.rules.builders import builds
from InferenceLibrary.protocol.rules.forms import inside, is_count, is_filled, is_integer, listed, wrong_keys
from InferenceLibrary.protocol.rules.rule import Api, Found, Known, Level, rule
from InferenceLibrary.protocol.rules.shape import COUNT, FILLED, LIST, ObjectOf, OneOf
from InferenceLibrary.protocol.rules.views import BUSY, Answer, View
from InferenceLibrary.protocol.strict_json import read_json, show
from InferenceLibrary.protocol.vectors import is_finite, read_vector

_SPEC = "OpenAI's API description (openai-openapi f85dbe2), createEmbedding, read 2026-11"


class EmbeddingList(View):
    """The answer to a request of embeddings."""

    def __init__(self, exchange: Exchange, api: Api) -> None:
        super().__init__(exchange, api)
        self.data = read_json(exchange.text).value
        self.items = listed(inside(self.data, "data"))

    @cached_property
    def vectors(self) -> list[Sequence[float] | None]:
        """The numbers of each embedding; None where there are none."""
        return [read_vector(inside(item, "embedding")) for item in self.items]

    @property
    def inputs(self) -> list[Any] | None:
        """What was asked for, one for each embedding; None where that cannot be told."""
        if Held.REQUEST not in self.exchange.held:
            return None
        given = self.exchange.asked_for("input")
        if isinstance(given, str) and given:
            return [given]
        if not isinstance(given, list) or not given:
            return None
        # A list of numbers is one text as tokens.
        return [given] if all(is_integer(item) for item in given) else given


@builds(Api.EMBEDDINGS, stream=False)
def views(exchange: Exchange, api: Api) -> list[View]:
    """The views of an answer."""
    return [EmbeddingList(exchange, api)]


@rule(
    "E1",
    Level.MUST,
    "An answer is a list: one embedding for each input, indices from 0 in order, with the model and the usage.",
    source=f"{_SPEC}; recorded answers of OpenAI",
    kinds=("missing", "wrong", "item", "index", "embedding", "count", "usage"),
    view=EmbeddingList,
    apis=(Api.EMBEDDINGS,),
)
def form(view: EmbeddingList, known: Known) -> Iterator[Found]:
    if not isinstance(view.data, dict):
        yield Found("missing", f"{show(view.data)} in place of a list of embeddings")
        return
    for kind, got in wrong_keys(view.data, ObjectOf(object=OneOf("list"), data=LIST, model=FILLED)):
        yield Found(kind, got)
    for place, item in enumerate(view.items):
        if not isinstance(item, dict):
            yield Found("item", f"{show(item)} as embedding {place}")
            continue
        if item.get("object") != "embedding":
            yield Found("item", f"object {show(item.get('object'))} of embedding {place}")
        if not is_integer(item.get("index")) or item["index"] != place:
            yield Found("index", f"index {show(item.get('index'))} of embedding {place}")
        vector = view.vectors[place]
        if vector is None or not len(vector):
            yield Found("embedding", f"{show(item.get('embedding'))} as embedding {place}")
    usage = view.data.get("usage")
    wrong = ["no usage"] if not isinstance(usage, dict) else []
    if isinstance(usage, dict):
        wrong = [got for _, got in wrong_keys(usage, ObjectOf(prompt_tokens=COUNT, total_tokens=COUNT))]
        if usage.get("prompt_tokens") == 0 and view.inputs and has_text(view.inputs):
            wrong.append("no prompt_tokens for inputs that are not empty")
    if wrong:
        yield Found("usage", ", ".join(wrong))
    inputs = view.inputs
    if inputs is not None and isinstance(view.data.get("data"), list) and len(view.items) != len(inputs):
        yield Found("count", f"{len(view.items)} embeddings for {len(inputs)} inputs")


@rule(
    "E2",
    Level.MUST,
    "An embedding is coded as asked: a list of numbers, or base64 of 32-bit floats in little-endian order.",
    source=f"{_SPEC}: encoding_format; recorded answers of OpenAI",
    kinds=("not base64", "not a list"),
    view=EmbeddingList,
    apis=(Api.EMBEDDINGS,),
    needs=(Held.REQUEST,),
)
def coding(view: EmbeddingList, known: Known) -> Iterator[Found]:
    asked = view.exchange.asked_for("encoding_format")
    for place, item in enumerate(view.items):
        value = inside(item, "embedding")
        if asked == "base64" and isinstance(value, list):
            yield Found("not base64", f"{show(value)} as embedding {place}")
        elif asked in ("float", None) and isinstance(value, str):
            yield Found("not a list", f"{show(value)} as embedding {place}")


@rule(
    "E3",
    Level.MUST,
    "All embeddings have one length, that of `dimensions` where it was asked for.",
    source=f"{_SPEC}: dimensions",
    kinds=("lengths", "dimensions"),
    view=EmbeddingList,
    apis=(Api.EMBEDDINGS,),
)
def lengths(view: EmbeddingList, known: Known) -> Iterator[Found]:
    found = [len(vector) for vector in view.vectors if vector is not None]
    if len(set(found)) > 1:
        yield Found("lengths", f"lengths {', '.join(map(str, sorted(set(found))[:5]))}")
    asked = view.exchange.asked_for("dimensions") if Held.REQUEST in view.exchange.held else None
    if is_count(asked) and found and found[0] != asked:
        yield Found("dimensions", f"{found[0]} numbers, {asked} asked for")


@rule(
    "E6",
    Level.MUST,
    "All numbers of an embedding are finite.",
    source="IEEE 754, 6.2: NaN makes every comparison with it false; reports of llama.cpp and Ollama, read 2026-11",
    kinds=("not finite",),
    view=EmbeddingList,
    apis=(Api.EMBEDDINGS,),
)
def finite(view: EmbeddingList, known: Known) -> Iterator[Found]:
    for place, vector in enumerate(view.vectors):
        if vector is not None and not is_finite(vector):
            worst = next(one for one in vector if not is_finite((one,)))
            yield Found("not finite", f"{worst} in embedding {place}")


@rule(
    "E5",
    Level.MUST,
    "An empty input, and one that is neither text nor tokens, is refused, and not by a status of 5xx.",
    source="Recorded refusals of OpenAI, 400 invalid_request_error, read 2026-11",
    kinds=("taken", "status"),
    view=Answer,
    apis=(Api.EMBEDDINGS,),
    needs=(Held.REQUEST,),
)
def empty_input(view: Answer, known: Known) -> Iterator[Found]:
    asked, status = view.exchange.asked, view.exchange.status or 0
    given = inside(asked, "input")
    right = is_filled(given) or (isinstance(given, list) and bool(given) and all(map(_is_input, given)))
    if right or not isinstance(asked, dict):
        return
    if 200 <= status < 300:
        yield Found("taken", f"status {status} for the input {show(given)}")
    elif status >= 500 and status not in BUSY:
        yield Found("status", f"status {status} for the input {show(given)}")


def _is_input(item: Any) -> bool:
    """Whether an item of a list of inputs is one: a text, a token, or a list of tokens."""
    return is_filled(item) or is_integer(item) or (isinstance(item, list) and bool(item))
