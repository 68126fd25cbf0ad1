"""/rerank and /score: how well documents fit a query, told from the words that they share."""

from __future__ import annotations

from time import time
from typing import TYPE_CHECKING, Any

from InferenceLibrary.simulator.answers.openai_requests import take
from InferenceLibrary.simulator.answers.tokens import count_tokens, tokenize
from InferenceLibrary.simulator.core.api_errors import ApiError

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.inference import VectorModel

# What the two sides of /score may be called.
_SIDES = (("text_1", "text_2"), ("queries", "documents"), ("queries", "items"), ("data_1", "data_2"))


def rerank(data: dict[str, Any], longest: int, vectors: VectorModel | None = None) -> tuple[dict[str, Any], int]:
    """Return what the answer of /rerank says, best document first, and the count of prompt tokens.

    Raises:
        ApiError: 400, a parameter is wrong, or query and document have more tokens than `longest`.
    """
    query = take(data, "query", (str,))
    documents = _texts(data, "documents")
    top_n = take(data, "top_n", (int,), 0)
    scores, tokens = _judge([(query, document) for document in documents], longest, "documents", vectors)
    ranking = sorted(range(len(documents)), key=lambda index: -scores[index])
    results = [
        {
            "index": index,
            "document": {"text": documents[index], "multi_modal": None},
            "relevance_score": scores[index],
        }
        # As in vLLM, zero and less ask for all of them.
        for index in (ranking[:top_n] if top_n > 0 else ranking)
    ]
    return {"usage": {"prompt_tokens": tokens, "total_tokens": tokens}, "results": results}, tokens


def score(data: dict[str, Any], longest: int, vectors: VectorModel | None = None) -> tuple[dict[str, Any], int]:
    """Return what the answer of /score says, in the order of the pairs, and the count of prompt tokens.

    Raises:
        ApiError: 400, a parameter is wrong, or a pair has more tokens than `longest`.
    """
    first, second = next((names for names in _SIDES if all(name in data for name in names)), _SIDES[0])
    left, right = _texts(data, first), _texts(data, second)
    if len(left) not in {1, len(right)}:
        raise ApiError(400, f"'{first}' must be one text, or as many as in '{second}': {len(right)}", param=first)
    pairs = list(zip(left * len(right) if len(left) == 1 else left, right, strict=True))
    scores, tokens = _judge(pairs, longest, second, vectors)
    items = [{"index": index, "object": "score", "score": value} for index, value in enumerate(scores)]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens, "completion_tokens": 0}
    return {"object": "list", "created": int(time()), "data": items, "usage": usage}, tokens


def _texts(data: dict[str, Any], name: str) -> list[str]:
    value = take(data, name, (str, list))
    texts: list[str] = [value] if isinstance(value, str) else value
    if not texts:
        raise ApiError(400, f"'{name}' must not be an empty array", param=name)
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise ApiError(400, f"'{name}[{index}]' must be a string", param=name)
    return texts


def _judge(
    pairs: list[tuple[str, str]], longest: int, param: str, vectors: VectorModel | None
) -> tuple[list[float], int]:
    """Return the score of each pair, and the count of tokens: a model that ranks reads both texts of each."""
    # Each text is read once, however often it stands in a pair: the query stands in all of them.
    texts = {text for pair in pairs for text in pair}
    counts = {text: count_tokens(text) if vectors is None else vectors.count(text) for text in texts}
    lengths = [counts[first] + counts[second] for first, second in pairs]
    if max(lengths) > longest:
        raise ApiError(
            400,
            f"This model's maximum context length is {longest} tokens. However, you requested {max(lengths)} tokens "
            "in the input. Please reduce the length of the input.",
            param=param,
        )
    if vectors is not None:
        named = sorted(texts)
        found = dict(zip(named, vectors.embed(named), strict=True))
        return [_cosine(found[first], found[second]) for first, second in pairs], sum(lengths)
    words = {text: _words(text) for text in texts}
    return [_likeness(words[first], words[second]) for first, second in pairs], sum(lengths)


def _cosine(first: list[float], second: list[float]) -> float:
    """Return the likeness of two unit vectors, from 0 to 1."""
    return min(1.0, max(0.0, sum(one * other for one, other in zip(first, second, strict=True))))


def _words(text: str) -> set[str]:
    words = (token.strip() for token in tokenize(text.casefold()))
    return {word for word in words if any(map(str.isalnum, word))}


def _likeness(first: set[str], second: set[str]) -> float:
    """Return from 0, no common word, to 1, the same words: the Dice coefficient."""
    count = len(first) + len(second)
    return 2 * len(first & second) / count if count else 0.0
