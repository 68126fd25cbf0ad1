"""Arguments that many keywords share, described once.

A keyword takes them as `**options`; `takes` gives it the real signature and documentation, which Robot, Libdoc and
editors read: every name is known, converted and checked as if it had been written out.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Literal, TypeVar

from robot.api.types import Secret

from InferenceLibrary.protocol.statuses import Statuses
from InferenceLibrary.types import JsonObject, ResponseFormat, Rules, Texts, ToolChoice, Tools

F = TypeVar("F", bound=Callable[..., Any])


class Shared:
    """One argument: named only, and None when it is not given."""

    def __init__(self, name: str, kind: Any, doc: str, default: Any = None) -> None:
        self.name = name
        self.type = kind
        self.doc = doc
        self.parameter = inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)


_LENGTH = (
    Shared("model", str | None, "Model to ask for; the server's by default."),
    Shared("max_tokens", int | None, "Longest answer in tokens."),
)
_CHANCE = (
    Shared("temperature", float | None, "Sampling temperature."),
    Shared("top_p", float | None, "Nucleus sampling."),
)
_TOP_K = Shared("top_k", int | None, "Sampling from the best so many tokens; not in OpenAI's own API.")
_PENALTIES = (
    Shared("frequency_penalty", float | None, "Penalty by how often a token occurred."),
    Shared("presence_penalty", float | None, "Penalty for tokens that occurred."),
)
_SEED = Shared("seed", int | None, "Seed of the sampling.")
_STOP = Shared("stop", Texts | None, "One text or several at which generation stops.")

SAMPLING = (*_LENGTH, *_CHANCE, _TOP_K, *_PENALTIES, _SEED, _STOP)
"""What shapes the answer of a chat or a completion."""

RESPONSE_SAMPLING = (*_LENGTH, *_CHANCE, *_PENALTIES)
"""What shapes an answer of the Responses API."""

MESSAGE_SAMPLING = (*_LENGTH, *_CHANCE, _TOP_K, _STOP)
"""What shapes an answer of the Messages API."""

GENERATION = (
    *SAMPLING,
    Shared("n", int | None, "How many choices to answer with: `${reply.texts}`."),
    Shared("logprobs", int | None, "Log probabilities of the tokens, each with so many alternatives."),
)
"""What shapes an answer with choices."""

TOOLS = (
    Shared("tools", Tools | None, "Functions that the model may call: JSON with `name` and `parameters`."),
    Shared("tool_choice", ToolChoice | None, "`auto`, `none`, `required`, or the name of the tool to call."),
)
"""Tools, in the APIs that have them."""

FORMAT = (
    Shared("response_format", ResponseFormat | None, "`json_object`, or a JSON schema that the answer must fit."),
)
"""The form of the text, in chats and the Responses API."""

BREAKING = (
    Shared("cancel_after", int | None, "Close the connection after so many chunks with text."),
    Shared("allow_broken", bool, "Whether to return a stream that broke off instead of failing.", False),
)
"""How a stream may end."""

STREAMING = (
    Shared("include_usage", bool, "Whether to ask for a chunk with the usage (`stream_options.include_usage`).", False),
    *BREAKING,
)
"""What a streamed call of the chat and completion APIs takes besides."""

ROUTE = (
    Shared("headers", JsonObject | None, "Further headers, as a JSON object."),
    Shared(
        "api_key", Literal["none"] | Secret | None, "Key of this call in place of the server's; `none` sends no key."
    ),
    Shared("timeout", timedelta | None, "Time limit for the whole call, its retries included."),
    Shared("connect_timeout", timedelta | None, "Time limit for the connection."),
    Shared("first_byte_timeout", timedelta | None, "Time limit from the request to the first byte of the answer."),
    Shared("silence_timeout", timedelta | None, "Longest silence inside the answer: between the events of a stream."),
    Shared("rules", Rules | None, "How much broken rules of the wire count; as [Use Rules] said by default."),
    Shared("server", Any, "Alias, handle or object; None for the current one."),
)
"""How a request is sent, and where."""

TRANSPORT = (
    Shared(
        "expected_status",
        Statuses | None,
        "Status that the answer must have: `404`, `4xx`, `400,422`, `any`; a refusal is then returned as a reply, and "
        "[Error Should Be] judges it. `failure` expects any failure and returns its error. A success by default.",
    ),
    *ROUTE,
)
"""The same, of a call whose status is expected."""

SENDING = (
    Shared("extra", JsonObject | None, "Further keys of the request, as a JSON object; they win over the arguments."),
    *TRANSPORT,
)
"""The same, of a call that makes its own body."""


def takes(*groups: tuple[Shared, ...]) -> Callable[[F], F]:
    """Give a keyword the arguments of these groups in place of its `**options`, which comes last."""
    parameters, types, lines = _of(groups)

    def decorate(function: F) -> F:
        annotations = function.__annotations__
        del annotations["options"]
        function.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [*_written(function), *parameters], return_annotation=annotations["return"]
        )
        annotations.update(types)
        function.__doc__ = _documented(function.__doc__ or "", lines)
        return function

    return decorate


def _written(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """The arguments that a keyword itself has, but for the last. `inspect.signature` takes three times as long."""
    code = function.__code__
    positional, named = code.co_argcount, code.co_kwonlyargcount
    names = code.co_varnames
    kinds: dict[str, Any] = dict.fromkeys(names[:positional], inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if code.co_flags & inspect.CO_VARARGS:
        kinds[names[positional + named]] = inspect.Parameter.VAR_POSITIONAL
    kinds |= dict.fromkeys(names[positional : positional + named], inspect.Parameter.KEYWORD_ONLY)
    with_default = function.__defaults__ or ()
    defaults = dict(zip(names[positional - len(with_default) : positional], with_default, strict=True))
    defaults |= function.__kwdefaults__ or {}
    empty = inspect.Parameter.empty
    return [
        inspect.Parameter(
            name, kind, default=defaults.get(name, empty), annotation=function.__annotations__.get(name, empty)
        )
        for name, kind in kinds.items()
    ]


@functools.cache
def _of(groups: tuple[tuple[Shared, ...], ...]) -> tuple[list[inspect.Parameter], dict[str, Any], str]:
    """The parameters, the types and the lines of documentation of these arguments: many keywords take the same."""
    added = [argument for group in groups for argument in group]
    lines = "".join(f"\n            {item.name}: {item.doc}" for item in added)
    return [item.parameter for item in added], {item.name: item.type for item in added}, lines


def _documented(doc: str, lines: str) -> str:
    """Put the lines of the arguments where `Args` ends, or make that section before the first other one."""
    start = doc.find("\n\n        Args:")
    places = [doc.find(f"\n\n        {name}:", start + 1) for name in ("Returns", "Raises", "Example")]
    place = min(found for found in places if found >= 0)
    heading = "" if start >= 0 else "\n\n        Args:"
    return doc[:place] + heading + lines + doc[place:]
