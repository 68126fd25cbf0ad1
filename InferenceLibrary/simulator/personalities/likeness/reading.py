"""Read the body of a request as strictly as a server does."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from math import isfinite
from typing import TYPE_CHECKING, Any

from InferenceLibrary.simulator.core.strict_numbers import decoder_for
from InferenceLibrary.simulator.personalities.likeness.nlohmann_words import error_in_nlohmann, in_nlohmann
from InferenceLibrary.simulator.personalities.likeness.places import (
    NOT_THERE,
    Path,
    after,
    end_of,
    in_brackets,
    item_of,
    path_to,
    value_at,
)
from InferenceLibrary.simulator.personalities.likeness.problems import Problem, missing_problem, object_problem
from InferenceLibrary.simulator.personalities.likeness.refusals import Refusal
from InferenceLibrary.simulator.personalities.likeness.wording import (
    beyond_double,
    error_in_go,
    error_in_orjson,
    error_in_serde,
    in_go,
    in_rust,
    in_serde,
    line_and_column,
)

if TYPE_CHECKING:
    from InferenceLibrary.dialects.choices import BodyChoice
    from InferenceLibrary.simulator.core.request import Request


_VALUES = {"serde": in_serde, "go": in_go, "nlohmann": in_nlohmann}
"""By whose words they are: how a value is called."""
_ERRORS = {"serde": error_in_serde, "go": error_in_go, "nlohmann": error_in_nlohmann,
           "orjson": error_in_orjson}  # fmt: skip
"""By whose words they are: how a broken text is told."""
_HALF = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])")
_TEXT = re.compile(r'"(?:\\.|[^"\\])*"')
_UNREADABLE = re.compile(r"NaN|-?Infinity|-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")


def body_of(request: Request, choice: BodyChoice) -> dict[str, Any]:
    """Return the object that was sent.

    Raises:
        Refusal: It is not one.
    """
    kind = request.headers.get("content-type", "")
    if not re.search(choice.content_types, kind):
        says = f"The content type must be application/json, not '{kind}'"
        refusal = Refusal("content type", says, value=request.body.decode("utf-8", "replace"))
        refusal.problems = [object_problem(request.body)]
        raise refusal
    if not request.body or (choice.lost_by_offers and "upgrade" in request.headers):
        if choice.empty_is_object:
            return {}
        refusal = Refusal("empty body", "The body is empty")
        refusal.problems = [missing_problem(None, ())]
        raise refusal
    try:
        text = request.body.decode("utf-8", "replace" if choice.replaces_bytes else "strict")
    except UnicodeDecodeError as error:
        says = f"The body is not UTF-8: {error.reason} at byte {error.start}"
        raise Refusal("not utf-8", says, **_in_text(request.body, error.start)) from None
    data = _json(text.removeprefix("\ufeff") if choice.byte_order_mark else text, choice)
    if not choice.surrogates and _has_surrogate(data):
        text = request.body.decode("utf-8", "replace")
        half = _HALF.search(text)
        place = half.end() if half else 0
        within = _within(text, place - 1)
        told = _ERRORS[choice.text_words or choice.words](text, place, "Half a character")
        raise Refusal("half character", "The body holds half a character", value=0, found=told, within=within)
    if data is None and choice.null_is_empty:
        return {}
    if not isinstance(data, dict):
        name = "empty body" if data is None and not choice.null_is_kind else "not an object"
        at = place_in(request.body, "")
        found = _VALUES[choice.words](data)
        refusal = Refusal(name, "The body must be a JSON object", value=data, found=found, at=at)
        refusal.problems = [missing_problem(None, ()) if name == "empty body" else object_problem(data)]
        raise refusal
    return data


def _in_text(body: bytes, start: int) -> dict[str, Any]:
    """Return what errors name of bytes that are not UTF-8: where the text ends that holds them."""
    text = body.decode("utf-8", "replace")
    before = body[:start].decode("utf-8")
    closing = text.find('"', len(before))
    place = len(text) if closing < 0 else closing + 1
    told = f"invalid unicode code point at {line_and_column(text, place)}"
    return {"found": told, "within": _within(text, len(before))}


def _within(text: str, place: int) -> str:
    """Return which value a text breaks off in, with a colon; nothing where it is none of those in the outermost."""
    path = path_to(text, place)
    return f"{in_brackets(path)}: " if path else ""


def _has_surrogate(data: Any) -> bool:
    try:
        json.dumps(data, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False


def _json(text: str, choice: BodyChoice) -> Any:
    decoder = json.JSONDecoder() if choice.constants else decoder_for(text)
    try:
        if not choice.trailing:
            return decoder.decode(text)
        text = text.lstrip()
        return decoder.raw_decode(text)[0]
    except RecursionError:
        raise _broken_at(0, "Recursion limit reached", "The body is nested too deeply", "", "") from None
    except ValueError as error:
        place = getattr(error, "pos", None)
        reason = str(getattr(error, "msg", error))
        if place is None:
            place, end = _unreadable(text)
            reason = "Expecting value"
            if text[place : place + 1].isdigit() or text[place + 1 : place + 2].isdigit():
                says = beyond_double(choice.words, text, place, end)
                raise _broken_at(place, reason, f"The body is not JSON: {error}", says, _within(text, place)) from None
        found = _ERRORS[choice.text_words or choice.words](text, place, reason)
        raise _broken_at(place, reason, f"The body is not JSON: {error}", found, _within(text, place)) from None


def _unreadable(text: str) -> tuple[int, int]:
    """Return where a text has the first constant or number that is none of JSON: its beginning and its end."""
    for found in _UNREADABLE.finditer(_TEXT.sub(lambda found: " " * len(found[0]), text)):
        if not isfinite(float(found[0])):
            return found.span()
    return 0, 0


def _broken_at(place: int, reason: str, says: str, found: str, within: str) -> Refusal:
    """Return the refusal of a text that is not read as JSON, with all that errors name of it."""
    refusal = Refusal("not json", says, value=place, reason=reason, found=found or says, within=within)
    refusal.problems = [Problem("json_invalid", (place,), "JSON decode error", {}, {"error": reason})]
    return refusal


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
    return line_and_column(text, place)


def placed(refusal: Refusal, body: bytes, data: dict[str, Any], choice: BodyChoice) -> None:
    """Add what errors may name of the place that a refusal is about, in the text that was sent and in its data.

    What takes time, or is nested too deeply for words, is made for those errors alone that name it.
    """
    values, path, late = refusal.values, refusal.path, refusal.late
    values["at"] = place_in(body, str(values.get("field", "")).partition(".")[0])
    if not path:
        return
    item, field = item_of(path), path[:1]
    values.update(place=in_brackets(path), item=in_brackets(item), parent=in_brackets(path[:-1]))
    ends = {"at_end": path, "at_item": item, "at_parent": path[:-1]}
    late.update({name: partial(_place, body, end_of, one) for name, one in ends.items()})
    late.update(after_item=partial(_place, body, after, item), after_field=partial(_place, body, after, field))
    given, whole, member = (value_at(data, one) for one in (path, field, item))
    if given is not NOT_THERE:
        number = choice.words == "go" and refusal.field_kind == "integer" and isinstance(given, float)
        late["found"] = partial(str, f"number {given}") if number else partial(_VALUES[choice.words], given)
        late.update(in_json=partial(_compact, given), broken=partial(_broken, given, choice))
        values["python_type"] = type(given).__name__
    if whole is not NOT_THERE:
        late.update(in_rust=partial(in_rust, whole), field_json=partial(json.dumps, whole, indent=2))
    if member is not NOT_THERE:
        late["item_json"] = partial(_compact, member)


def _place(body: bytes, end: Callable[[str, Path], int], path: Path) -> str:
    text = body.decode("utf-8", "replace")
    return line_and_column(text, end(text, path))


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _broken(value: Any, choice: BodyChoice) -> str:
    """Return what is wrong with a text that is to be JSON; nothing where it is."""
    try:
        json.loads(value if isinstance(value, str) else "0")
    except RecursionError:
        return "The text is nested too deeply"
    except json.JSONDecodeError as error:
        return _ERRORS[choice.text_words or choice.words](error.doc, error.pos, error.msg)
    return ""


def json_of(request: Request) -> Any:
    """Return what was sent as JSON, None for nothing, or nothing that is JSON."""
    try:
        return json.loads(request.body or b"null")
    except (ValueError, RecursionError):
        return None
