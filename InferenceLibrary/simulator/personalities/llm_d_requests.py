"""Requests as llm-d-inference-sim v0.10.2 reads them: types as Go's decoder has them, nothing of ranges."""

from __future__ import annotations

import re
from functools import reduce
from typing import TYPE_CHECKING, Any

from InferenceLibrary.simulator.answers.openai_requests import Ask
from InferenceLibrary.simulator.core.api_errors import ApiError
from InferenceLibrary.simulator.core.strict_numbers import decoder_for

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.request import Request

_TOKEN = re.compile(r"(?:[{}:,\-.?!;@#$%^&*()+_~/\\><\[\]=\"]|\w+)\s*", re.ASCII)
"""A word or a sign with the space after it. What is neither is lost: other scripts, and spaces at the start."""
_START, _PRIME, _MASK = 0x811C9DC5, 0x01000193, 0xFFFFFFFF
"""The hash of nothing by FNV-1a, its prime, and 32 bits."""
_MESSAGE = 4
"""Tokens that a message has beside those of its role and its text."""
_CALL = 10
"""Tokens that a call in a message has beside its text."""

_NUMBERS = ("n", "max_tokens", "max_completion_tokens", "max_output_tokens", "top_logprobs", "dimensions")
_TRUTHS = ("stream", "ignore_eos", "parallel_tool_calls", "do_remote_decode", "do_remote_prefill")


def tokens_of(text: str) -> list[str]:
    """Return the tokens of a text; what is not a token is lost."""
    return _TOKEN.findall(text)


def read(request: Request, kinds: dict[str, type]) -> dict[str, Any]:
    """Return the body's object, whatever its content type says. `kinds` has what only this route decodes.

    Raises:
        ApiError: 400; it is not JSON, or a field has not the type that it is decoded to.
    """
    try:
        text = request.body.decode("utf-8", "replace")
        data = decoder_for(text, _no_constant).decode(text)
    except (ValueError, RecursionError) as error:
        raise unreadable(f"invalid JSON: {error}") from None
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise unreadable(f"json: cannot unmarshal {_name(data)} into Go value of type api.alias")
    wanted: dict[str, type] = {
        "model": str, **dict.fromkeys(_NUMBERS, int), **dict.fromkeys(_TRUTHS, bool), "stream_options": dict,
        "kv_transfer_params": dict, **kinds
    }  # fmt: skip
    for name, kind in wanted.items():
        value = data.get(name)
        if value is not None and type(value) is not kind:
            raise unreadable(
                f"json: cannot unmarshal {_name(value)} into Go struct field {name} of type {kind.__name__}"
            )
    return data


def ids_of(tokens: list[str]) -> list[int]:
    """Return the ids of tokens: their hashes by FNV-1a of 32 bits."""
    return [reduce(lambda so_far, byte: (so_far ^ byte) * _PRIME & _MASK, token.encode(), _START) for token in tokens]


def rendered(message: dict[str, Any]) -> str:
    """Return a message as it stands in the prompt."""
    return f"### {message.get('role') or ''}: {content_of(message.get('content'))}\n"


def chat_ask(data: dict[str, Any]) -> Ask:
    """Return what a chat asks for."""
    return _filled(data, "chat", data.get("messages") or [])


def completion_ask(data: dict[str, Any]) -> Ask:
    """Return what a completion asks for.

    Raises:
        ApiError: 400; a prompt is missing, empty, or not one.
    """
    prompt = data.get("prompt")
    if prompt is None or isinstance(prompt, str):
        prompts = [prompt or ""]
    elif not isinstance(prompt, list) or not prompt:
        raise unreadable("prompt must be a text, tokens, or a list of them")
    elif all(type(one) is int for one in prompt):
        prompts = [_ids(prompt)]
    else:
        prompts = [one if isinstance(one, str) else _ids(one) for one in prompt]
    if not all(prompts):
        raise ApiError(400, "prompt is empty")
    if any("-" in one for one in prompts if re.fullmatch(r"[-\d,]+", one)):
        raise unreadable("token ids must not be negative")
    ask = Ask(str(data.get("model") or ""), prompts, sum(map(_count, prompts)), echo_text=prompts[0])
    _common(data, ask)
    given = data.get("logprobs")
    ask.logprobs = given or None
    return ask


def counts_of(ask: Ask) -> list[int]:
    """Return the tokens of each prompt, once for each of its choices."""
    counts = [ask.prompt_tokens] if len(ask.prompts) == 1 else list(map(_count, ask.prompts))
    return [count for count in counts for _ in range(ask.n)]


def _count(prompt: str) -> int:
    """Return how many tokens the prompt of a completion has: a text, or ids with commas between."""
    return prompt.count(",") + 1 if re.fullmatch(r"[\d,]+", prompt) else len(tokens_of(prompt))


def response_ask(data: dict[str, Any]) -> Ask:
    """Return what a response asks for.

    Raises:
        ApiError: 400; there is no input, or an item of another kind than a message.
    """
    given = data.get("input")
    if given is None:
        raise unreadable("input is required")
    if not isinstance(given, str | list):
        raise unreadable("input must be a text or a list of items")
    items = [{"role": "user", "content": given}] if isinstance(given, str) else given
    for item in items:
        kind = item.get("type", "message") if isinstance(item, dict) else "text"
        if kind != "message":
            raise unreadable(f'unsupported input item type "{kind}"')
    ask = _filled({**data, "max_tokens": data.get("max_output_tokens")}, "responses", items)
    include = data.get("include")
    if data.get("top_logprobs") and isinstance(include, list) and "message.output_text.logprobs" in include:
        ask.logprobs = data["top_logprobs"]
    ask.tools, ask.tool_choice = [], "auto"
    return ask


def message_ask(data: dict[str, Any]) -> Ask:
    """Return what a message asks for.

    Raises:
        ApiError: 400; the messages or the limit of tokens are missing.
    """
    if data.get("messages") == []:
        raise ApiError(400, "messages must not be empty")
    if not data.get("max_tokens") or data["max_tokens"] < 0:
        raise ApiError(400, "max_tokens is required and must be positive")
    system = data.get("system")
    messages = [{"role": "system", "content": system}] if system else []
    tools = [
        {"type": "function", "function": {**tool, "parameters": tool.get("input_schema")}}
        for tool in (one if isinstance(one, dict) else {} for one in data.get("tools") or [])
    ]
    choice = data.get("tool_choice") or {}
    kind = choice.get("type") if isinstance(choice, dict) else None
    named = {"type": "function", "function": {"name": choice.get("name")}} if kind == "tool" else None
    chosen = named or {"any": "required", "none": "none"}.get(str(kind), "auto")
    given = {**data, "tools": tools, "tool_choice": chosen, "logprobs": None, "stream_options": None}
    spoken = [one for message in data.get("messages") or [] for one in _without_results(message)]
    return _filled(given, "messages", [*messages, *spoken])


def _without_results(message: Any) -> list[Any]:
    """Return a message as those it becomes: what it says, where it says something, and each result of a tool."""
    content = message.get("content") if isinstance(message, dict) else None
    blocks = content if isinstance(content, list) else []
    results = [one for one in blocks if isinstance(one, dict) and one.get("type") == "tool_result"]
    if not results:
        return [message]
    rest = [one for one in blocks if one not in results]
    said = [{**message, "content": rest}] if rest else []
    return [*said, *({"role": "tool", "content": one.get("content")} for one in results)]


def _filled(data: dict[str, Any], route: str, messages: list[Any]) -> Ask:
    texts, count = [], 0
    for one in messages:
        if not isinstance(one, dict):
            raise unreadable(f"json: cannot unmarshal {_name(one)} into Go struct field messages of type api.Message")
        text = content_of(one.get("content"))
        calls = one.get("tool_calls")
        if calls is not None and not isinstance(calls, list):
            raise unreadable(
                f"json: cannot unmarshal {_name(calls)} into Go struct field messages.tool_calls of type []api.ToolCall"
            )
        calls = calls or []
        count += _MESSAGE + len(tokens_of(str(one.get("role") or ""))) + len(tokens_of(text)) + _CALL * len(calls)
        texts.append(text)
    ask = Ask(str(data.get("model") or ""), ["\n".join(texts)], count, echo_text=texts[-1] if texts else "")
    _common(data, ask)
    if route == "chat" and data.get("logprobs") is True:
        ask.logprobs = max(1, data.get("top_logprobs") or 1)
    ask.tools = data.get("tools") or []
    ask.tool_choice = data.get("tool_choice", "auto")
    return ask


def _common(data: dict[str, Any], ask: Ask) -> None:
    """Fill in what all routes have.

    Raises:
        ApiError: 400; a count is not positive, or the end is to be ignored without a limit.
    """
    ask.stream = data.get("stream") is True
    ask.include_usage = bool((data.get("stream_options") or {}).get("include_usage"))
    ask.n = 1 if data.get("n") is None else data["n"]
    if ask.n < 1:
        raise ApiError(400, "n must be at least 1")
    limits = [data[name] for name in ("max_tokens", "max_completion_tokens") if data.get(name) is not None]
    if any(limit <= 0 for limit in limits):
        raise ApiError(400, "Max completion tokens and max tokens should be positive")
    ask.max_tokens = limits[-1] if limits else None
    ask.ignore_eos = data.get("ignore_eos") is True
    if ask.ignore_eos and ask.max_tokens is None:
        raise ApiError(400, "Ignore_eos is true but max_completion_tokens (or max_tokens) is not set")
    transfer = data.get("kv_transfer_params") or {}
    ask.do_remote_decode = transfer.get("do_remote_decode") is True or data.get("do_remote_decode") is True
    ask.remote_prefill = transfer.get("do_remote_prefill") is True or data.get("do_remote_prefill") is True
    if ask.do_remote_decode and ask.stream:
        raise ApiError(400, "Prefill does not support streaming")


def content_of(content: Any) -> str:
    """Return the text of a message's content; an image is its address.

    Raises:
        ApiError: 400; it is neither a text nor a list of parts.
    """
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list) or not all(isinstance(part, dict) for part in content):
        raise unreadable("content format not supported")
    lines = []
    for part in content:
        image, kind = part.get("image_url"), part.get("type")
        if kind is not None and not isinstance(kind, str):
            raise unreadable(f"json: cannot unmarshal {_name(kind)} into Go struct field content.type of type string")
        if kind in {"text", "input_text", "output_text"}:
            lines.append(str(part.get("text") or ""))
        elif image:
            lines.append(f"image: {image.get('url') if isinstance(image, dict) else image}")
    return "\n".join(lines)


def _ids(ids: Any) -> str:
    if not isinstance(ids, list) or not all(type(one) is int for one in ids):
        raise unreadable("prompt must be a text, tokens, or a list of them")
    return ",".join(map(str, ids))


def unreadable(why: str) -> ApiError:
    """Return the error for a body that cannot be read."""
    return ApiError(400, f"Failed to read and parse request body, {why}")


def _no_constant(name: str) -> None:
    raise ValueError(f"invalid character '{name[0]}' looking for beginning of value")


def _name(value: Any) -> str:
    return {str: "string", bool: "bool", list: "array", dict: "object"}.get(type(value), "number")
