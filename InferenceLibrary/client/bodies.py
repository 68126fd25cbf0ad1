"""Bodies of requests as bytes."""

from __future__ import annotations

import json
from typing import Any


def encoded(text: str) -> bytes:
    """Return text as UTF-8; halves of surrogate pairs are let through, for a test may want to send them."""
    return text.encode("utf-8", "surrogatepass")


def written(body: Any) -> bytes:
    """Return JSON; half a surrogate pair, which UTF-8 cannot hold, as an escape.

    Raises:
        ValueError: It holds what JSON has not.
    """
    try:
        return json.dumps(body, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return json.dumps(body).encode()
    except (TypeError, RecursionError, ValueError) as error:
        raise ValueError(
            "Expected a body of texts, numbers, lists, objects, true, false and null, "
            f"got one that cannot be written as JSON ({error})."
        ) from None
