"""Rules for tool calls and structured answers, each broken one told in a line."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from InferenceLibrary.protocol.json_schema import schema_problem
from InferenceLibrary.protocol.pieces import ToolCall


def tool_problems(calls: Sequence[ToolCall], tools: Sequence[Mapping[str, Any]] = ()) -> list[str]:
    """Return what is wrong with joined tool calls.

    Each has an id of its own and a name; names are among those offered; arguments are JSON objects that fit the schema
    of the tool.

    Args:
        calls: The calls of one answer.
        tools: Those offered, in the form of the API; none: names and schemas are not judged.
    """
    found = []
    functions = {tool["function"]["name"]: tool["function"] for tool in tools}
    ids = [call.id for call in calls]
    for call in calls:
        if not call.id:
            found.append(f"call {call.place} ({call.name}) has no id")
        elif ids.count(call.id) > 1:
            found.append(f"call {call.place} ({call.name}) shares its id '{call.id}'")
        if not call.name:
            found.append(f"call {call.place} has no name")
        elif functions and call.name not in functions:
            found.append(f"call {call.place} names '{call.name}', offered are {', '.join(functions)}")
        if not isinstance(call.input, dict):
            found.append(f"the arguments of {call.name} are no JSON object: {call.arguments!r}")
        elif schema := functions.get(call.name or "", {}).get("parameters"):
            problem = schema_problem(call.input, schema)
            if problem:
                found.append(f"the arguments of {call.name} do not fit its schema: {problem}")
    return found


def piece_problems(pieces: Sequence[ToolCall], raw: Sequence[Any]) -> list[str]:
    """Return what is wrong with the pieces of tool calls of a chat stream.

    Each has an index, from 0 and dense; id, type and name come with the first piece of an index, and only there.

    Args:
        pieces: What was read.
        raw: The objects that they were read from, in the same order.
    """
    found = []
    seen: list[int] = []
    for number, (piece, data) in enumerate(zip(pieces, raw, strict=True), start=1):
        if not isinstance(data.get("index"), int) or isinstance(data.get("index"), bool):
            found.append(f"piece {number} has no index: {json.dumps(data, ensure_ascii=False)[:120]}")
            continue
        if piece.place in seen:
            if piece.id or piece.name:
                found.append(f"piece {number} of call {piece.place} bears id or name again")
            continue
        seen.append(piece.place)
        lacks = [
            key for key, value in (("id", piece.id), ("name", piece.name), ("type", data.get("type"))) if not value
        ]
        if lacks:
            found.append(f"the first piece of call {piece.place} lacks {' and '.join(lacks)}")
    if sorted(seen) != list(range(len(seen))):
        found.append(f"the indices of the calls are {seen}, expected 0 to {len(seen) - 1}")
    return found
