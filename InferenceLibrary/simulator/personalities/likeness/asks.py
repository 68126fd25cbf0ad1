"""What a request asks for, read as a server does that takes all that its dialect does not refuse."""

from __future__ import annotations

import json
from math import inf
from typing import TYPE_CHECKING, Any

from InferenceLibrary.simulator.answers.openai_answers import token_logprob
from InferenceLibrary.simulator.answers.openai_requests import Ask
from InferenceLibrary.simulator.answers.tokens import count_tokens, tokenize

if TYPE_CHECKING:
    from InferenceLibrary.dialects.choices import OpenChoices, PromptChoices
    from InferenceLibrary.simulator.answers.tokens import Vocabulary


def text_of(content: Any) -> str:
    """Return the text of a message's content, whatever it is."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    texts = [part.get("text", part.get("content")) if isinstance(part, dict) else part for part in content]
    return "".join(text if isinstance(text, str) else "" for text in texts)


def prompt_of(api: str, data: dict[str, Any]) -> list[str]:
    """Return the prompts of a request, one text each."""
    if api == "completions":
        return _prompts(data.get("prompt"))
    return ["\n".join(text for _, text in messages_of(api, data))]


def messages_of(api: str, data: dict[str, Any]) -> list[tuple[str, str]]:
    """Return role and text of each message."""
    given = data.get("input") if api == "responses" else data.get("messages")
    if isinstance(given, str):
        given = [{"role": "user", "content": given}]
    found = []
    for field in ("instructions", "system"):
        if data.get(field):
            found.append(("system", text_of(data[field])))
    for one in given if isinstance(given, list) else []:
        if isinstance(one, dict):
            content = one.get("content", one.get("output"))
            found.append((str(one.get("role", "")), text_of(content)))
    return found


def prompt_tokens(api: str, data: dict[str, Any], prompt: PromptChoices) -> int:
    """Return how many tokens a request has."""
    if api in {"chat", "responses", "messages", "count_tokens"}:
        tools = data.get("tools")
        offered = prompt.tool * len(tools) if isinstance(tools, list) else 0
        return sum(count_tokens(text) + prompt.message for _, text in messages_of(api, data)) + prompt.opening + offered
    field = {"completions": "prompt", "embeddings": "input", "rerank": "documents"}.get(api, "prompt")
    return sum(_count(one) for one in _each(data.get(field)))


def _each(value: Any) -> list[Any]:
    if isinstance(value, list) and not all(type(one) is int for one in value):
        return value
    return [] if value is None else [value]


def _count(value: Any) -> int:
    return len(value) if isinstance(value, list) else count_tokens(str(value))


def _prompts(prompt: Any) -> list[str]:
    return [" ".join(f"t{one}" for one in each) if isinstance(each, list) else str(each) for each in _each(prompt)] or [
        ""
    ]


def ask_of(api: str, data: dict[str, Any], model: str, prompt: PromptChoices) -> Ask:
    """Return what a request asks for; what is not as it ought to be counts as not given."""
    prompts = prompt_of(api, data)
    users = [text for role, text in messages_of(api, data) if role == "user"]
    ask = Ask(model, prompts, prompt_tokens(api, data, prompt), echo_text=users[-1] if users else prompts[-1])
    ask.stream = data.get("stream") is True
    ask.stream_given = data.get("stream") is not None
    options = data.get("stream_options")
    ask.include_usage = isinstance(options, dict) and options.get("include_usage") is True
    continuous = isinstance(options, dict) and options.get("continuous_usage_stats") is True
    ask.continuous_usage = ask.include_usage and continuous
    ask.n = max(1, _whole(data.get("n")) or 1)
    names = {"chat": ("max_completion_tokens", "max_tokens"), "responses": ("max_output_tokens",)}
    for name in names.get(api, ("max_tokens",)):
        limit = _whole(data.get(name))
        ask.max_tokens = limit if limit is not None else ask.max_tokens
    stop = data.get("stop_sequences") if api == "messages" else data.get("stop")
    stops = [stop] if isinstance(stop, str) else stop
    ask.stop = [one for one in stops if isinstance(one, str)] if isinstance(stops, list) else []
    ask.seed = _whole(data.get("seed"))
    ask.temperature = data.get("temperature") if isinstance(data.get("temperature"), int | float) else None
    ask.ignore_eos = data.get("ignore_eos") is True
    ask.echo = api == "completions" and data.get("echo") is True
    ask.logprobs = _logprobs(api, data)
    ask.top_given = data.get("top_logprobs") is not None
    ask.response_format = _format(data)
    ask.tools = _tools(api, data)
    ask.tool_choice = _choice(api, data)
    ask.parallel_tool_calls = data.get("parallel_tool_calls") is not False
    return ask


def _whole(value: Any) -> int | None:
    return value if type(value) is int else None


def _logprobs(api: str, data: dict[str, Any]) -> int | None:
    if api == "chat":
        wanted, top = data.get("logprobs"), _whole(data.get("top_logprobs"))
        if wanted is True or (isinstance(wanted, int | float) and 0 < wanted < inf):
            # A count in place of true is the count of the likeliest tokens.
            return max(0, top or (0 if wanted is True or wanted == 1 else int(wanted)))
        return None
    if api == "completions":
        given = data.get("logprobs")
        return int(given) if isinstance(given, int | float) and 0 <= given < inf else None
    include = data.get("include")
    if isinstance(include, list) and "message.output_text.logprobs" in include:
        return _whole(data.get("top_logprobs")) or 0
    return None


def _format(data: dict[str, Any]) -> dict[str, Any] | None:
    """Return the JSON schema that the answer must fit, or None for free text."""
    given = data.get("response_format")
    text = data.get("text")
    if isinstance(text, dict) and isinstance(text.get("format"), dict):
        given = {**text["format"], "json_schema": text["format"]}
    if not isinstance(given, dict) or given.get("type") not in ("json_object", "json_schema"):
        return None
    holder = given.get("json_schema")
    schema = holder.get("schema") if isinstance(holder, dict) else given.get("schema")
    if isinstance(schema, dict) and schema:
        return schema
    return {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}


def demanded_schema(data: dict[str, Any], choices: OpenChoices) -> dict[str, Any] | None:
    """Return the schema that a field besides `response_format` demands, where the server looks at it."""
    if choices.grammars:
        given = data.get("json_schema")
    elif choices.structured_outputs:
        holder = data.get("structured_outputs")
        given = holder.get("json") if isinstance(holder, dict) else None
    else:
        return None
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except (ValueError, RecursionError):
            return None
    return given if isinstance(given, dict) and given else None


def _tools(api: str, data: dict[str, Any]) -> list[dict[str, Any]]:
    found = []
    given = data.get("tools")
    for tool in given if isinstance(given, list) else []:
        if not isinstance(tool, dict):
            continue
        function = tool.get("function") if api == "chat" else tool
        if isinstance(function, dict) and isinstance(function.get("name"), str) and _is_function(tool):
            schema = function.get("parameters", function.get("input_schema"))
            function = {"name": function["name"], "parameters": schema if isinstance(schema, dict) else None}
            found.append({"type": "function", "function": function})
    return found


def _is_function(tool: dict[str, Any]) -> bool:
    return "input_schema" in tool or tool.get("type", "function") in ("function", "custom")


def _choice(api: str, data: dict[str, Any]) -> Any:
    """Return auto, none, required, the named tool, `null`, or `odd` for what is none of these."""
    given = data.get("tool_choice")
    if api == "messages":
        given = given if isinstance(given, dict) else {"type": "auto"}
        kind = given.get("type")
        if kind == "tool":
            return {"type": "function", "function": {"name": given.get("name")}}
        return {"auto": "auto", "any": "required", "none": "none"}.get(str(kind), "odd")
    if given is None:
        return "null" if "tool_choice" in data else "auto"
    if isinstance(given, str):
        return given if given in {"auto", "none", "required"} else "odd"
    if isinstance(given, dict):
        function = given.get("function") if api == "chat" else given
        name = function.get("name") if isinstance(function, dict) else None
        if isinstance(name, str):
            return {"type": "function", "function": {"name": name}}
    return "odd"


def scored_prompts(ask: Ask, data: dict[str, Any], vocabulary: Vocabulary) -> list[list[dict[str, Any] | None]]:
    """Return the log probabilities of each prompt as vLLM gives them, by the ids of tokens; none where not asked for.

    Nothing stands before the first token, so it has none.
    """
    top = data.get("prompt_logprobs")
    if type(top) is not int:
        return []
    return [
        [
            None,
            *(
                {
                    str(vocabulary.id_of(one["token"])): {
                        "logprob": one["logprob"], "rank": rank, "decoded_token": one["token"],
                    }
                    for rank, one in enumerate(token_logprob(token, max(1, top))["top_logprobs"], 1)
                }
                for token in tokenize(prompt)[1:]
            ),
        ]
        for prompt in ask.prompts
    ]  # fmt: skip
