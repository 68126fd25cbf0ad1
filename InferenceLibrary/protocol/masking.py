"""Mask secrets that a server says in pieces: no event of a stream holds one, and yet a reader can join them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from InferenceLibrary.protocol.sse import Event
from InferenceLibrary.redaction import MASK, Redactor

_Path = tuple[str | int, ...]


def mask_pieces(datas: Sequence[str], redact: Redactor) -> dict[int, str]:
    """Return new data for the events that hold pieces of known secrets, by their index.

    Texts at the same place of neighbouring events are taken as one: the content of one choice, the arguments of one
    tool call, or all data where it is not JSON. The mask stands in the first piece; the others lose what they held.
    """
    if not redact.knows_any:
        return {}
    joined: dict[_Path, list[tuple[int, _Path, str]]] = {}
    for index, data in enumerate(datas):
        for path, place, text in _texts(_decoded(data)):
            joined.setdefault(place, []).append((index, path, text))
    changed: dict[int, Any] = {}
    for pieces in joined.values():
        for number, masked in _cut([text for _, _, text in pieces], redact).items():
            index, path, _ = pieces[number]
            changed[index] = _replaced(changed.get(index, _decoded(datas[index])), path, masked)
    return {
        index: data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
        for index, data in changed.items()
    }


def mask_stream(raw: bytes, events: Sequence[Event], redact: Redactor, *, lines: bool = False) -> bytes:
    """Return the bytes of a stream without known secrets, whole or in pieces.

    Args:
        raw: The bytes.
        events: What they hold, by their places.
        redact: Knows the secrets.
        lines: Whether an event is a line of JSON; else a block of an event stream.
    """
    if not redact.knows_any:
        return raw
    masked = mask_pieces([event.data for event in events], redact)
    for index in sorted(masked, reverse=True):
        event = events[index]
        was = raw[event.start : event.end]
        if lines:
            block = masked[index].encode("utf-8", "surrogatepass") + was[len(was.rstrip(b"\r\n")) :]
        else:
            block = _block(was, masked[index])
        raw = raw[: event.start] + block + raw[event.end :]
    # Bytes that are not UTF-8 survive the mask.
    return redact(raw.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


def _block(block: bytes, data: str) -> bytes:
    """The lines of an event with other data. The data of an event that is JSON is written on one line."""
    end = b"\r\n" if b"\r\n" in block else b"\n"
    kept = [line for line in block.splitlines() if line and line.split(b":")[0] != b"data"]
    lines = [*kept, *(b"data: " + line.encode("utf-8", "surrogatepass") for line in data.split("\n"))]
    return end.join(lines) + end + end


def _cut(pieces: Sequence[str], redact: Redactor) -> dict[int, str]:
    """Return new texts for the pieces that hold only a part of a secret, by their number."""
    starts, at = [], 0
    for piece in pieces:
        starts.append(at)
        at += len(piece)
    cut: dict[int, str] = {}
    for begin, end in reversed(redact.spans("".join(pieces))):
        held = [n for n, piece in enumerate(pieces) if starts[n] < end and starts[n] + len(piece) > begin]
        if len(held) < 2:
            continue
        for number in held:
            text = cut.get(number, pieces[number])
            left = text[: max(0, begin - starts[number])]
            right = text[end - starts[number] :] if number == held[-1] else ""
            cut[number] = left + (MASK if number == held[0] else "") + right
    return cut


def _decoded(data: str) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return data


def _texts(value: Any, path: _Path = (), place: _Path = ()) -> Iterator[tuple[_Path, _Path, str]]:
    """Every text of an object: the path to it, and its place, in which items of a list go by their `index`."""
    if isinstance(value, str):
        yield path, place, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _texts(item, (*path, key), (*place, key))
    elif isinstance(value, list):
        for position, item in enumerate(value):
            index = item.get("index") if isinstance(item, dict) else None
            yield from _texts(item, (*path, position), (*place, index if isinstance(index, int) else position))


def _replaced(value: Any, path: _Path, text: str) -> Any:
    if not path:
        return text
    value[path[0]] = _replaced(value[path[0]], path[1:], text)
    return value
