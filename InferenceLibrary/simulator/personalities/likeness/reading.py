"""Read the body of a request as strictly as a server does."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from InferenceLibrary.simulator.personalities.likeness.refusals import Refusal, in_serde

if TYPE_CHECKING:
    from InferenceLibrary.dialects.choices import BodyChoice
    from InferenceLibrary.simulator.core.request import Request


def body_of(request: Request, choice: BodyChoice) -> dict[str, Any]:
    """Return the object that was sent.

    Raises:
        Refusal: It is not one.
    """
    kind = request.headers.get("content-type", "")
    if not re.search(choice.content_types, kind):
        raise Refusal(
            "content type",
            f"The content type must be application/json, not '{kind}'",
            value=request.body.decode("utf-8", "replace"),
        )
    if not request.body or (choice.lost_by_offers and "upgrade" in request.headers):
        if choice.empty_is_object:
            return {}
        raise Refusal("empty body", "The body is empty")
    try:
        text = request.body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refusal("not utf-8", f"The body is not UTF-8: {error.reason} at byte {error.start}") from None
    data = _json(text.removeprefix("\ufeff") if choice.byte_order_mark else text, choice)
    if not choice.surrogates and _has_surrogate(data):
        raise Refusal("half character", "The body holds half a character", value=0)
    if data is None and choice.null_is_empty:
        return {}
    if not isinstance(data, dict):
        name = "empty body" if data is None and not choice.null_is_kind else "not an object"
        at = place_in(request.body, "")
        raise Refusal(name, "The body must be a JSON object", value=data, found=in_serde(data), at=at)
    return data


def _has_surrogate(data: Any) -> bool:
    try:
        json.dumps(data, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False


def _json(text: str, choice: BodyChoice) -> Any:
    decoder = json.JSONDecoder(parse_constant=None if choice.constants else _no_constant)
    try:
        if not choice.trailing:
            return decoder.decode(text)
        return decoder.raw_decode(text.lstrip())[0]
    except RecursionError:
        raise Refusal("not json", "The body is nested too deeply", value=0) from None
    except ValueError as error:
        place = getattr(error, "pos", 0)
        reason = str(getattr(error, "msg", error))
        raise Refusal(
            "not json",
            f"The body is not JSON: {error}",
            value=place,
            reason=reason,
            found=_error_in_serde(text, place, reason),
        ) from None


_SERDE = {
    "Expecting value": "expected value",
    "Expecting property name": "key must be a string",
    "Expecting ':'": "expected `:`",
    "Extra data": "trailing characters",
    "Unterminated": "EOF while parsing a string",
    "Invalid control": "control character (\\u0000-\\u001F) found while parsing a string",
    "Invalid \\": "invalid escape",
}


def _error_in_serde(text: str, place: int, reason: str) -> str:
    """Return what is wrong with a JSON text as Rust's serde tells it, with line and column."""
    before = text[:place].rstrip()
    if not text[place:].strip() or reason.startswith("Unterminated"):
        place = len(text)
        in_list = before.rfind("[") > before.rfind("{")
        wants_value = before[-1:] in {"", ",", ":"} or reason.startswith("Expecting value")
        within = "a value" if wants_value and before[-1:] not in {"{", "["} else "a list" if in_list else "an object"
        told = _SERDE["Unterminated"] if reason.startswith("Unterminated") else f"EOF while parsing {within}"
    else:
        told = next((words for start, words in _SERDE.items() if reason.startswith(start)), "expected `,` or `}`")
        place += 1
    return f"{told} at {_line_and_column(text, place)}"


def _line_and_column(text: str, place: int) -> str:
    return f"line {text.count(chr(10), 0, place) + 1} column {place - text.rfind(chr(10), 0, place) - 1}"


def place_in(body: bytes, field: str) -> str:
    """Return line and column where a reader of JSON is when it has read a field of an object; its end without one."""
    text = body.decode("utf-8", "replace")
    found = re.search(rf"{re.escape(json.dumps(field))}\s*:\s*", text) if field else None
    place = len(text.rstrip())
    if found is not None:
        place = found.end()
        if text[place : place + 1] not in {"[", "{"}:
            with suppress(ValueError):
                place = json.JSONDecoder().raw_decode(text, place)[1]
    return _line_and_column(text, place)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON value")


def json_of(request: Request) -> Any:
    """Return what was sent as JSON, None for nothing, or nothing that is JSON."""
    try:
        return json.loads(request.body or b"null")
    except ValueError:
        return None
