"""Faults of embeddings."""

from __future__ import annotations

import json
from array import array
from base64 import b64decode, b64encode
from math import nan
from sys import byteorder
from typing import TYPE_CHECKING, Any

from InferenceLibrary.simulator.core.draft import Draft
from InferenceLibrary.simulator.core.draws import Draws
from InferenceLibrary.simulator.faults.kinds import Values, define
from InferenceLibrary.simulator.faults.requests import json_of

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.turn import Turn

_PATHS = ("/v1/embeddings",)


def _items(draft: Draft) -> list[dict[str, Any]]:
    items = draft.body.get("data", ()) if isinstance(draft.body, dict) else ()
    return [item for item in items if "embedding" in item]


def _numbers(embedding: Any) -> list[float]:
    """Return the numbers of an embedding, of either coding."""
    if not isinstance(embedding, str):
        return list(embedding)
    numbers = array("f", b64decode(embedding))
    if byteorder == "big":
        numbers.byteswap()
    return list(numbers)


def _coded(numbers: list[float], like: Any) -> Any:
    """Return numbers in the coding of another embedding."""
    if not isinstance(like, str):
        return numbers
    packed = array("f", numbers)
    if byteorder == "big":
        packed.byteswap()
    return b64encode(packed.tobytes()).decode()


embedding_index_wrong = define("embedding-index-wrong", "numbers the embeddings from 1", breaks=("E1",), paths=_PATHS)


@embedding_index_wrong.draft
def embedding_index_wrong_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    for item in _items(draft):
        item["index"] += 1


embedding_big_endian = define(
    "embedding-big-endian", "base64 has its numbers in big-endian order", breaks=("E7",), paths=_PATHS
)


@embedding_big_endian.draft
def embedding_big_endian_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    for item in _items(draft):
        if isinstance(item["embedding"], str):
            numbers = array("f", b64decode(item["embedding"]))
            numbers.byteswap()
            item["embedding"] = b64encode(numbers.tobytes()).decode()


embedding_base64_coarse = define(
    "embedding-base64-coarse", "base64 has its numbers to three decimals only", breaks=("E7",), paths=_PATHS
)


@embedding_base64_coarse.draft
def embedding_base64_coarse_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    for item in _items(draft):
        if isinstance(item["embedding"], str):
            item["embedding"] = _coded([round(one, 3) for one in _numbers(item["embedding"])], item["embedding"])


embedding_lengths_differ = define(
    "embedding-lengths-differ", "the last embedding lacks a number", breaks=("E3",), paths=_PATHS
)


@embedding_lengths_differ.draft
def embedding_lengths_differ_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    for item in _items(draft)[-1:]:
        item["embedding"] = _coded(_numbers(item["embedding"])[:-1], item["embedding"])


embedding_noise = define(
    "embedding-noise", "the same text has another embedding each time", breaks=("E4",), paths=_PATHS
)


@embedding_noise.draft
def embedding_noise_draft(draft: Draft, _values: Values, turn: Turn) -> None:
    draws = Draws("noise", turn.app.chance.bits())
    for item in _items(draft):
        noise = [draws.uniform() - 0.5 for _ in _numbers(item["embedding"])]
        item["embedding"] = _coded(noise, item["embedding"])


embedding_differs_in_batch = define(
    "embedding-differs-in-batch",
    "the last of several texts has another embedding than alone",
    breaks=("E4",),
    paths=_PATHS,
)


@embedding_differs_in_batch.draft
def embedding_differs_in_batch_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    items = _items(draft)
    for item in items[-1:] if len(items) > 1 else ():
        numbers = _numbers(item["embedding"])
        item["embedding"] = _coded([-numbers[0] - 1.0, *numbers[1:]], item["embedding"])


accepts_empty_input = define("accepts-empty-input", "answers 200 to an empty input", breaks=("E5",), paths=_PATHS)


@accepts_empty_input.answer
def accepts_empty_input_answer(turn: Turn, _values: Values) -> bool:
    data = json_of(turn)
    if "input" in data and not data["input"]:
        data["input"] = "nothing"
    return False


embedding_nan = define("embedding-nan", "has NaN for a number", breaks=("J1", "E6"), paths=_PATHS)


@embedding_nan.body
def embedding_nan_body(draft: Draft, _values: Values, _turn: Turn) -> None:
    try:
        whole = Draft(body=json.loads(draft.body))
    except ValueError:
        return
    for item in _items(whole)[-1:]:
        item["embedding"] = _coded([nan, *_numbers(item["embedding"])[1:]], item["embedding"])
        draft.body = json.dumps(whole.body, separators=(",", ":"), ensure_ascii=False).encode()


embedding_lost = define("embedding-lost", "gives no embedding for the last input", breaks=("E1",), paths=_PATHS)


@embedding_lost.draft
def embedding_lost_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    if _items(draft):
        draft.body["data"].pop()


ignores_dimensions = define(
    "ignores-dimensions", "gives embeddings of its own length, whatever was asked", breaks=("E3",), paths=_PATHS
)


@ignores_dimensions.answer
def ignores_dimensions_answer(turn: Turn, _values: Values) -> bool:
    json_of(turn).pop("dimensions", None)
    return False


ignores_encoding_format = define(
    "ignores-encoding-format", "gives lists of numbers where base64 was asked", breaks=("E2",), paths=_PATHS
)


@ignores_encoding_format.answer
def ignores_encoding_format_answer(turn: Turn, _values: Values) -> bool:
    if json_of(turn).get("encoding_format") == "base64":
        del json_of(turn)["encoding_format"]
    return False
