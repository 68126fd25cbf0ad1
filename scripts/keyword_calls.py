"""Make plain calls with the keywords of the library, and tell what a test sees of each: failed or not, and by what."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

from plain_calls import KEY, PlainCall, bytes_of
from robot.api.types import Secret

from InferenceLibrary import InferenceLibrary
from InferenceLibrary.context import TestNotes
from InferenceLibrary.errors import CheckFailure, RequestError, StreamError
from InferenceLibrary.protocol.rules.rule import REGISTRY
from InferenceLibrary.protocol.rules.verdicts import Severity
from InferenceLibrary.types import JsonObject

KEYWORDS = {
    "chat": ("messages", "chat", "stream_chat"),
    "completions": ("prompt", "complete", "stream_completion"),
    "responses": ("input", "respond", "stream_response"),
    "messages": ("messages", "send_message", "stream_message"),
    "worker": ("prompt", "execute_job", "execute_job"),
}
"""By API: the key of a body that is the keyword's argument, the keyword for whole answers, and that for streams."""
_PROFILES = {"worker": "worker", "service": "service"}
_NAMED = re.compile(r"(?:^|: )\s*([A-Z]+\d+): ", re.MULTILINE)
"""A rule, as the message of a failure names it: at the start of a line, or after what was done."""


class Outcome(NamedTuple):
    """What a test sees of one call."""

    rules: frozenset[str] = frozenset()
    """Rules that the failure of the call names: in its message, or, where the call fails by itself, in its line."""
    failed: str = ""
    """Why the call fails by itself, whatever the rules say; empty when it does not."""
    id: str = ""
    """The id that the answer has."""


class Caller:
    """The library, connected to the servers of the proof.

    Args:
        limit: Seconds that one call may last.
        output: Folder for what a run writes.
    """

    def __init__(self, limit: float, output: Path) -> None:
        self._library = InferenceLibrary(timeout=timedelta(seconds=limit))
        self._library.context.output_dir = output

    def connect(self, name: str, port: int, model: str) -> None:
        """Name a server for calls; its list of models is read."""
        url = f"http://127.0.0.1:{port}"
        profile = _PROFILES.get(name, "simulator")
        key = Secret(KEY) if name == "keyed" else None
        self._library.connect_to_server(url, alias=name, profile=profile, model=model, api_key=key, check=False)
        if profile == "simulator":
            self._library.list_models(server=name)

    def close(self) -> None:
        self._library.context.close()

    def make(
        self,
        call: PlainCall,
        model: str,
        rules: Severity,
        fault: str = "",
        last: str = "none",
        limit: float | None = None,
    ) -> Outcome:
        """Make one call.

        Args:
            call: What is asked.
            model: The model's name, where it has to be named.
            rules: How much broken rules count.
            fault: A fault that can strike the call; the server is asked for it by a header.
            last: The id for `{id}` in the path.
            limit: Seconds that the call may last; those of the library by default.
        """
        headers = {"content-type": call.content_type, "x-request-id": call.name, **dict(call.headers)}
        if fault:
            headers["x-inference-fault"] = fault
        options: dict[str, Any] = {"server": call.server, "rules": rules, "headers": JsonObject(headers)}
        if call.server == "keyed":
            options["api_key"] = "none"
        if limit is not None:
            options["timeout"] = timedelta(seconds=limit)
        context = self._library.context
        context.notes = TestNotes()
        try:
            answer = self._keyword(call, model, last)(**options)
        except CheckFailure as failure:
            named = frozenset(_NAMED.findall(str(failure))) & REGISTRY.keys()
            return Outcome(named, "" if named else str(failure).partition("\n")[0])
        except (RequestError, StreamError) as error:
            return Outcome(frozenset(context.notes.broken), _reason(error))
        given = answer.exchange.json.get("id") if isinstance(answer.exchange.json, dict) else None
        return Outcome(id=given if isinstance(given, str) and given.isascii() else "")

    def _keyword(self, call: PlainCall, model: str, last: str) -> Callable[..., Any]:
        """The keyword for a call, with what is asked."""
        library = self._library
        body = call.body
        if call.api in KEYWORDS and isinstance(body, dict) and call.method == "POST" and "count" not in call.path:
            key, whole, streamed = KEYWORDS[call.api]
            extra = {name: value for name, value in body.items() if name not in {key, "stream"}}
            if extra.get("model") == "MODEL":
                del extra["model"]
            keyword: Callable[..., Any] = getattr(library, streamed if call.streamed else whole)
            return lambda **options: keyword(body[key], extra=JsonObject(extra), **options)
        path = call.path.replace("{id}", last)
        sent = bytes_of(call, model).decode() or None
        return lambda **options: library.send_request(call.method, path, sent, **options)


def _reason(error: RequestError | StreamError) -> str:
    exchange = error.exchange
    if exchange is None or exchange.status is None:
        return "no answer" if exchange is None else exchange.problem or "no answer"
    if not 200 <= exchange.status < 300:
        return f"status {exchange.status}"
    return exchange.problem or ("a broken stream" if isinstance(error, StreamError) else "an answer of another form")
