"""Read the answers of two APIs whose streams have typed events: OpenAI's Responses and Anthropic's messages."""

from __future__ import annotations

from typing import Any

from InferenceLibrary.protocol.pieces import Piece, ToolCall, arguments_text, content_text, text_or_none

TERMINAL = frozenset({"response.completed", "response.incomplete", "response.failed", "message_stop", "error"})
"""Types of the events that end such a stream."""
LAST_TYPES = TERMINAL - {"error"} | {"end"}
"""Types of the events after which nothing comes, those of a worker's job included."""


def is_typed(data: Any) -> bool:
    """Whether an event is one of these APIs."""
    return (
        isinstance(data, dict)
        and "choices" not in data
        and isinstance(data.get("type"), str)
        and (data["type"].startswith(("response.", "message_", "content_block_")) or data["type"] == "ping")
    )


def read_typed(data: dict[str, Any]) -> list[Piece]:
    """Return what an answer or event holds, as one piece; an empty list when it is none of these APIs."""
    kind = data.get("type")
    if data.get("object") == "response":
        return [_response(data)]
    if kind == "message" and isinstance(data.get("content"), list):
        return [_message(data)]
    if not isinstance(kind, str):
        return []
    if kind.startswith("response."):
        return [_response_event(kind, data)]
    if kind.startswith(("message_", "content_block_")):
        return [_message_event(kind, data)]
    if kind == "token" and isinstance(data.get("t"), str):
        # A worker's job; see `client.jobs`.
        return [Piece(text=data["t"])]
    if kind == "end" and "stop_reason" in data:
        return [Piece(finish_reason=text_or_none(data["stop_reason"]))]
    return []


def _response(data: dict[str, Any]) -> Piece:
    """A whole answer of the Responses API. The finish reason is its status, or why it is incomplete."""
    piece = Piece(role="assistant")
    calls: list[ToolCall] = []
    output = data.get("output")
    for item in output if isinstance(output, list) else ():
        if not isinstance(item, dict):
            continue
        match item.get("type"):
            case "message":
                piece.text += content_text(item.get("content"))
            case "reasoning":
                piece.reasoning += content_text(item.get("content")) or content_text(item.get("summary"))
            case "function_call":
                calls.append(_function_call(len(calls), item))
    piece.tool_calls = tuple(calls)
    piece.finish_reason = _ending(data)
    return piece


def _ending(response: dict[str, Any]) -> str | None:
    details = response.get("incomplete_details")
    reason = details.get("reason") if isinstance(details, dict) else None
    status = response.get("status")
    return str(reason or status) if status not in (None, "in_progress", "queued") else None


def _response_event(kind: str, data: dict[str, Any]) -> Piece:
    piece = Piece()
    match kind:
        case "response.output_text.delta":
            piece.text = str(data.get("delta") or "")
        case "response.reasoning_text.delta" | "response.reasoning_summary_text.delta" | "response.reasoning.delta":
            piece.reasoning = str(data.get("delta") or "")
        case "response.output_item.added" if isinstance(data.get("item"), dict):
            if data["item"].get("type") == "function_call":
                piece.tool_calls = (_function_call(_index(data, "output_index"), data["item"]),)
        case "response.function_call_arguments.delta":
            piece.tool_calls = (ToolCall(_index(data, "output_index"), None, None, arguments_text(data.get("delta"))),)
        case "response.completed" | "response.incomplete" | "response.failed":
            response = data.get("response")
            ending = _ending(response) if isinstance(response, dict) else None
            piece.finish_reason = ending or kind.removeprefix("response.")
    return piece


def _function_call(index: int, item: dict[str, Any]) -> ToolCall:
    return ToolCall(
        index, text_or_none(item.get("call_id")), text_or_none(item.get("name")), arguments_text(item.get("arguments"))
    )


def _message(data: dict[str, Any]) -> Piece:
    """A whole answer of Anthropic's API."""
    piece = Piece(role=text_or_none(data.get("role")), finish_reason=text_or_none(data.get("stop_reason")))
    calls: list[ToolCall] = []
    for block in data["content"]:
        if not isinstance(block, dict):
            continue
        match block.get("type"):
            case "text":
                piece.text += str(block.get("text") or "")
            case "thinking":
                piece.reasoning += str(block.get("thinking") or "")
            case "tool_use":
                calls.append(_tool_use(len(calls), block))
    piece.tool_calls = tuple(calls)
    return piece


def _message_event(kind: str, data: dict[str, Any]) -> Piece:
    piece = Piece()
    match kind:
        case "message_start" if isinstance(data.get("message"), dict):
            piece.role = text_or_none(data["message"].get("role"))
        case "content_block_start" if isinstance(data.get("content_block"), dict):
            block = data["content_block"]
            if block.get("type") == "tool_use":
                # Its input is empty here and comes in pieces.
                piece.tool_calls = (
                    ToolCall(_index(data, "index"), text_or_none(block.get("id")), text_or_none(block.get("name")), ""),
                )
        case "content_block_delta" if isinstance(data.get("delta"), dict):
            delta = data["delta"]
            piece.text = str(delta.get("text") or "")
            piece.reasoning = str(delta.get("thinking") or "")
            if delta.get("type") == "input_json_delta":
                text = arguments_text(delta.get("partial_json"))
                piece.tool_calls = (ToolCall(_index(data, "index"), None, None, text),)
        case "message_delta" if isinstance(data.get("delta"), dict):
            piece.finish_reason = text_or_none(data["delta"].get("stop_reason"))
    return piece


def _tool_use(index: int, block: dict[str, Any]) -> ToolCall:
    return ToolCall(
        index, text_or_none(block.get("id")), text_or_none(block.get("name")), arguments_text(block.get("input"))
    )


def _index(data: dict[str, Any], name: str) -> int:
    value = data.get(name)
    return value if isinstance(value, int) else 0
