"""What an answer under test is made of."""

from __future__ import annotations

import json

TOOLS = {
    "tools": [
        {
            "type": "function",
            "function": {
                "name": "f",
                "parameters": {
                    "type": "object",
                    "properties": {"city": {"enum": ["a city with a long name"]}},
                    "required": ["city"],
                },
            },
        }
    ],
    "tool_choice": "required",
}
TEXT = "one two three four five"


def chunks(answer):
    return [item for item in answer.data if isinstance(item, dict)]


def choices(answer):
    return [choice for chunk in chunks(answer) for choice in chunk["choices"]]


def text_of(answer):
    return "".join(choice.get("delta", choice).get("content") or choice.get("text", "") for choice in choices(answer))


def finishes(answer):
    return [choice["finish_reason"] for choice in choices(answer) if choice["finish_reason"] is not None]


def ends_cleanly(answer):
    return answer.raw.endswith(b"\r\n0\r\n\r\n")


def ids(answer):
    return {chunk["id"] for chunk in chunks(answer)}


def wire_events(answer):
    return answer.body.split(b"\n\n")


def not_json(data):
    try:
        json.loads(data)
    except ValueError:
        return True
    return False
