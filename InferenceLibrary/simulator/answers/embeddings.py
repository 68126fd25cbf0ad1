"""/v1/embeddings: unit vectors that depend on the text alone, so that equal texts have equal vectors."""

from __future__ import annotations

import math
from array import array
from base64 import b64encode
from collections.abc import Callable
from sys import byteorder
from typing import TYPE_CHECKING, Any

from InferenceLibrary.simulator.answers.openai_requests import take
from InferenceLibrary.simulator.answers.tokens import count_tokens, tokenize
from InferenceLibrary.simulator.core.api_errors import ApiError
from InferenceLibrary.simulator.core.draft import Draft
from InferenceLibrary.simulator.core.draws import Draws

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.inference import VectorModel
    from InferenceLibrary.simulator.core.settings import Settings

_MOST_INPUTS = 2048
LONGEST = 65536
"""Most dimensions of a vector."""


def vector(text: str, dimensions: int) -> array[float]:
    """Return the unit vector of a text, in single precision. Texts with common words point in like directions."""
    sums = array("d", bytes(8 * dimensions))
    for word in tokenize(text.lower())[:64] or [""]:
        draws = Draws("word", word.strip())
        for place in range(dimensions):
            sums[place] += draws.uniform() - 0.5
    length = math.sqrt(sum(value * value for value in sums)) or 1.0
    return array("f", [value / length for value in sums])


def _inputs(value: Any, count_tokens: Callable[[str], int]) -> list[tuple[str, int]]:
    """Return text and tokens of each input."""
    if isinstance(value, str) and value:
        return [(value, count_tokens(value))]
    if isinstance(value, list) and value and all(type(item) is int for item in value):
        return [(" ".join(map(str, value)), len(value))]
    if isinstance(value, list) and 0 < len(value) <= _MOST_INPUTS:
        found = []
        for index, item in enumerate(value):
            if isinstance(item, str) and item:
                found.append((item, count_tokens(item)))
            elif isinstance(item, list) and item and all(type(token) is int for token in item):
                found.append((" ".join(map(str, item)), len(item)))
            else:
                raise ApiError(400, f"'input[{index}]' must be a text or token ids, and not empty", param="input")
        return found
    raise ApiError(400, "'input' must be a text, token ids or a list of them, and not empty", param="input")


def embed(
    data: dict[str, Any], settings: Settings, model: str, vectors: VectorModel | None = None
) -> tuple[Draft, int]:
    """Return the answer and the count of prompt tokens; `vectors` computes them, where there is a model.

    Raises:
        ApiError: 400, a parameter is wrong.
    """
    inputs = _inputs(data.get("input"), count_tokens if vectors is None else vectors.count)
    form = take(data, "encoding_format", (str,), "float")
    if form not in {"float", "base64"}:
        raise ApiError(400, f"'encoding_format' must be float or base64, got '{form}'", param="encoding_format")
    usual, longest = (settings.default_embedding_dimensions, LONGEST) if vectors is None else (vectors.dimensions,) * 2
    dimensions = take(data, "dimensions", (int,), usual)
    if not 1 <= dimensions <= longest:
        raise ApiError(400, f"'dimensions' must be from 1 to {longest}, got {dimensions}", param="dimensions")
    if vectors is None:
        made = [vector(text, dimensions) for text, _ in inputs]
    else:
        made = [_shortened(values, dimensions) for values in vectors.embed([text for text, _ in inputs])]
    items = []
    for index, values in enumerate(made):
        items.append({"object": "embedding", "index": index, "embedding": _encoded(values, form)})
    tokens = sum(count for _, count in inputs)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return Draft(body={"object": "list", "data": items, "model": model, "usage": usage}), tokens


def _shortened(values: list[float], dimensions: int) -> array[float]:
    """Return the first of the dimensions, as a unit vector again."""
    kept = values[:dimensions]
    length = math.sqrt(sum(value * value for value in kept)) or 1.0
    return array("f", [value / length for value in kept])


def _encoded(values: array[float], form: str) -> Any:
    if form == "float":
        return list(values)
    if byteorder == "big":
        values.byteswap()
    return b64encode(values.tobytes()).decode()
