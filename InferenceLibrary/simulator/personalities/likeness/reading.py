"""Read the body of a request as strictly as a server does."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from InferenceLibrary.simulator.personalities.likeness.refusals import Refusal

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
        raise Refusal("empty body" if data is None else "not an object", "The body must be a JSON object", value=data)
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
        raise Refusal("not json", f"The body is not JSON: {error}", value=place, reason=reason) from None


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON value")


def json_of(request: Request) -> Any:
    """Return what was sent as JSON, None for nothing, or nothing that is JSON."""
    try:
        return json.loads(request.body or b"null")
    except ValueError:
        return None
