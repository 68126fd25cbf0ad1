"""What a request asked for, as rules of chats and completions need it. Total: an odd request asks for nothing odd."""

from __future__ import annotations

from typing import Any

from InferenceLibrary.protocol.exchange import Exchange, Held


class Asked:
    """The parts of a request's body that decide what is right."""

    def __init__(self, exchange: Exchange) -> None:
        body = exchange.asked if Held.REQUEST in exchange.held else None
        given: dict[str, Any] = body if isinstance(body, dict) else {}
        self.known = isinstance(body, dict)
        """Whether the request is held, and is an object."""
        self.stream = given.get("stream") is True
        self.n = _count(given.get("n"), 1)
        """Choices for each prompt; None where that is not a count."""
        self.prompts = _prompts(given.get("prompt"))
        """Texts of the prompts of a completion; None for one that is given as tokens."""
        self.says_something = any(has_text(given.get(name)) for name in ("messages", "prompt"))
        """Whether there is a prompt, and it is not empty."""
        self.limit = _limit(given)
        """The most tokens of one choice; None where none was asked for."""
        self.stops = _stops(given.get("stop"))
        self.keeps_stop = given.get("include_stop_str_in_output") is True
        tools = given.get("tools")
        self.tools: list[dict[str, Any]] = (
            [tool for tool in tools or () if isinstance(tool, dict)] if _is(tools) else []
        )
        self.functions = given.get("functions")
        self.tool_choice = given.get("tool_choice")
        self.response_format = given.get("response_format")
        options = given.get("stream_options")
        self.stream_options = options if isinstance(options, dict) else None
        self.include_usage = self.stream and (self.stream_options or {}).get("include_usage") is True
        self.usage_in_all = (self.stream_options or {}).get("continuous_usage_stats") is True
        self.logprobs = given.get("logprobs")
        """As it was sent: true in a chat, a count in a completion."""
        self.top = _count(given.get("top_logprobs"), 0)
        self.own_logprobs = given.get("return_tokens_as_token_ids") is True or given.get("post_sampling_probs") is True
        """Whether an option of vLLM or llama.cpp asks for tokens as numbers, or probabilities of another kind."""
        self.echo = given.get("echo") is True

    @property
    def choices(self) -> int | None:
        """How many choices there should be; None where that cannot be said."""
        return self.n * len(self.prompts) if self.n else None


def has_text(asked: Any) -> bool:
    """Whether a prompt, an input or messages of any form hold a text or a token."""
    if isinstance(asked, list):
        return any(has_text(one) for one in asked)
    if isinstance(asked, dict):
        return any(has_text(asked.get(name)) for name in ("content", "text", "input"))
    return bool(asked) if isinstance(asked, str) else type(asked) is int


def _is(value: Any) -> bool:
    return isinstance(value, list)


def _count(value: Any, default: int) -> int | None:
    if value is None:
        return default
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _limit(given: dict[str, Any]) -> int | None:
    """Servers differ on which of the two names wins: the larger holds in either case."""
    limits = [given.get("max_completion_tokens"), given.get("max_tokens")]
    found = [one for one in limits if isinstance(one, int) and not isinstance(one, bool) and one > 0]
    return max(found) if found else None


def _stops(value: Any) -> tuple[str, ...]:
    given = value if isinstance(value, list) else [value]
    return tuple(one for one in given if isinstance(one, str) and one)


def _prompts(value: Any) -> list[str | None]:
    if isinstance(value, list) and value and not all(isinstance(one, int) for one in value):
        return [one if isinstance(one, str) else None for one in value]
    return [value if isinstance(value, str) else None]
