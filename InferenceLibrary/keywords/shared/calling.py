"""What keywords that call a server share: who is called, how, and what the log says of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from InferenceLibrary.client.records import Reply, Stream
from InferenceLibrary.errors import RequestError, StreamError
from InferenceLibrary.keywords.shared.arguments import plain_mapping
from InferenceLibrary.keywords.shared.base import KeywordGroup
from InferenceLibrary.keywords.shared.shared_arguments import GENERATION, STREAMING, TOOLS
from InferenceLibrary.keywords.shared.wire_types import chosen
from InferenceLibrary.types import Messages, seconds, to_messages, to_texts

_LIMITS = {
    "timeout": "total",
    "connect_timeout": "connect",
    "first_byte_timeout": "first_byte",
    "silence_timeout": "between",
}
"""Arguments of keywords and the limits that they set."""


class Call(NamedTuple):
    """The arguments of a call, sorted."""

    server: Any
    generation: dict[str, Any]
    """Keys of the request."""
    sending: dict[str, Any]
    """How the client sends it."""


class CallGroup(KeywordGroup):
    """Base of the keyword classes that call servers."""

    def _call(self, options: dict[str, Any], *, stream: bool = False) -> Call:
        """Sort the shared arguments of a keyword."""
        server = self.context.servers.get(options.get("server"))
        limits = (server.client.stream_limits if stream else None) or server.client.limits
        given: dict[str, Any] = {limit: seconds(options.get(argument)) for argument, limit in _LIMITS.items()}
        limits = limits._replace(**{limit: value for limit, value in given.items() if value is not None})
        generation = {item.name: options.get(item.name) for item in (*GENERATION, *TOOLS)}
        if generation["stop"]:
            generation["stop"] = to_texts(generation["stop"])
        if generation["tool_choice"]:
            generation["tool_choice"] = chosen(generation["tool_choice"])
        generation["extra"] = options.get("extra") or {}
        sending = {"headers": plain_mapping(self.context, options.get("headers")), "limits": limits}
        if stream:
            sending |= {item.name: options.get(item.name, item.default) for item in STREAMING}
        return Call(server, generation, sending)

    @contextmanager
    def _failures_kept(self) -> Iterator[None]:
        """Remember the error of a failed call, so that a keyword around it can judge it."""
        try:
            yield
        except (RequestError, StreamError) as error:
            self.context.last_failure = error
            raise

    def _logged(self, what: str, server: Any, request: Any, answer: Reply | Stream) -> None:
        self.log.info(f"{what} on {server.name}: {answer}")
        for attempt in answer.attempts[:-1]:
            self.log.info(f"    attempt {attempt}")
        self.log.debug(f"Request: {request if isinstance(request, str) else json.dumps(request, ensure_ascii=False)}")
        if isinstance(answer, Reply):
            # As it came: to indent what nobody may read would cost every call.
            self.log.debug(f"Headers: {self.context.redactor.headers(answer.headers)}\nBody: {answer.body[:10_000]}")


def with_system(messages: Messages, system: str | None) -> Messages:
    """Return the messages of a call; from Python they may come as plain text."""
    asked = to_messages(messages)
    return asked if system is None else Messages([{"role": "system", "content": system}, *asked])
