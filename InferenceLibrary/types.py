"""Argument types of the keywords and how Robot's texts become them.

No `from __future__ import annotations` here: Robot needs real annotations of these types.
"""

import ast
import inspect
import json
import math
import warnings
from collections.abc import Callable, Mapping
from datetime import timedelta
from string import ascii_letters
from typing import Any, Literal

from robot.api.types import Secret
from robot.utils import timestr_to_secs

from InferenceLibrary.client.answers import Reply
from InferenceLibrary.client.streams import Stream
from InferenceLibrary.protocol.statuses import Statuses, read_statuses

ProfileName = Literal[
    "api-router",
    "gateway",
    "inference-service",
    "kubectl-port-forward",
    "litellm",
    "llama-cpp-python",
    "llama.cpp",
    "llm-d-inference-sim",
    "llm-gateway",
    "mistralrs",
    "mistralrs-server",
    "ollama",
    "openai",
    "router",
    "service",
    "sglang",
    "simulator",
    "simulator-mistralrs",
    "simulator-mistralrs-server",
    "simulator-onnx",
    "tgi",
    "transformers",
    "vllm",
    "worker",
    "worker-orcd",
]
"""The profiles that come with the library, which editors complete. Beside it a keyword takes any text: a path."""

CapabilityName = Literal[
    "health", "models", "model details", "chat", "completions", "responses", "stored responses", "messages",
    "count tokens", "embeddings", "rerank", "rerank v2", "unversioned rerank", "score", "tokenize", "detokenize",
    "metrics", "jobs", "streams", "usage in streams", "tool calls", "named tools", "several choices",
    "log probabilities", "stop texts", "repeatable answers", "unknown model is refused", "reasoning", "keys",
    "documents in rankings", "listed models", "scores from 0 to 1", "checked top_n", "sequence numbers in responses",
    "incomplete responses", "whole responses", "message limits", "stop sequences in messages",
    "log probabilities in streams", "tool calls in streams", "tool calls in responses", "tool results in responses",
    "distinct vectors", "tool results", "tools without parameters", "forbidden tools", "continued prompts",
    "several prompts", "several prompts in streams", "odd bodies are a 4xx", "odd messages are a 4xx",
    "odd inputs are a 4xx", "messages without a role are refused", "limits below zero are refused",
    "tools without a name are refused", "responses without input are refused", "odd values are a 4xx",
    "odd temperatures are a 4xx", "unknown encodings are refused", "unparsable JSON is a 400",
    "empty chats are refused", "empty messages are refused", "odd tokens are a 4xx", "missing tokens are refused",
    "exact token counts", "old clients", "model states end", "all scripts", "left answers end", "steady gaps",
    "worker id", "known answers", "code tasks", "relevance", "ignore_eos", "top_k", "seed", "dimensions", "text parts",
    "json object", "json schema", "json schema in responses", "base64 embeddings", "gguf models", "ggml models",
    "safetensors models", "program", "checked port numbers", "terminal", "help in the terminal",
    "regeneration in the terminal", "errors in the terminal", "model files in the terminal", "start",
    "unknown arguments end the start", "fault injection", "scripted answers", "backends of our own", "counters",
    "cancellation", "adapters", "model loading", "sleep",
]  # fmt: skip
"""The capabilities, in the order of their list, which editors complete. Beside it a keyword takes any text: of a word
that is not one, it tells the nearest."""


class JsonObject(dict[str, Any]):
    """A JSON object.

    Give JSON text (`{"top_k": 1, "echo": null}`), a Python literal (`{'top_k': 1}`) or a dictionary variable.
    """


class Messages(list[dict[str, Any]]):
    """The messages of a chat.

    Give plain text (one user message), a JSON array or Python literal of objects with `role` and `content`, or a list
    variable. Text that begins with `[` is read as JSON.
    """


class Kinds(list[JsonObject]):
    """The kinds of requests of a load: a JSON array, a Python literal or a list variable of objects."""


def seconds(value: timedelta | float | None) -> float | None:
    """Return a Robot time as seconds, None as None."""
    if value is None:
        return None
    return value.total_seconds() if isinstance(value, timedelta) else float(value)


def to_json_object(value: str | dict) -> JsonObject:  # type: ignore[type-arg]
    """Convert to a JSON object.

    Raises:
        ValueError: The text is neither JSON nor a Python literal, or not an object.
    """
    data = _literal(value) if isinstance(value, str) else value
    if not isinstance(data, dict):
        raise ValueError(f'Expected a JSON object such as {{"top_k": 1}}, got {shown_kind(data)}.')
    return JsonObject({str(key): item for key, item in data.items()})


def to_kinds(value: str | list | tuple) -> Kinds:  # type: ignore[type-arg]
    """Convert to the kinds of a load.

    Raises:
        ValueError: It is not a list of objects.
    """
    data = _literal(value) if isinstance(value, str) else value
    if not isinstance(data, list | tuple) or not data or not all(isinstance(item, dict) for item in data):
        raise ValueError(
            f'Expected kinds such as [{{"name": "short", "weight": 3, "max_tokens": 8}}], got {shown_kind(data)}.'
        )
    return Kinds(to_json_object(item) for item in data)


def to_messages(value: str | list | tuple) -> Messages:  # type: ignore[type-arg]
    """Convert to chat messages.

    Raises:
        ValueError: The text begins with `[` but is not a list, or an item is not an object with a role or a type.
    """
    if isinstance(value, str) and not value.lstrip().startswith("["):
        return Messages([{"role": "user", "content": value}])
    data = _literal(value) if isinstance(value, str) else value
    messages = Messages()
    for index, item in enumerate(data):
        # Items of the Responses API that are not messages have a type in place of a role.
        if not isinstance(item, dict) or not isinstance(item.get("role", item.get("type")), str):
            raise ValueError(
                f'Expected message {index} to be an object such as {{"role": "user", "content": "Hi"}}, got {item!r}.'
            )
        messages.append(dict(item))
    return messages


def _literal(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        reason = str(error)
    except RecursionError:
        raise ValueError("Expected JSON or a Python literal, got one that is nested too deeply.") from None
    try:
        with warnings.catch_warnings():
            # Python warns of odd escapes and calls; the reader of a log has no use for it.
            warnings.simplefilter("ignore")
            return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        if not text.lstrip().startswith(("{", "[")):
            raise ValueError(f"Expected JSON or a Python literal, got {shown_kind(text)}.") from None
        raise ValueError(f"Expected JSON or a Python literal; as JSON it fails with: {reason}.") from None


_KINDS = {str: "the text", bool: "the value", int: "the number", float: "the number", list: "the list"}
_KINDS |= {tuple: "the list", dict: "the object", JsonObject: "the object"}


def shown_kind(value: Any) -> str:
    """Return a value and what it is for a message: `the text 'a'`, `the number 5`, `None`."""
    shown = repr(value)
    if len(shown) > 200:
        shown = f"{shown[:200]}…"
    kind = _KINDS.get(type(value))
    return f"{kind} {shown}" if kind else "None" if value is None else f"the {type(value).__name__} {shown}"


_BYTE_UNITS = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}


def to_quantity(value: Any, unit: str) -> float:
    """Return what a test expects of a number: `200 ms` as 0.2 for unit `s`, `2 GB` as 2e9 for unit `B`, `10 %` as 0.1
    for unit `%`, else a float.

    Raises:
        ValueError: The text is not a number of that unit.
    """
    if isinstance(value, timedelta):
        return value.total_seconds()
    text = str(value).strip()
    kind = {
        "s": "a time with a unit, such as 200 ms or 2 s",
        "B": f"bytes with a unit of {', '.join(_BYTE_UNITS)}",
        "%": "a share, such as 10 % or 0.1",
    }.get(unit, f"a number of {unit}" if unit else "a number")
    try:
        if isinstance(value, int | float):
            number = float(value)
        elif unit == "s":
            if text.replace(".", "", 1).lstrip("+-").isdigit():
                # Robot takes it for seconds, most people here mean milliseconds, and a limit 1000 times too wide holds.
                raise ValueError(text)
            number = float(timestr_to_secs(text))
        elif unit == "B":
            digits = text.rstrip(ascii_letters + " ")
            number = float(digits) * _BYTE_UNITS[text[len(digits) :].strip().lower() or "b"]
        elif unit == "%":
            number = float(text[:-1]) / 100 if text.endswith("%") else float(text)
        else:
            number = float(text.removesuffix(unit).strip() if unit else text)
    except (ValueError, KeyError, OverflowError):
        raise ValueError(f"Expected {kind}, got '{text}'.") from None
    if math.isnan(number) or (unit and math.isinf(number)):
        # Every comparison with NaN is false, so `!=` would always hold; and any time or size is below infinity.
        # A metric has no unit, and may be infinite.
        raise ValueError(f"Expected {kind}, got '{text}'.")
    return number


class Texts(list[str]):
    """One text or several: plain text is one; a JSON array or Python list of texts is several.

    Items of a list variable may be Robot secrets where a keyword says so.
    """


def to_texts(value: str | list | tuple) -> Texts:  # type: ignore[type-arg]
    """Convert to texts.

    Raises:
        ValueError: The text begins with `[` but is not a list, or an item is not a text.
    """
    if isinstance(value, str) and not value.lstrip().startswith("["):
        return Texts([value])
    data = _literal(value) if isinstance(value, str) else value
    if not all(isinstance(item, str | Secret) for item in data):
        raise ValueError(f'Expected texts such as ["one", "two"], got {shown_kind(data)}.')
    return Texts(data)


class ReadyChecks(list[Any]):
    """Checks of readiness.

    Give one check or a list of them: an object such as `{"tcp": 9090}`, as JSON, Python literal or dictionary variable,
    or a Python function.
    """


def to_ready_checks(value: object) -> ReadyChecks:
    """Convert to checks; what each must be is told when the server is started.

    Raises:
        ValueError: A text is neither JSON nor a Python literal.
    """
    if isinstance(value, str):
        text = value.strip()
        value = to_json_object(f'{{"checks": {text}}}')["checks"] if text.startswith("[") else to_json_object(text)
    return ReadyChecks(value if isinstance(value, list | tuple) else [value])


def refuse_reply(value: object) -> Reply:
    """The reply that a call returned.

    Its attributes, told on the page on what keywords return (docs/objects.md): `exchange`, `status`, `headers`,
    `body`, `json`, `elapsed`, `attempts`, `url`, `text`, `reasoning`, `role`, `finish_reason`, `texts`, `choices`,
    `tool_calls`, `logprobs`, `usage`, `id`, `model`, `error`, `category`, `pieces`.
    """
    raise ValueError(f"Expected a reply of Chat, Complete or Send Request, got {shown_kind(value)}.")


def refuse_stream(value: object) -> Stream:
    """The stream that a streamed call returned.

    Its attributes, told on the page on what keywords return (docs/objects.md): `exchange`, `chunks`, `notes`,
    `broken`, `recording`, `status`, `headers`, `raw`, `reads`, `elapsed`, `interrupted`, `cancelled`, `attempts`,
    `url`, `text`, `reasoning`, `texts`, `choices`, `tool_calls`, `logprobs`, `tokens`, `time_to_first_token`,
    `gaps`, `finish_reason`, `usage`, `usage_details`, `ids`, `id`, `model`, `error`, `bare_error`,
    `ended_with_done`.
    """
    raise ValueError(f"Expected a stream of Stream Chat or Stream Completion, got {shown_kind(value)}.")


def refuse_plain_secret(value: str, library: Any) -> Secret:
    """A Robot secret, such as `${KEY: Secret}    %{MY_KEY}`. Plain text is refused: Robot would log it."""
    # Robot shows the refused value in its error; the library masks there what it knows.
    if value.strip().upper() != "NONE":
        library.context.redactor.add(value)
    raise ValueError("Expected a Robot secret, such as ${KEY: Secret}    %{MY_KEY}.")


Rules = Literal["warn", "fail", "fail-should", "fail-tagged", "off"]
"""How much broken rules of the wire count."""


ReadyStage = Literal["profile", "healthy", "model listed", "checks passed", "first token"]
"""The stage of a start with which a server counts as ready."""


class Tools(list[dict[str, Any]]):
    """The tools that a model may call.

    Give a JSON array or list variable of functions, each with `name`, `description` and `parameters` (a JSON schema);
    one function as a JSON object; or the whole form with `type` and `function`.
    """


class ToolChoice(str):
    """Which tool a model shall call: `auto`, `none`, `required`, the name of one tool, or the object of the API."""

    __slots__ = ()


class ResponseFormat(dict[str, Any]):
    """The form of an answer: `text`, `json_object`, a JSON schema, or the whole object with `type`."""


def to_tools(value: str | list | dict) -> Tools:  # type: ignore[type-arg]
    """Convert to tools.

    Raises:
        ValueError: It is not JSON, or an item has no name.
    """
    if isinstance(value, dict) or (isinstance(value, str) and value.lstrip().startswith("{")):
        given = [to_json_object(value)]
    else:
        given = _items(value)
    tools = Tools()
    for index, item in enumerate(given):
        tool = item if "function" in item else {"type": "function", "function": item}
        if not isinstance(tool["function"], dict) or not tool["function"].get("name"):
            raise ValueError(f'Expected tool {index} to be a function such as {{"name": "add"}}, got {item!r}.')
        tools.append(dict(tool))
    return tools


def _items(value: Any) -> list[Any]:
    import json

    data = json.loads(value) if isinstance(value, str) else value
    if not isinstance(data, list | tuple) or not all(isinstance(item, dict) for item in data):
        raise ValueError(f"Expected a JSON array of functions, got {value!r}.")
    return list(data)


def to_tool_choice(value: str | dict) -> ToolChoice | dict[str, Any]:  # type: ignore[type-arg]
    """Convert to a choice; an object, or its JSON text, is sent as it is.

    Raises:
        ValueError: It is empty, or looks like an object and is not JSON.
    """
    if isinstance(value, dict) or value.lstrip().startswith("{"):
        return dict(to_json_object(value))
    if not value.strip():
        raise ValueError("Expected auto, none, required, the name of a tool or a JSON object, got an empty text.")
    return ToolChoice(value)


def to_response_format(value: str | dict) -> ResponseFormat:  # type: ignore[type-arg]
    """Convert to a response format; a bare JSON schema is wrapped.

    Raises:
        ValueError: The text is neither one of the names nor a JSON object.
    """
    if isinstance(value, str) and value.strip() in {"text", "json_object"}:
        return ResponseFormat(type=value.strip())
    data = to_json_object(value)
    if data.get("type") in {"text", "json_object", "json_schema", "json", "regex", "structural_tag"}:
        return ResponseFormat(data)
    schema = {"name": str(data.get("title") or "answer"), "schema": dict(data), "strict": True}
    return ResponseFormat(type="json_schema", json_schema=schema)


def to_statuses(value: str | int | list | tuple) -> Statuses:  # type: ignore[type-arg]
    """Statuses of HTTP: `404`, a class `4xx`, several `400,422` or a list of them, `any`; `failure` is any failure."""
    return read_statuses(value)


_ONE_VALUE = inspect.Signature([inspect.Parameter("value", inspect.Parameter.POSITIONAL_ONLY)])


def light(converters: Mapping[type, Any]) -> dict[type, Any]:
    """Return the same converters in a form that is cheap to inspect; those that take the library too stay.

    Robot Framework reads the signature and the types of every converter of a library anew at each call of a keyword
    (`TestLibrary.converters`), which took longer than the call of a server. So it is given functions of one plain
    argument, and the types that a converter takes are checked here.
    """
    return {
        kind: converter if converter.__code__.co_argcount > 1 else _light(converter)
        for kind, converter in converters.items()
    }


def _light(converter: Callable[[Any], Any]) -> Callable[[Any], Any]:
    accepted: tuple[type, ...] | None = None

    def convert(value):  # type: ignore[no-untyped-def]  # annotations would be read at every call
        nonlocal accepted
        if accepted is None:
            accepted = _accepted_by(converter)
        if accepted and not isinstance(value, accepted):
            # What is wanted instead is said in plain words: see `plain_words`.
            raise ValueError
        return converter(value)

    convert.__doc__ = converter.__doc__
    convert.__signature__ = _ONE_VALUE  # type: ignore[attr-defined]
    return convert


def _accepted_by(converter: Callable[[Any], Any]) -> tuple[type, ...]:
    """Return the types that the first argument of a converter is annotated with; none: all."""
    import typing

    hints = typing.get_type_hints(converter)
    hints.pop("return", None)
    hint = next(iter(hints.values()), object)
    kinds = tuple(typing.get_origin(kind) or kind for kind in typing.get_args(hint) or (hint,))
    return () if object in kinds or Any in kinds else kinds


CONVERTERS: dict[type, Any] = {
    Secret: refuse_plain_secret,
    JsonObject: to_json_object,
    Kinds: to_kinds,
    Messages: to_messages,
    Texts: to_texts,
    ReadyChecks: to_ready_checks,
    Reply: refuse_reply,
    Stream: refuse_stream,
    Tools: to_tools,
    ToolChoice: to_tool_choice,
    ResponseFormat: to_response_format,
    Statuses: to_statuses,
}
"""What the library registers at Robot Framework, made light."""
