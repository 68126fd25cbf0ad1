"""What keywords that call a server share: who is called, how, and what the log says of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from InferenceLibrary.client.answers import Reply, Stream
from InferenceLibrary.client.sending import Sending
from InferenceLibrary.errors import RequestError, StreamError
from InferenceLibrary.keywords.shared.arguments import revealed
from InferenceLibrary.keywords.shared.base import KeywordGroup
from InferenceLibrary.protocol.requests import Question
from InferenceLibrary.types import seconds, to_messages, to_texts

if TYPE_CHECKING:
    from InferenceLibrary.servers.server import Server

_LIMITS = {
    "timeout": "total",
    "connect_timeout": "connect",
    "first_byte_timeout": "first_byte",
    "silence_timeout": "between",
}
"""Arguments of keywords and the limits that they set."""


class Call(NamedTuple):
    """A call of a server as a keyword was asked for it."""

    server: Server
    question: Question
    sending: Sending


class CallGroup(KeywordGroup):
    """Base of the keyword classes that call servers."""

    def _call(self, options: Mapping[str, Any], *, stream: bool = False, **own: Any) -> Call:
        """Return who is called, what is asked and how it is sent.

        Args:
            options: The shared arguments of a keyword.
            stream: Whether the limits of streams hold.
            own: Arguments of the keyword itself that say what is asked or how it is sent.
        """
        given = {name: revealed(self.context, value) for name, value in {**options, **own}.items()}
        server = self.context.servers.get(given.get("server"))
        limits = (server.client.stream_limits if stream else None) or server.client.limits
        bounds: dict[str, Any] = {limit: seconds(given.get(argument)) for argument, limit in _LIMITS.items()}
        given["limits"] = limits._replace(**{limit: value for limit, value in bounds.items() if value is not None})
        given["headers"] = {name: str(value) for name, value in (given.get("headers") or {}).items()}
        if given.get("messages") is not None:
            given["messages"] = to_messages(given["messages"])
        if given.get("stop"):
            given["stop"] = to_texts(given["stop"])
        return Call(
            server,
            Question(**{name: given[name] for name in Question._fields if name in given}),
            Sending(**{name: given[name] for name in Sending._fields if name in given}),
        )

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
