"""Answers of real servers, as they were recorded: one request and its answer a line, in order, by start of the server.

A record holds status, headers and text; times, framing and pieces are not kept.
"""

from __future__ import annotations

import base64
import json
import lzma
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from InferenceLibrary.protocol.exchange import Exchange, Held, Request

FOLDER = Path(__file__).parent / "data" / "recorded"
LEFT_OUT = "body left out"
"""The note of a record without the body of its answer."""


class Recorded(NamedTuple):
    """One request and its answer."""

    group: str
    """Records of one group were asked in order of one server, started with `flags`."""
    flags: tuple[str, ...]
    name: str
    request: dict[str, Any]
    answer: dict[str, Any]
    varies: bool
    """Whether the server itself answers differently from run to run."""
    tls: bool
    environment: dict[str, str]

    @property
    def whole(self) -> bool:
        return self.answer.get("note") != LEFT_OUT

    @property
    def label(self) -> str:
        return f"{self.group}/{self.name}"

    @property
    def body(self) -> bytes:
        """The body of the request."""
        if "json" in self.request:
            return json.dumps(_unfold(self.request["json"])).encode()
        if "base64" in self.request:
            return base64.b64decode(self.request["base64"])
        text: str = self.request.get("text", "")
        return text.encode()

    @property
    def has_body(self) -> bool:
        """Whether a body was sent, be it empty."""
        return not {"json", "text", "base64"}.isdisjoint(self.request)

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the request, but for those of the connection."""
        headers = {"content-type": "application/json"} if self.has_body else {}
        for name, value in self.request.get("headers", {}).items():
            headers.pop(name.lower(), None)
            if value is not None:
                headers[name.lower()] = value
        return headers

    def exchange(self) -> Exchange:
        """Return the record as the judge takes it."""
        request = Request(
            self.request["method"], f"http://recorded{self.request['path']}", tuple(self.headers.items()), self.body
        )
        return Exchange(
            request,
            self.answer["status"] or None,
            tuple(self.answer["headers"].items()),
            self.answer["body"].encode(),
            held=frozenset({Held.REQUEST, Held.HEADERS}),
        )


def recording(name: str) -> Iterator[Recorded]:
    """Yield what was recorded under a name.

    Raises:
        ValueError: The file is cut, or is not a recording.
    """
    path = FOLDER / f"{name}.jsonl.xz"
    try:
        text = lzma.decompress(path.read_bytes()).decode()
        for line in text.splitlines():
            one = json.loads(line)
            yield Recorded(
                one["group"], tuple(one.get("flags", ())), one["name"], one["request"], one["answer"],
                bool(one.get("varies")), bool(one.get("tls")), one.get("env", {}),
            )  # fmt: skip
    except (OSError, lzma.LZMAError, ValueError, KeyError) as error:
        raise ValueError(f"{path} is not a whole recording: {error}.") from error


def recordings() -> list[str]:
    """Return the names of all recordings."""
    return sorted(path.name.removesuffix(".jsonl.xz") for path in FOLDER.glob("*.jsonl.xz"))


def _unfold(value: Any) -> Any:
    """Undo the short form of long texts, `{"$repeat": [piece, times]}`."""
    if isinstance(value, dict):
        if "$repeat" in value:
            piece, times = value["$repeat"]
            return piece * times
        return {key: _unfold(one) for key, one in value.items()}
    return [_unfold(one) for one in value] if isinstance(value, list) else value
