"""What is wrong with an answer whose bytes came whole, so that it cannot be a success whatever else it holds."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from InferenceLibrary.client.answers import Reply, shorten
from InferenceLibrary.client.streams import Stream
from InferenceLibrary.protocol.exchange import Held
from InferenceLibrary.protocol.paths import CHAT, COMPLETIONS, MESSAGES, RESPONSES
from InferenceLibrary.protocol.sse import Oddity
from InferenceLibrary.protocol.typed_messages import TERMINAL, is_typed


class Unusable(NamedTuple):
    """Why an answer cannot be a success."""

    expected: str
    got: str


def unusable(reply: Reply, path: str) -> Unusable | None:
    """Return why a whole answer of a good status cannot be a success; None when it can."""
    data = reply.json
    bad_utf8 = bad_utf8_in(reply.exchange.body)
    if bad_utf8 is not None:
        return Unusable("a JSON object", f"bytes that are not UTF-8 at byte {bad_utf8} of the body")
    not_a_number = _not_a_number_in(reply.body)
    if not_a_number is not None:
        return Unusable("a JSON object", not_a_number)
    if reply.error is not None and not (isinstance(data, dict) and data.get("error") is None and "choices" in data):
        return Unusable("a JSON object", f"{reply.status} with an error as its body: {reply.error}")
    if not isinstance(data, dict):
        kind = reply.headers.get("content-type", "no content type")
        return Unusable("a JSON object", f"{kind}: {shorten(reply.body)!r}{_reason(reply.body)}")
    if path in {CHAT, COMPLETIONS} and not (isinstance(data.get("choices"), list) and data["choices"]):
        got = f"choices {shorten(str(data['choices']))!r}" if "choices" in data else f"none in {shorten(reply.body)!r}"
        return Unusable("at least one choice in 'choices'", got)
    if path in {CHAT, COMPLETIONS}:
        return _bad_choice(data["choices"], path)
    return None


def _bad_choice(choices: list[Any], path: str) -> Unusable | None:
    """Why one of the choices of a whole answer is not an answer: the key that its content belongs in holds none."""
    key, kind, name = ("message", dict, "an object") if path == CHAT else ("text", str, "text")
    for number, choice in enumerate(choices):
        if not isinstance(choice, dict):
            return Unusable(f"an object in choices.{number}", shorten(repr(json.dumps(choice))))
        if not isinstance(choice.get(key), kind):
            got = repr(json.dumps(choice[key])) if key in choice else f"none in {json.dumps(choice)!r}"
            return Unusable(f"{name} in choices.{number}.{key}", shorten(got))
    return None


def improper_end(stream: Stream) -> str | None:
    """Return what is wrong with a stream whose bytes came whole; None when nothing is that makes it unusable."""
    return _unreadable(stream) or _without_choices(stream) or _without_end(stream)


def improper_end_of_any(stream: Stream) -> str | None:
    """As `improper_end`, of any stream: one without an answer in it, such as the progress of a download, may end so."""
    path = stream.exchange.request.path
    generates = any(path.endswith(api) for api in (CHAT, COMPLETIONS, RESPONSES, MESSAGES)) or stream.tokens
    return _unreadable(stream) or ((_without_choices(stream) or _without_end(stream)) if generates else None)


def _unreadable(stream: Stream) -> str | None:
    odd = {note.oddity: note for note in reversed(stream.notes)}
    if stream.error is not None:
        return f"an error event: {stream.error}"
    if Oddity.TRUNCATED in odd:
        return "an end inside an event"
    if not stream.chunks:
        return "an end without any event"
    if Oddity.INVALID_UTF8 in odd:
        return f"bytes that are not UTF-8 at byte {odd[Oddity.INVALID_UTF8].offset}"
    for number, chunk in enumerate(stream.chunks, start=1):
        if chunk.json is None and not chunk.is_done and chunk.event.data != "null":
            return f"event {number}, which is not JSON ({shorten(chunk.event.data, 40)!r}{_reason(chunk.event.data)}),"
        not_a_number = _not_a_number_in(chunk.event.data)
        if not_a_number is not None:
            return f"event {number}, which is not JSON: {not_a_number},"
    return None


def _without_end(stream: Stream) -> str | None:
    wanted = _terminal_of(stream)
    if wanted:
        # A foreign [DONE] after the end is tolerated here, and left to the rules.
        if not any(chunk.type in TERMINAL for chunk in stream.chunks):
            return f"an end without {wanted}"
    elif stream.finish_reason is None and not stream.ended_with_done:
        return "an end with neither a finish reason nor [DONE]"
    return None


def _without_choices(stream: Stream) -> str | None:
    for number, chunk in enumerate(stream.chunks, start=1):
        choices = chunk.json.get("choices") if isinstance(chunk.json, dict) else None
        if isinstance(choices, list) and not all(isinstance(choice, dict) for choice in choices):
            return f"event {number}, whose choices are {shorten(json.dumps(choices))!r},"
    if not _terminal_of(stream) and not any(chunk.pieces for chunk in stream.chunks):
        return "an end without any choice in any event"
    return None


_ENDS = {RESPONSES: "response.completed, response.incomplete or response.failed", MESSAGES: "message_stop"}


def _terminal_of(stream: Stream) -> str:
    """Which event ends a stream of typed events: by the path that was asked, else by its events; else empty."""
    exchange = stream.exchange
    path = exchange.request.path if Held.REQUEST in exchange.held else ""
    asked = next((ends for api, ends in _ENDS.items() if path.endswith(api)), "")
    typed = next((chunk.type for chunk in stream.chunks if is_typed(chunk.json)), None)
    return asked or (_ENDS[RESPONSES if typed.startswith("response.") else MESSAGES] if typed else "")


def _reason(text: str) -> str:
    """Why JSON that looks sound to a person cannot be read, as the end of a message; empty where it shows by itself."""
    from InferenceLibrary.protocol.strict_json import Fault, read_json

    told = {Fault.DEPTH, Fault.MARK, Fault.RANGE}
    found = next((problem for problem in read_json(text).problems if problem.fault in told), None)
    if found is None:
        return ""
    return f", a number beyond reading: {found.got}" if found.fault is Fault.RANGE else f", {found.got}"


def _not_a_number_in(text: str) -> str | None:
    """Tell of a NaN or an Infinity in JSON, which has none: clients in JavaScript, Go and Rust can't read it."""
    if "NaN" not in text and "Infinity" not in text:
        return None
    from InferenceLibrary.protocol.strict_json import Fault, read_json

    found = next((problem for problem in read_json(text).problems if problem.fault is Fault.NAN), None)
    return None if found is None else f"{found.got}, which JSON does not have"


def bad_utf8_in(raw: bytes) -> int | None:
    """Return the offset of the first bytes that are not UTF-8."""
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start
    return None
