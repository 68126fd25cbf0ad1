"""What a scenario may hold: each check raises ValueError with one line for what cannot be sent, or would do nothing."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from InferenceLibrary.simulator.faults.kinds import WHEN, Fault

# RFC 9110, 5.1 and 5.5, without the control characters that may not be sent.
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\xa0-\xff]*")
_OWN_HEADERS = frozenset({"connection", "content-length", "content-type", "date", "transfer-encoding"})
WITHOUT_BODY = frozenset({204, 205, 304})
"""Statuses whose answers have no body (RFC 9110, 15.3.5, 15.3.6 and 15.4.5)."""

GENERATING = frozenset(
    {
        "/rerank",
        "/score",
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/embeddings",
        "/v1/messages",
        "/v1/rerank",
        "/v1/responses",
        "/v1/score",
        "/v2/rerank",
    }
)
"""Where the reference generates."""


def check_status(status: int) -> None:
    if not 200 <= status <= 599:
        raise ValueError(f"status {status} cannot be sent: expected 200 to 599")


def check_headers(headers: Mapping[str, str]) -> None:
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not the name of a header: expected letters, digits and hyphens")
        if name.lower() in _OWN_HEADERS:
            raise ValueError(f"{name} cannot be given: the server sends its own, and the answer would have it twice")
        _check_value(name, value)


def check_content_type(value: str) -> None:
    _check_value("Content-Type", value)


def _check_value(name: str, value: str) -> None:
    if not _HEADER_VALUE.fullmatch(value):
        raise ValueError(f"the value {value!r} of {name} cannot be sent: expected one line of Latin-1 text")


def check_path(path: str) -> None:
    if not path.startswith("/"):
        raise ValueError(f"path '{path}' cannot be asked for: expected one that begins with /")
    wrong = next((char for char in path if char in "?#" or not char.isprintable()), None)
    if wrong is not None:
        raise ValueError(f"path {path!r} cannot be asked for: a path has no {wrong!r}, and a route takes any query")


def check_ordinals(key: str, numbers: Sequence[int] | None) -> None:
    """Check what counts requests from 1."""
    for number in numbers or ():
        if number < 1:
            raise ValueError(f"{key}: {number} matches no request: they are counted from 1")
    if numbers is not None and not numbers:
        raise ValueError(f"{key}: the list is empty: give the numbers of requests, from 1")


def check_json(value: Any, where: str) -> None:
    """Check that a value of YAML is one of JSON too."""
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise ValueError(f"{where}: the key {key} is not a text: put it in quotes")
            check_json(item, f"{where}.{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            check_json(item, f"{where}[{index}]")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{where}: {value} is not a number of JSON: put it in quotes to send the text")
    elif isinstance(value, str):
        if any("\ud800" <= char <= "\udfff" for char in value):
            raise ValueError(f"{where}: {value!r} cannot be sent: it has half of a surrogate pair")
    elif not isinstance(value, int | None):
        raise ValueError(
            f"{where}: {str(value)[:40]} is a {type(value).__name__} of YAML, which JSON does not have: "
            "put it in quotes to send the text"
        )


def check_fault(fault: Fault) -> None:
    """Check that a fault can strike an answer that a rule gives."""
    kind = fault.kind
    if kind.of_process and kind.on_answer is None:
        raise ValueError(f"fault '{kind.name}' is one of the process: give it on the command line, --fault")
    if kind.on_connect is not None or kind.on_head is not None:
        raise ValueError(
            f"fault '{kind.name}' strikes before a request is read, and its rule is found after that: "
            "give it on the command line, --fault"
        )
    counting = [key for key, parameter in WHEN.items() if fault.values[key] != parameter.default]
    if counting:
        raise ValueError(
            f"fault '{kind.name}' strikes each request of its rule, '{counting[0]}' is for those of a server: "
            "choose the requests with match"
        )
