"""Which API an exchange speaks, and whether its answer is a stream."""

from __future__ import annotations

import re
from typing import Any

from InferenceLibrary.protocol.exchange import Exchange, Held
from InferenceLibrary.protocol.rules.rule import Api
from InferenceLibrary.protocol.sse import SSEDecoder
from InferenceLibrary.protocol.strict_json import read_json


def is_streamed(exchange: Exchange) -> bool:
    """Whether the body is to be read as events: it says so, or looks so whatever it says."""
    return exchange.is_event_stream or (
        exchange.media_type not in {"application/json", "application/x-ndjson"}
        and exchange.body[:64].lstrip(b"\xef\xbb\xbf").startswith((b"data:", b"event:", b":", b"id:", b"retry:"))
    )


_PATHS = (
    ("/chat/completions", Api.CHAT),
    ("/completions", Api.COMPLETIONS),
    ("/responses", Api.RESPONSES),
    ("/messages", Api.MESSAGES),
    ("/messages/count_tokens", Api.MESSAGES),
    ("/embeddings", Api.EMBEDDINGS),
    ("/models", Api.MODELS),
    ("/rerank", Api.RERANK),
    ("/reranking", Api.RERANK),
    ("/score", Api.SCORE),
    ("/tokenize", Api.TOKENS),
    ("/detokenize", Api.TOKENS),
    ("/execute", Api.WORKER),
)
_FORMS = (
    ("GET", re.compile(r"/models/[^/]"), Api.MODELS),
    ("GET", re.compile(r"/responses/[^/]+$"), Api.RESPONSES),
    ("DELETE", re.compile(r"/responses/[^/]+$"), Api.RESPONSES),
    ("POST", re.compile(r"/responses/[^/]+/cancel$"), Api.RESPONSES),
)
"""Paths with an id in them, by their method."""
_NATIVE = (Api.COMPLETIONS, Api.EMBEDDINGS)
_OBJECTS = {
    "chat.completion": Api.CHAT,
    "chat.completion.chunk": Api.CHAT,
    "text_completion": Api.COMPLETIONS,
    "response": Api.RESPONSES,
    "response.deleted": Api.RESPONSES,
}


def api_of(exchange: Exchange) -> Api:
    """Which API an exchange speaks: by the path of its request; by the answer's shape where no request is held."""
    if Held.REQUEST in exchange.held:
        request = exchange.request
        path = request.path.rstrip("/")
        method = request.method.upper()
        found = next((api for end, api in _PATHS if path.endswith(end)), None)
        if found is None:
            return next((api for verb, form, api in _FORMS if verb == method and form.search(path)), Api.OTHER)
        if path == f"/{found}" and found in _NATIVE and _api_by_shape(exchange) is not found:
            # llama.cpp's own API has these paths.
            return Api.OTHER
        return found if method == ("GET" if found is Api.MODELS else "POST") else Api.OTHER
    return _api_by_shape(exchange)


def _api_by_shape(exchange: Exchange) -> Api:
    data = exchange.json
    if is_streamed(exchange):
        data = _first_object(exchange)
    if not isinstance(data, dict):
        return Api.OTHER
    said = data.get("object")
    if isinstance(said, str) and said in _OBJECTS:
        return _OBJECTS[said]
    if isinstance(data.get("results"), list):
        return Api.RERANK
    if said == "list":
        return _api_of_list(data.get("data"))
    kind = data.get("type")
    if isinstance(kind, str):
        if kind == "started" and "job_id" in data:
            return Api.WORKER
        if kind.startswith("response."):
            return Api.RESPONSES
        if kind in {"message", "message_start"}:
            return Api.MESSAGES
    if isinstance(data.get("choices"), list):
        first = next(iter(data["choices"]), None)
        return Api.COMPLETIONS if isinstance(first, dict) and "text" in first else Api.CHAT
    return Api.OTHER


def _api_of_list(items: Any) -> Api:
    first = items[0] if isinstance(items, list) and items else None
    said = first.get("object") if isinstance(first, dict) else None
    known = {"embedding": Api.EMBEDDINGS, "model": Api.MODELS, "score": Api.SCORE}
    return known.get(said, Api.OTHER) if isinstance(said, str) else Api.OTHER


def _first_object(exchange: Exchange) -> Any:
    for event in SSEDecoder().feed(exchange.body[:65536]):
        value = read_json(event.data).value
        if isinstance(value, dict):
            return value
    return None
