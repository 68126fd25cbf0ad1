"""Faults of embeddings."""

from __future__ import annotations

from array import array
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any

from InferenceLibrary.simulator.core.draws import Draws
from InferenceLibrary.simulator.faults.kinds import Values, define
from InferenceLibrary.simulator.faults.requests import json_of

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.draft import Draft
    from InferenceLibrary.simulator.core.turn import Turn

_PATHS = ("/v1/embeddings",)


def _items(draft: Draft) -> list[dict[str, Any]]:
    items = draft.body.get("data", ()) if isinstance(draft.body, dict) else ()
    return [item for item in items if "embedding" in item]


embedding_index_wrong = define("embedding-index-wrong", "numbers the embeddings from 1", breaks=("E1",), paths=_PATHS)


@embedding_index_wrong.draft
def embedding_index_wrong_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    for item in _items(draft):
        item["index"] += 1


embedding_big_endian = define(
    "embedding-big-endian", "base64 has its numbers in big-endian order", breaks=("E2",), paths=_PATHS
)


@embedding_big_endian.draft
def embedding_big_endian_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    for item in _items(draft):
        if isinstance(item["embedding"], str):
            numbers = array("f", b64decode(item["embedding"]))
            numbers.byteswap()
            item["embedding"] = b64encode(numbers.tobytes()).decode()


embedding_lengths_differ = define(
    "embedding-lengths-differ", "the last embedding lacks a number", breaks=("E3",), paths=_PATHS
)


@embedding_lengths_differ.draft
def embedding_lengths_differ_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    for item in _items(draft)[-1:]:
        if isinstance(item["embedding"], list):
            item["embedding"].pop()


embedding_noise = define(
    "embedding-noise", "the same text has another embedding each time", breaks=("E4",), paths=_PATHS
)


@embedding_noise.draft
def embedding_noise_draft(draft: Draft, _values: Values, turn: Turn) -> None:
    draws = Draws("noise", turn.app.chance.bits())
    for item in _items(draft):
        if isinstance(item["embedding"], list):
            item["embedding"] = [draws.uniform() - 0.5 for _ in item["embedding"]]


accepts_empty_input = define("accepts-empty-input", "answers 200 to an empty input", breaks=("E5",), paths=_PATHS)


@accepts_empty_input.answer
def accepts_empty_input_answer(turn: Turn, _values: Values) -> bool:
    data = json_of(turn)
    if not data.get("input"):
        data["input"] = "nothing"
    return False
