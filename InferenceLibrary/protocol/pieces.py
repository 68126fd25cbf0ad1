"""What one choice of an answer holds, in whichever API it came: text, reasoning, tool calls, log probabilities."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from InferenceLibrary.foreign_text import readable, readable_or_none


class ToolCall(NamedTuple):
    """A call of a tool, or in a stream a piece of one."""

    place: int
    """Index among the calls of one answer."""
    id: str | None
    name: str | None
    arguments: str
    """JSON text as the server sent it."""

    @property
    def input(self) -> Any:
        """The decoded arguments, None when they are not JSON."""
        try:
            return json.loads(self.arguments or "{}")
        except (ValueError, RecursionError):
            return None

    def readable(self) -> ToolCall:
        """Return the call with texts that UTF-8 can hold; pieces are joined before."""
        return ToolCall(self.place, readable_or_none(self.id), readable_or_none(self.name), readable(self.arguments))

    def __str__(self) -> str:
        return f"{self.name}({self.arguments})"


class TokenLogprob(NamedTuple):
    """The log probability of one token, and of those that could have stood in its place."""

    token: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()

    @property
    def margin(self) -> float | None:
        """How much likelier it was than the best other token; None when no other is known."""
        others = [logprob for token, logprob in self.top if token != self.token]
        return self.logprob - max(others) if others else None


class Piece:
    """What one choice of a reply or chunk holds."""

    # Written out: made for every event, and a dataclass costs at import.
    __slots__ = ("finish_reason", "index", "logprobs", "reasoning", "role", "text", "tool_calls")

    def __init__(
        self,
        index: int = 0,
        text: str = "",
        reasoning: str = "",
        role: str | None = None,
        finish_reason: str | None = None,
        tool_calls: tuple[ToolCall, ...] = (),
        logprobs: tuple[TokenLogprob, ...] = (),
    ) -> None:
        self.index = index
        self.text = text
        self.reasoning = reasoning
        self.role = role
        self.finish_reason = finish_reason
        self.tool_calls = tool_calls
        self.logprobs = logprobs


def content_text(value: Any) -> str:
    """Text, or the joined text of content parts."""
    if isinstance(value, list):
        return "".join(str(part.get("text") or "") for part in value if isinstance(part, dict))
    return value if isinstance(value, str) else ""


def thought_text(body: Mapping[str, Any]) -> str:
    """What a message or delta of a chat thinks aloud: in a key of its own, or in parts of its content."""
    own = content_text(body.get("reasoning_content") or body.get("reasoning"))
    content = body.get("content")
    if own or not isinstance(content, list):
        return own
    thoughts = (part.get("thinking") for part in content if isinstance(part, dict) and part.get("type") == "thinking")
    return "".join(map(content_text, thoughts))


def arguments_text(value: Any) -> str:
    """Arguments of a tool call as JSON text; some servers send an object."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def text_or_none(value: Any) -> str | None:
    return None if value is None else str(value)
