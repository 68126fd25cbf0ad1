"""The common answers, fast: one choice of plain text without faults. Same bytes as the general way gives.

All chunks of a stream differ in their token only, so they are made from constant parts: one concatenation a token.
Whole answers differ in their text and their counts. Tests compare the bytes with those of the general way.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from json.encoder import encode_basestring
from time import time
from typing import TYPE_CHECKING

from InferenceLibrary.simulator.answers.engine import Output
from InferenceLibrary.simulator.answers.openai_answers import Shape, envelope, usage_of, whole_choice
from InferenceLibrary.simulator.answers.openai_requests import Ask, is_strict
from InferenceLibrary.simulator.core.delivery import head_bytes, plain_head, seconds_now
from InferenceLibrary.simulator.core.draft import DONE, EVENT_STREAM, Draft, chunk, to_json
from InferenceLibrary.simulator.core.turn import Beats

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.turn import Step, Turn

_CACHE_LIMIT = 50_000
# Tokens in one write, so that a long answer to a slow client does not lie in memory as a whole.
_AT_ONCE = 1024
_MODELS = 100
_quoted: dict[str, bytes] = {}
_MARK, _MARKED_END = "\ue000", "\ue001"
_END = chunk(f"data: {DONE}\n\n".encode()) + b"0\r\n\r\n"
_NO_USAGE = b',"usage":null}\n\n'
# The same object with places for its numbers.
_USAGE = re.sub(rb":\d", b":%d", to_json(usage_of(Ask("", [], 1), [Output(["a", "b"])])))


def _quote(tokens: list[str]) -> list[bytes]:
    """Return the tokens as JSON strings."""
    try:
        return list(map(_quoted.__getitem__, tokens))
    except KeyError:
        if len(_quoted) > _CACHE_LIMIT:
            _quoted.clear()
        for token in tokens:
            if token not in _quoted:
                _quoted[token] = encode_basestring(token).encode()
        return list(map(_quoted.__getitem__, tokens))


_begun: dict[tuple[str, str, bool], tuple[int, bytes, bytes]] = {}


def _begin(shape: Shape, answer_id: str, model: str, *, chunk: bool) -> bytes:
    """Return the envelope up to the choices: but for the id, the same for all answers of a model in a second."""
    kind, now = (shape.prefix, model, chunk), int(time())
    known = _begun.get(kind)
    if known is None or known[0] != now:
        if len(_begun) > _MODELS:
            _begun.clear()
        before, _, after = to_json(envelope(shape, _MARK, model, chunk=chunk))[:-1].partition(_MARK.encode())
        known = _begun[kind] = (now, before, after + b',"choices":')
    return known[1] + answer_id.encode() + known[2]


def _usage(ask: Ask, output: Output) -> bytes:
    made = output.count
    return _USAGE % (ask.prompt_tokens, made, ask.prompt_tokens + made, ask.cached_tokens)


_made: dict[str, tuple[bytes, bytes, bytes]] = {}


def _choices(shape: Shape) -> tuple[bytes, bytes, bytes]:
    """Return the choices of the opening chunk (empty without one), and of a token's before and after the token."""
    if shape.prefix not in _made:
        _made[shape.prefix] = _make_choices(shape)
    return _made[shape.prefix]


def _make_choices(shape: Shape) -> tuple[bytes, bytes, bytes]:
    first = shape.first(0)
    opening = b"" if first is None else to_json([first])
    before, after = to_json([shape.token(0, _MARK, Ask("", [], 0), 0)]).split(to_json(_MARK))
    return opening, before, after


def fast_stream(
    turn: Turn,
    shape: Shape,
    answer_id: str,
    ask: Ask,
    output: Output,
    first: float,
    gaps: list[float] | float,
) -> Iterator[Step]:
    """Yield the steps of a chunked stream."""
    draft = Draft(content_type=EVENT_STREAM, framing="chunked")
    head = head_bytes(turn, draft, None)
    start = b"data: " + _begin(shape, answer_id, turn.model, chunk=True)
    opening_choice, before, after = _choices(shape)
    before = start + before
    after += _NO_USAGE
    constant = len(before) + len(after)
    opening = chunk(start + opening_choice + _NO_USAGE) if opening_choice else b""
    closing = chunk(start + to_json([shape.last(0, output.finish)]) + _NO_USAGE)
    if ask.include_usage:
        closing += chunk(b'%b[],"usage":%b}\n\n' % (start, _usage(ask, output)))
    closing += _END
    after += b"\r\n"
    tokens = _quote(output.tokens)
    sizes = set(map(len, tokens))

    paced = not isinstance(gaps, float) or gaps > 0
    if paced or turn.app.settings.one_write_per_token:
        heads = {size: b"%x\r\n%b" % (constant + size, before) for size in sizes}
        yield head
        if first > 0:
            yield first
        if not tokens:
            yield opening + closing
            return
        yield opening + heads[len(tokens[0])] + tokens[0] + after
        turn.sent_tokens(1)
        frames = (heads[len(token)] + token + after for token in tokens[1:])
        if not paced:
            for frame in frames:
                yield frame
                turn.sent_tokens(1)
        elif len(tokens) > 1:
            later = gaps if isinstance(gaps, float) else (seconds_now(turn, gap) for gap in gaps)
            yield Beats(frames, len(tokens) - 1, later)
        yield closing
        return
    # The end of one chunk and the beginning of the next are one constant, so that a token costs one concatenation.
    joints = {size: b"%b%x\r\n%b" % (after, constant + size, before) for size in sizes}
    before_tokens = opening
    if first > 0:
        yield head
        yield first
    else:
        before_tokens = head + opening
    skip = len(after)
    for begin in range(0, len(tokens), _AT_ONCE):
        part = tokens[begin : begin + _AT_ONCE]
        joined = b"".join([joints[len(token)] + token for token in part])[skip:]
        last = begin + _AT_ONCE >= len(tokens)
        yield before_tokens + joined + after + closing if last else before_tokens + joined
        turn.sent_tokens(len(part))
        before_tokens, skip = b"", 0
    if not tokens:
        yield before_tokens + closing


_whole: dict[tuple[str, bool], bytes] = {}


def _form(shape: Shape, complete: bool) -> bytes:
    """Return a whole answer after its envelope, with places for the text, the finish reason and the usage."""
    kind = shape.prefix, complete
    if kind not in _whole:
        choice = whole_choice(shape, 0, Output([_MARK], _MARKED_END), Ask("", [], 0), "", complete=complete)
        choices = to_json([choice]).replace(to_json(_MARK), b"%b").replace(_MARKED_END.encode(), b"%b")
        _whole[kind] = choices + b',"usage":' + _USAGE + b"}"
    return _whole[kind]


def fast_whole(turn: Turn, shape: Shape, answer_id: str, ask: Ask, output: Output) -> None:
    """Send a whole answer that is not paced."""
    made, asked = output.count, ask.prompt_tokens
    text = encode_basestring(output.text).encode("utf-8", "replace")
    body = _begin(shape, answer_id, turn.model, chunk=False) + _form(shape, is_strict(turn)) % (
        text, output.finish.encode(), asked, made, asked + made, ask.cached_tokens
    )  # fmt: skip
    turn.answer(plain_head(turn, len(body)) + body, made)
