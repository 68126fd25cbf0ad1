"""Read the answers of OpenAI-compatible servers: replies, stream chunks, usage, tool calls, log probabilities.

Readers are lenient where servers differ (absent and null content, text in `reasoning_content` or `reasoning`), because
judging is not their business: the raw object is always kept beside what was read. The Responses API and Anthropic's
messages are read by `typed_messages`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from InferenceLibrary.foreign_text import readable
from InferenceLibrary.protocol.pieces import (
    Piece,
    TokenLogprob,
    ToolCall,
    arguments_text,
    content_text,
    text_or_none,
    thought_text,
)
from InferenceLibrary.protocol.typed_messages import read_typed

_LARGEST = 10**300

DONE = "[DONE]"
"""The data of the event that ends a chat or completion stream."""


class Usage(NamedTuple):
    """Token counts as the server gave them; None where it gave none."""

    prompt_tokens: int | None
    completion_tokens: int | None
    total_tokens: int | None

    def __str__(self) -> str:
        if None in self:
            told = (f"{name} {'missing' if count is None else count}" for name, count in self._asdict().items())
            return ", ".join(told)
        return f"{self.prompt_tokens} + {self.completion_tokens} = {self.total_tokens} tokens"


def read_usage(data: Any) -> Usage | None:
    """Return the usage of a reply or chunk object, None when it has none."""
    if not isinstance(data, dict):
        return None
    usage = data.get("usage")
    if usage is None and "type" in data:
        # Typed events carry the whole answer inside.
        inner = data.get("response", data.get("message"))
        usage = inner.get("usage") if isinstance(inner, dict) else None
    if not isinstance(usage, dict):
        return _native_usage(data)
    total = _integer(usage.get("total_tokens"))
    if "prompt_tokens" in usage or "completion_tokens" in usage or ("total_tokens" in usage and total is None):
        return Usage(_integer(usage.get("prompt_tokens")), _integer(usage.get("completion_tokens")), total)
    prompt, completion = _integer(usage.get("input_tokens")), _integer(usage.get("output_tokens"))
    if "total_tokens" not in usage and prompt is not None and completion is not None:
        # Anthropic's API has no total.
        total = prompt + completion
    return Usage(prompt, completion, total)


def _native_usage(data: dict[str, Any]) -> Usage | None:
    """The counts of an answer of a server's own API, which are keys among others."""
    if not ("done" in data or "stop" in data or "token" in data):
        return None
    from InferenceLibrary.protocol.native_answers import native_counts

    counts = native_counts(data)
    if counts is None:
        return None
    prompt, completion = map(_integer, counts)
    return Usage(prompt, completion, None if prompt is None or completion is None else prompt + completion)


def merge_usage(parts: Iterable[Usage]) -> Usage | None:
    """Return what the usages of a stream say together: the last word on each count counts."""
    merged: Usage | None = None
    for part in parts:
        if merged is None:
            merged = part
            continue
        prompt = merged.prompt_tokens if part.prompt_tokens is None else part.prompt_tokens
        completion = merged.completion_tokens if part.completion_tokens is None else part.completion_tokens
        total = part.total_tokens
        if part.prompt_tokens is None and prompt is not None and completion is not None:
            total = prompt + completion
        merged = Usage(prompt, completion, total)
    return merged


def read_pieces(data: Any) -> list[Piece]:
    """Return the choices of an answer, of a whole reply or of a stream's event."""
    if not isinstance(data, dict):
        return []
    choices = data.get("choices")
    if isinstance(choices, list):
        return [_piece(choice) for choice in choices if isinstance(choice, dict)]
    if "type" in data or data.get("object") == "response":
        return read_typed(data)
    if "done" in data or "stop" in data or "token" in data:
        from InferenceLibrary.protocol.native_answers import read_native

        piece = read_native(data)
        return [] if piece is None else [piece]
    return []


def join_tool_calls(pieces: Iterable[ToolCall]) -> list[ToolCall]:
    """Join the pieces of a stream's tool calls, in the order of their first pieces."""
    joined: dict[int, ToolCall] = {}
    for piece in pieces:
        call = joined.get(piece.place)
        if call is None:
            joined[piece.place] = piece
        else:
            joined[piece.place] = ToolCall(
                piece.place, call.id or piece.id, call.name or piece.name, call.arguments + piece.arguments
            )
    return list(joined.values())


class Choice(NamedTuple):
    """One choice of an answer, whole."""

    place: int
    """Its index."""
    text: str
    tool_calls: tuple[ToolCall, ...]
    logprobs: tuple[TokenLogprob, ...]


def choices_of(pieces: Iterable[Piece]) -> list[Choice]:
    """Join the pieces of an answer to its choices, in the order of their indices."""
    found: dict[int, list[Piece]] = {}
    for piece in pieces:
        found.setdefault(piece.index, []).append(piece)
    return [
        Choice(
            index,
            readable("".join(piece.text for piece in own)),
            tuple(call.readable() for call in join_tool_calls(call for piece in own for call in piece.tool_calls)),
            tuple(item for piece in own for item in piece.logprobs),
        )
        for index, own in sorted(found.items())
    ]


def _piece(choice: dict[str, Any]) -> Piece:
    body = choice.get("delta", choice.get("message"))
    if not isinstance(body, dict):
        body = {"content": choice.get("text")}
    calls, logprobs = body.get("tool_calls"), choice.get("logprobs")
    return Piece(
        index=_integer(choice.get("index")) or 0,
        text=content_text(body.get("content")),
        reasoning=thought_text(body),
        role=text_or_none(body.get("role")),
        finish_reason=text_or_none(choice.get("finish_reason")),
        tool_calls=_tool_calls(calls) if isinstance(calls, list) else (),
        logprobs=tuple(_logprobs(logprobs)) if isinstance(logprobs, dict) else (),
    )


def _tool_calls(calls: list[Any]) -> tuple[ToolCall, ...]:
    found = []
    for place, call in enumerate(calls):
        if not isinstance(call, dict):
            continue
        given = call.get("function")
        function = given if isinstance(given, dict) else {}
        index = _integer(call.get("index"))
        found.append(
            ToolCall(
                place if index is None else index,
                text_or_none(call.get("id")),
                text_or_none(function.get("name")),
                arguments_text(function.get("arguments")),
            )
        )
    return tuple(found)


def _logprobs(logprobs: dict[str, Any]) -> Iterable[TokenLogprob]:
    """The form of chats (`content`) and that of completions (`tokens`, `token_logprobs`, `top_logprobs`)."""
    content = logprobs.get("content")
    if isinstance(content, list):
        for item in content:
            if isinstance(item, dict) and _is_number(item.get("logprob")):
                top = [one for one in _list(item.get("top_logprobs")) if isinstance(one, dict)]
                others = ((str(one.get("token")), one.get("logprob")) for one in top)
                yield TokenLogprob(str(item.get("token")), float(item["logprob"]), _numbers(others))
        return
    tokens, values = _list(logprobs.get("tokens")), _list(logprobs.get("token_logprobs"))
    tops = _list(logprobs.get("top_logprobs")) or [None] * len(tokens)
    for token, value, top in zip(tokens, values, tops, strict=False):
        if _is_number(value):
            best = top if isinstance(top, dict) else {}
            yield TokenLogprob(str(token), float(value), _numbers(best.items()))


def _numbers(items: Iterable[tuple[Any, Any]]) -> tuple[tuple[str, float], ...]:
    return tuple((str(name), float(value)) for name, value in items if _is_number(value))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _integer(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _is_number(value: Any) -> bool:
    """Whether it is a number that a float holds: JSON may write any number of digits."""
    return isinstance(value, float) or (
        isinstance(value, int) and not isinstance(value, bool) and abs(value) < _LARGEST
    )
