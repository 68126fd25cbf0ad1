"""Calls of the tools that a request offers, with arguments that fit their schemas."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from InferenceLibrary.simulator.answers.schema_values import value_for
from InferenceLibrary.simulator.answers.tokens import count_tokens, tokenize
from InferenceLibrary.simulator.core.api_errors import ApiError

if TYPE_CHECKING:
    from InferenceLibrary.simulator.answers.engine import Output
    from InferenceLibrary.simulator.answers.openai_requests import Ask
    from InferenceLibrary.simulator.core.draws import Draws
    from InferenceLibrary.simulator.core.settings import Settings


def check_tools(ask: Ask) -> None:
    """Refuse tools that have no name, and choices that cannot be met.

    Raises:
        ApiError: 400.
    """
    names = set()
    for index, tool in enumerate(ask.tools):
        function = tool.get("function") if isinstance(tool, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str) or not function["name"]:
            raise ApiError(400, f"'tools[{index}]' must be a function with a name", param="tools")
        parameters = function.get("parameters")
        if parameters is not None and not isinstance(parameters, dict):
            raise ApiError(400, f"'tools[{index}].function.parameters' must be a JSON schema", param="tools")
        names.add(function["name"])
    choice = ask.tool_choice
    if isinstance(choice, dict):
        name = (choice.get("function") or {}).get("name") if isinstance(choice.get("function"), dict) else None
        if not isinstance(name, str) or name not in names:
            raise ApiError(400, f"'tool_choice' names the tool {name!r}, which is not offered", param="tool_choice")
    elif choice not in {"auto", "none", "required"}:
        raise ApiError(400, "'tool_choice' must be auto, none, required or name a function", param="tool_choice")
    elif choice == "required" and not names:
        raise ApiError(400, "'tool_choice' is required, but no tools are offered", param="tool_choice")


def format_answer(ask: Ask, output: Output, draws: Draws, settings: Settings) -> None:
    """Replace the text by JSON that fits the required format, within the limit of tokens."""
    value = value_for(ask.response_format, draws, settings, ask)
    tokens = tokenize(json.dumps(value, ensure_ascii=False))
    limit = ask.max_tokens or len(tokens)
    output.tokens = tokens[:limit]
    output.finish = "length" if len(tokens) > limit else "stop"


def call_tools(ask: Ask, output: Output, draws: Draws, settings: Settings, ids: str) -> None:
    """Let the answer call tools, as the choice of the request has it."""
    choice = ask.tool_choice
    if not ask.tools or choice == "none":
        return
    functions = [tool["function"] for tool in ask.tools]
    if isinstance(choice, dict):
        chosen = [function for function in functions if function["name"] == choice["function"]["name"]][:1]
    else:
        most = len(functions) if ask.parallel_tool_calls else 1
        count = draws.between(1 if choice == "required" else 0, most)
        chosen = [functions[draws.below(len(functions))] for _ in range(count)]
    if not chosen:
        return
    output.tokens = []
    output.finish = "tool_calls"
    for place, function in enumerate(chosen):
        value: Any = value_for(function.get("parameters") or {"type": "object"}, draws, settings, ask)
        arguments = json.dumps(value, ensure_ascii=False)
        call_id = f"call_{ids}{place}"
        called = {"name": function["name"], "arguments": arguments}
        output.tool_calls.append({"id": call_id, "type": "function", "function": called})
        output.tool_tokens += count_tokens(arguments) + 1
