"""Read the answers of servers' own APIs of generation: Ollama's `/api/generate` and `/api/chat`, llama.cpp's
`/completion` and `/infill`, Text Generation Inference's `/generate_stream`.

Of any other object there is nothing to read: progress, states.
"""

from __future__ import annotations

from typing import Any

from InferenceLibrary.protocol.pieces import Piece, text_or_none

_STOPS = {"eos": "stop", "word": "stop", "limit": "length"}
"""`stop_type` of llama.cpp."""


def read_native(data: dict[str, Any]) -> Piece | None:
    """Return what an object of a stream, or a whole answer, holds of text; None when it is of no such API."""
    if isinstance(data.get("token"), dict):
        return _of_tgi(data)
    if "done" in data and ("response" in data or isinstance(data.get("message"), dict)):
        return _of_ollama(data)
    if isinstance(data.get("content"), str) and "stop" in data:
        return _of_llama_cpp(data)
    return None


def native_counts(data: dict[str, Any]) -> tuple[Any, Any] | None:
    """Return the tokens of the prompt and of the answer that such an object tells; None when it tells neither."""
    if "done" in data and "eval_count" in data:
        return data.get("prompt_eval_count"), data["eval_count"]
    if data.get("stop") is True and "tokens_predicted" in data:
        return data.get("tokens_evaluated"), data["tokens_predicted"]
    details = data.get("details")
    if isinstance(data.get("token"), dict) and isinstance(details, dict) and "generated_tokens" in details:
        return details.get("input_length"), details["generated_tokens"]
    return None


def _of_ollama(data: dict[str, Any]) -> Piece:
    message = data.get("message")
    said = message if isinstance(message, dict) else {"content": data.get("response"), "thinking": data.get("thinking")}
    ended = data.get("done") is True
    return Piece(
        text=text_or_none(said.get("content")) or "",
        reasoning=text_or_none(said.get("thinking")) or "",
        role=text_or_none(said.get("role")),
        finish_reason=(text_or_none(data.get("done_reason")) or "stop") if ended else None,
    )


def _of_llama_cpp(data: dict[str, Any]) -> Piece:
    index = data.get("index")
    kind = str(data.get("stop_type"))
    return Piece(
        index=index if isinstance(index, int) else 0,
        text=data["content"],
        finish_reason=_STOPS.get(kind, "stop") if data["stop"] is True else None,
    )


def _of_tgi(data: dict[str, Any]) -> Piece:
    token, details = data["token"], data.get("details")
    ended = isinstance(data.get("generated_text"), str)
    reason = text_or_none(details.get("finish_reason")) if isinstance(details, dict) else None
    return Piece(
        text="" if token.get("special") is True else text_or_none(token.get("text")) or "",
        finish_reason=(reason or "stop") if ended else None,
    )
