"""The order of typed event streams: OpenAI's Responses API and Anthropic's messages."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

_ENDS = ("response.completed", "response.incomplete", "response.failed")
_PAIRS = {
    "response.output_item.added": "response.output_item.done",
    "response.content_part.added": "response.content_part.done",
}


def order_problems(events: Sequence[tuple[str, Any]]) -> list[str]:
    """Return what is wrong with the order of a stream.

    Args:
        events: The name of each event (`message` where it had no `event:` line) and its decoded data, in order.
    """
    if not events:
        return ["there is no event"]
    found = _forms(events)
    data = [item for _, item in events if isinstance(item, dict) and isinstance(item.get("type"), str)]
    kinds = [item["type"] for item in data]
    if any(kind.startswith("response.") for kind in kinds):
        return found + _response_problems(data, kinds)
    return found + _message_problems(data, kinds)


def _forms(events: Sequence[tuple[str, Any]]) -> list[str]:
    found = []
    for number, (name, data) in enumerate(events, start=1):
        kind = data.get("type") if isinstance(data, dict) else None
        if not isinstance(kind, str):
            found.append(f"event {number} has no type")
        elif name not in {"message", kind}:
            found.append(f"event {number} is named '{name}' and has the type '{kind}'")
    return found


def _response_problems(data: list[dict[str, Any]], kinds: list[str]) -> list[str]:
    found = []
    if kinds[0] != "response.created":
        found.append(f"the first event is {kinds[0]}, expected response.created")
    ends = [kind for kind in kinds if kind in _ENDS]
    if len(ends) != 1 or kinds[-1] not in _ENDS:
        found.append(f"the last event is {kinds[-1]} with {len(ends)} ends in all, expected one of {', '.join(_ENDS)}")
    numbers = [item.get("sequence_number") for item in data]
    for earlier, later in itertools.pairwise(numbers):
        if not isinstance(earlier, int) or not isinstance(later, int) or later != earlier + 1:
            found.append(f"sequence_number goes from {earlier} to {later}, expected a step of 1")
            break
    open_parts: list[tuple[str, Any]] = []
    for item in data:
        kind = item["type"]
        place = (item.get("output_index"), item.get("content_index"))
        if kind in _PAIRS:
            open_parts.append((_PAIRS[kind], place))
        elif kind in _PAIRS.values():
            if (kind, place) not in open_parts:
                found.append(f"{kind} at {place} without its beginning")
            else:
                open_parts.remove((kind, place))
        elif kind.endswith(".delta") and not open_parts:
            found.append(f"{kind} outside of any item")
    found += [f"{kind} at {place} is missing" for kind, place in open_parts]
    return found + _response_texts(data)


def _response_texts(data: list[dict[str, Any]]) -> list[str]:
    """Joined deltas are the text of the closing event of their part."""
    found = []
    for name, key in (("output_text", "text"), ("function_call_arguments", "arguments")):
        joined: dict[Any, str] = {}
        for item in data:
            place = (item.get("output_index"), item.get("content_index"))
            if item["type"] == f"response.{name}.delta":
                joined[place] = joined.get(place, "") + str(item.get("delta"))
            elif item["type"] == f"response.{name}.done" and joined.get(place, "") != item.get(key):
                found.append(f"the deltas of {name} are '{joined.get(place, '')}', its end says '{item.get(key)}'")
    return found


def _message_problems(data: list[dict[str, Any]], kinds: list[str]) -> list[str]:
    found = []
    said = [(kind, item) for kind, item in zip(kinds, data, strict=True) if kind != "ping"]
    if not said or said[0][0] != "message_start":
        found.append(f"the first event is {said[0][0] if said else 'missing'}, expected message_start")
    if not said or said[-1][0] != "message_stop":
        found.append(f"the last event is {said[-1][0] if said else 'missing'}, expected message_stop")
    if kinds.count("message_delta") < 1:
        found.append("there is no message_delta with the reason of the end")
    block, expected = None, 0
    for kind, item in said:
        index = item.get("index")
        if kind == "content_block_start":
            if block is not None:
                found.append(f"block {index} starts inside block {block}")
            if index != expected:
                found.append(f"a block has index {index}, expected {expected}")
            block, expected = index, expected + 1
        elif kind in {"content_block_delta", "content_block_stop"}:
            if index != block:
                found.append(f"{kind} for block {index} where block {block} is open")
            if kind == "content_block_stop":
                block = None
        elif kind == "message_delta" and block is not None:
            found.append(f"message_delta comes inside block {block}")
    if block is not None:
        found.append(f"block {block} has no content_block_stop")
    return found
