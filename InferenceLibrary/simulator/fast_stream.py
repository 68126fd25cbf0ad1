"""The common stream, fast: one choice of plain text without faults. Same bytes as `streamed_answer` gives.

All chunks of a stream differ in their token only, so they are made from two constant parts. A test compares the bytes
with those of the general way.
"""

from __future__ import annotations

from collections.abc import Iterator
from json.encoder import encode_basestring
from typing import TYPE_CHECKING, Any

from InferenceLibrary.simulator.drafts import DONE, EVENT_STREAM, Draft, chunk, head_bytes, to_json
from InferenceLibrary.simulator.openai_answers import Chat, Shape, envelope, usage_of

if TYPE_CHECKING:
    from InferenceLibrary.simulator.engine import Output
    from InferenceLibrary.simulator.exchange import Exchange, Step
    from InferenceLibrary.simulator.openai_requests import Ask

_CACHE_LIMIT = 50_000
_quoted: dict[str, bytes] = {}
_MARK = "\ue000"
_MARK_JSON = to_json(_MARK)
_END = chunk(f"data: {DONE}\n\n".encode()) + b"0\r\n\r\n"


def _quote(tokens: list[str]) -> list[bytes]:
    """Return the tokens as JSON strings."""
    if len(_quoted) > _CACHE_LIMIT:
        _quoted.clear()
    found = [_quoted.get(token) for token in tokens]
    if None in found:
        for place, token in enumerate(tokens):
            if found[place] is None:
                found[place] = _quoted[token] = encode_basestring(token).encode()
    return found  # type: ignore[return-value]


def _event(base: dict[str, Any], choices: list[dict[str, Any]], usage: dict[str, Any] | None) -> bytes:
    return b"data: %b\n\n" % to_json({**base, "choices": choices, "usage": usage})


def fast_stream(
    exchange: Exchange,
    shape: Shape,
    answer_id: str,
    ask: Ask,
    output: Output,
    first: float,
    gaps: list[float] | float,
) -> Iterator[Step]:
    """Yield the steps of a chunked stream."""
    draft = Draft(content_type=EVENT_STREAM, framing="chunked")
    head = head_bytes(exchange, draft, None)
    base = envelope(shape, answer_id, exchange.model, chunk=True)
    before, after = _event(base, [shape.token(0, _MARK, ask, 0)], None).split(_MARK_JSON)
    opening = chunk(_event(base, [_first], None)) if shape is Chat and (_first := shape.first(0)) else b""
    closing = chunk(_event(base, [shape.last(0, output.finish)], None))
    if ask.include_usage:
        closing += chunk(_event(base, [], usage_of(ask, [output])))
    closing += _END
    constant = len(before) + len(after)
    after += b"\r\n"
    tokens = _quote(output.tokens)
    heads = {size: b"%x\r\n%b" % (constant + size, before) for size in set(map(len, tokens))}

    if exchange.app.settings.one_write_per_token or (not isinstance(gaps, float) or gaps > 0):
        yield head
        if first > 0:
            yield first
        for place, token in enumerate(tokens):
            if place:
                wait = gaps if isinstance(gaps, float) else gaps[place - 1]
                if wait > 0:
                    yield wait
            yield opening + heads[len(token)] + token + after if place == 0 else heads[len(token)] + token + after
            exchange.sent_tokens(1)
        yield closing if tokens else opening + closing
        return
    frames = b"".join([heads[len(token)] + token + after for token in tokens])
    if first > 0:
        yield head
        yield first
        yield opening + frames + closing
    else:
        yield head + opening + frames + closing
    exchange.sent_tokens(len(tokens))
