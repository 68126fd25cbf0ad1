"""/v1/messages: the Messages API of Anthropic, in one piece and as typed events."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from InferenceLibrary.simulator.answers.openai_requests import Ask, content_text, take, take_number
from InferenceLibrary.simulator.answers.tokens import count_tokens, tokenize
from InferenceLibrary.simulator.core.api_errors import ApiError
from InferenceLibrary.simulator.core.draft import Draft, Event

if TYPE_CHECKING:
    from InferenceLibrary.simulator.answers.engine import Output

_STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}
_ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}
_JSON_PIECE = 12
_THOUGHT = "The question is simple. I answer it directly."


def messages_error(error: ApiError) -> Draft:
    """Return an error in the shape of this API."""
    kind = _ERROR_TYPES.get(error.status, "api_error" if error.status >= 500 else "invalid_request_error")
    return Draft(error.status, body={"type": "error", "error": {"type": kind, "message": error.message}})


def read_messages_request(data: dict[str, Any], *, counting: bool = False) -> Ask:
    """Read a request; `counting` needs no max_tokens.

    Raises:
        ApiError: 400, a parameter is wrong.
    """
    messages = take(data, "messages", (list,))
    if not messages:
        raise ApiError(400, "messages: at least one message is required")
    texts, last_user = [content_text(data.get("system"), "system")], ""
    for index, message in enumerate(messages):
        if not isinstance(message, dict) or message.get("role") not in ("user", "assistant"):
            raise ApiError(400, f"messages.{index}.role: must be user or assistant")
        text = content_text(message.get("content"), f"messages.{index}.content")
        texts.append(text)
        if message["role"] == "user":
            last_user = text
    ask = Ask(
        model=take(data, "model", (str,)),
        prompts=["\n".join(texts)],
        prompt_tokens=sum(map(count_tokens, texts)),
        echo_text=last_user,
    )
    ask.stream = take(data, "stream", (bool,), False)
    ask.max_tokens = take(data, "max_tokens", (int,), 1 if counting else 0)
    if ask.max_tokens is not None and ask.max_tokens < 1:
        raise ApiError(400, "max_tokens: must be given, and at least 1")
    ask.temperature = take_number(data, "temperature", 0, 1)
    ask.stop = [item for item in take(data, "stop_sequences", (list,), []) if isinstance(item, str) and item]
    for index, tool in enumerate(take(data, "tools", (list,), [])):
        if not isinstance(tool, dict) or not isinstance(tool.get("name"), str):
            raise ApiError(400, f"tools.{index}.name: Field required")
        function = {"name": tool["name"], "parameters": tool.get("input_schema")}
        ask.tools.append({"type": "function", "function": function})
    choice = take(data, "tool_choice", (dict,), {"type": "auto"})
    ask.tool_choice = _tool_choice(choice)
    ask.parallel_tool_calls = not take(choice, "disable_parallel_tool_use", (bool,), False)
    ask.response_format = _output_schema(take(data, "output_config", (dict,), {}))
    return ask


def _output_schema(config: dict[str, Any]) -> dict[str, Any] | None:
    """Return the JSON schema that the text must fit, or None for free text."""
    given = take(config, "format", (dict,), None)
    if given is None:
        return None
    if given.get("type") != "json_schema" or not isinstance(given.get("schema"), dict):
        raise ApiError(400, "output_config.format: must be of type json_schema, with a schema")
    return given["schema"]  # type: ignore[no-any-return]


def _tool_choice(choice: dict[str, Any]) -> Any:
    kind = choice.get("type")
    if kind == "tool":
        return {"type": "function", "function": {"name": choice.get("name")}}
    found = {"auto": "auto", "any": "required", "none": "none"}.get(str(kind))
    if found is None:
        raise ApiError(400, "tool_choice.type: must be auto, any, tool or none")
    return found


def thinks(data: dict[str, Any]) -> bool:
    """Whether the request wants the thinking to be shown."""
    thinking = data.get("thinking")
    return isinstance(thinking, dict) and thinking.get("type") == "enabled"


def stop_reason(output: Output) -> tuple[str, str | None]:
    """Return stop reason and stop sequence."""
    if output.stopped_by:
        return "stop_sequence", output.stopped_by
    return _STOP_REASONS.get(output.finish, output.finish), None


def message_object(message_id: str, model: str, ask: Ask, output: Output, thinking: bool) -> dict[str, Any]:
    """Return the message in one piece."""
    reason, sequence = stop_reason(output)
    content: list[dict[str, Any]] = []
    if thinking:
        content.append({"type": "thinking", "thinking": _THOUGHT, "signature": _signature(message_id)})
    if output.tokens or not output.tool_calls:
        content.append({"type": "text", "text": output.text, "citations": None})
    for call in output.tool_calls:
        content.append(
            {
                "type": "tool_use",
                "id": call["id"].replace("call_", "toolu_"),
                "name": call["function"]["name"],
                "input": json.loads(call["function"]["arguments"]),
            }
        )
    return {
        "id": message_id,
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        "stop_reason": reason,
        "stop_sequence": sequence,
        "stop_details": None,
        "usage": {
            "input_tokens": ask.prompt_tokens,
            "output_tokens": output.count,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "service_tier": "standard",
        },
    }


def _signature(message_id: str) -> str:
    return sha256(message_id.encode()).hexdigest()


def message_events(message: dict[str, Any], output: Output) -> list[Event]:
    """Return the typed events of a stream."""
    events: list[Event] = []

    def add(kind: str, tokens: int = 0, **fields: Any) -> None:
        events.append(Event({"type": kind, **fields}, kind, tokens=tokens, name=kind))

    usage = {**message["usage"], "output_tokens": 0}
    begun = {**message, "content": [], "stop_reason": None, "stop_sequence": None, "usage": usage}
    add("message_start", message=begun)
    add("ping")
    for index, block in enumerate(message["content"]):
        if block["type"] == "thinking":
            opening = {"type": "thinking", "thinking": "", "signature": ""}
            add("content_block_start", index=index, content_block=opening)
            for token in tokenize(block["thinking"]):
                delta = {"type": "thinking_delta", "thinking": token}
                add("content_block_delta", index=index, delta=delta)
            add("content_block_delta", index=index, delta={"type": "signature_delta", "signature": block["signature"]})
        elif block["type"] == "text":
            add("content_block_start", index=index, content_block={"type": "text", "text": "", "citations": None})
            for token in output.tokens:
                add("content_block_delta", 1, index=index, delta={"type": "text_delta", "text": token})
        else:
            add("content_block_start", index=index, content_block={**block, "input": {}})
            text = json.dumps(block["input"], ensure_ascii=False)
            for start in range(0, len(text), _JSON_PIECE):
                piece = text[start : start + _JSON_PIECE]
                delta = {"type": "input_json_delta", "partial_json": piece}
                add("content_block_delta", 1, index=index, delta=delta)
        add("content_block_stop", index=index)
    ending = {name: message[name] for name in ("stop_reason", "stop_sequence", "stop_details")}
    counted = {name: count for name, count in message["usage"].items() if name.endswith("tokens")}
    add("message_delta", delta=ending, usage=counted)
    add("message_stop")
    return events
