"""What is asked of a model, and the bodies in which each API takes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from InferenceLibrary.protocol.paths import CHAT, COMPLETIONS, COUNT_TOKENS, MESSAGES, RESPONSES

HEADERS: dict[str, dict[str, str]] = {
    MESSAGES: {"anthropic-version": "2023-06-01"},
    COUNT_TOKENS: {"anthropic-version": "2023-06-01"},
}
"""Headers that an API demands beside the body."""

_MESSAGE_TOKENS = 256
"""The Messages API demands a limit."""
_SAMPLING = ("temperature", "top_p", "top_k", "frequency_penalty", "presence_penalty", "seed")
_NOT_IN_RESPONSES = ("top_k", "seed", "stop", "n", "logprobs")
_NOT_IN_MESSAGES = ("frequency_penalty", "presence_penalty", "seed", "n", "logprobs", "response_format")
_CHOICES = ("auto", "none", "required")


class Question(NamedTuple):
    """What is asked of a model, whichever API carries it. None is not sent."""

    messages: Sequence[Mapping[str, Any]] | None = None
    """The conversation: of a chat, of the Responses API (its input items) and of the Messages API."""
    prompt: str | Sequence[str] | Sequence[int] | None = None
    """The text that a completion continues; several, one choice each; or the ids of its tokens."""
    system: str | None = None
    """What the model is told before the conversation."""
    model: str | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    seed: int | None = None
    stop: Sequence[str] | None = None
    n: int | None = None
    """Choices to answer with."""
    logprobs: int | None = None
    """Alternatives for each token's log probability."""
    tools: Sequence[Mapping[str, Any]] | None = None
    """In the form of chats: `type` and `function`."""
    tool_choice: str | Mapping[str, Any] | None = None
    """`auto`, `none`, `required`, the name of a tool, or the object as the API has it."""
    response_format: Mapping[str, Any] | None = None
    """In the form of chats."""
    include_usage: bool = False
    """Whether a streamed chat or completion is asked for its usage."""
    extra: Mapping[str, Any] | None = None
    """Further keys of the body; they win over all others."""


def body_for(path: str, question: Question, *, stream: bool = False) -> dict[str, Any]:
    """Return the body in which the API at `path` takes a question.

    Raises:
        ValueError: The API has no place for something that is asked.
    """
    keys = _BODIES[path](question)
    if stream:
        keys["stream"] = True
        if question.include_usage:
            keys["stream_options"] = {"include_usage": True}
    return _given(keys, question.extra)


def embedding_body(
    texts: Sequence[str | Sequence[int]],
    encoding: str,
    model: str | None,
    dimensions: int | None,
    extra: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Return the body of a request for embeddings; one text is sent as text, several as a list.

    In place of a text may stand the ids of its tokens.
    """
    asked = {"input": texts[0] if len(texts) == 1 else list(texts), "encoding_format": encoding}
    return _given(asked | {"model": model, "dimensions": dimensions}, extra)


def rerank_body(
    query: str, documents: Sequence[str], model: str | None, top_n: int | None, extra: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return the body of a request to put documents in order."""
    return _given({"query": query, "documents": list(documents), "model": model, "top_n": top_n}, extra)


def score_body(
    query: str, documents: Sequence[str], model: str | None, extra: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return the body of a request to score documents, in vLLM's form: one text against several."""
    return _given({"text_1": query, "text_2": list(documents), "model": model}, extra)


def _given(keys: Mapping[str, Any], extra: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in keys.items() if value is not None} | dict(extra or {})


def _chat(question: Question) -> dict[str, Any]:
    told = [] if question.system is None else [{"role": "system", "content": question.system}]
    keys: dict[str, Any] = {"messages": [*told, *(question.messages or ())], **_shared(question)}
    keys |= {"n": question.n, "tools": question.tools, "response_format": question.response_format}
    keys["tool_choice"] = _choice(question.tool_choice, lambda name: {"type": "function", "function": {"name": name}})
    if question.logprobs is not None:
        keys |= {"logprobs": True, "top_logprobs": question.logprobs}
    return keys


def _completion(question: Question) -> dict[str, Any]:
    _refuse(question, "completions", "messages", "system", "tools", "tool_choice", "response_format")
    return {"prompt": question.prompt, **_shared(question), "n": question.n, "logprobs": question.logprobs}


def _response(question: Question) -> dict[str, Any]:
    _refuse(question, "the Responses API", "prompt", "include_usage", *_NOT_IN_RESPONSES)
    items = list(question.messages or ())
    plain = len(items) == 1 and isinstance(items[0].get("content"), str) and items[0].get("role") == "user"
    keys: dict[str, Any] = {"input": items[0]["content"] if plain else items, "instructions": question.system}
    keys |= _shared(question)
    keys["max_output_tokens"] = keys.pop("max_tokens")
    if question.tools:
        keys["tools"] = [{"type": "function", **tool["function"]} for tool in question.tools]
    keys["tool_choice"] = _choice(question.tool_choice, lambda name: {"type": "function", "name": name})
    if question.response_format:
        schema = question.response_format.get("json_schema", {})
        keys["text"] = {"format": {"type": question.response_format["type"], **schema}}
    return keys


def _message(question: Question) -> dict[str, Any]:
    keys = _counted(question)
    keys["max_tokens"] = question.max_tokens or _MESSAGE_TOKENS
    return keys


def _counted(question: Question) -> dict[str, Any]:
    """A question of the Messages API without the limit of its answer: for counting its tokens."""
    _refuse(question, "the Messages API", "prompt", "include_usage", *_NOT_IN_MESSAGES)
    keys: dict[str, Any] = {"messages": list(question.messages or ()), "system": question.system, **_shared(question)}
    del keys["max_tokens"]
    keys["stop_sequences"] = keys.pop("stop")
    if question.tools:
        keys["tools"] = [
            {
                "name": tool["function"]["name"],
                "description": tool["function"].get("description", ""),
                "input_schema": tool["function"].get("parameters") or {"type": "object"},
            }
            for tool in question.tools
        ]
    choice = question.tool_choice
    if isinstance(choice, str) and choice in _CHOICES:
        keys["tool_choice"] = {"type": "any" if choice == "required" else choice}
    else:
        keys["tool_choice"] = _choice(choice, lambda name: {"type": "tool", "name": name})
    return keys


def _shared(question: Question) -> dict[str, Any]:
    keys: dict[str, Any] = {"model": question.model, "max_tokens": question.max_tokens}
    keys |= {name: getattr(question, name) for name in _SAMPLING}
    keys["stop"] = None if question.stop is None else list(question.stop)
    return keys


def _choice(choice: str | Mapping[str, Any] | None, named: Callable[[str], dict[str, Any]]) -> Any:
    if isinstance(choice, str):
        return str(choice) if choice in _CHOICES else named(str(choice))
    return choice


def _refuse(question: Question, api: str, *names: str) -> None:
    given = [name for name in names if getattr(question, name) is not None and getattr(question, name) is not False]
    if given:
        raise ValueError(f"Expected no '{given[0]}': {api} cannot be asked for it. Hint: give it by extra=.")


_BODIES: dict[str, Callable[[Question], dict[str, Any]]] = {
    CHAT: _chat,
    COMPLETIONS: _completion,
    RESPONSES: _response,
    MESSAGES: _message,
    COUNT_TOKENS: _counted,
}
