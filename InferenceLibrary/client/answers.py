"""Replies: whole answers as views of an exchange. One line in a log, everything as attributes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from InferenceLibrary.durations import milliseconds
from InferenceLibrary.foreign_text import readable, readable_or_none

if TYPE_CHECKING:
    from InferenceLibrary.protocol.errors import ErrorBody
    from InferenceLibrary.protocol.exchange import Attempt, Exchange
    from InferenceLibrary.protocol.messages import Choice, Usage
    from InferenceLibrary.protocol.pieces import Piece, TokenLogprob, ToolCall

_SHOWN = 80


def shorten(text: str, limit: int = _SHOWN) -> str:
    """Return text on one line, cut for a log."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


class Reply:
    """One finished answer: an exchange, read.

    Args:
        exchange: The record of the call.
        redact: Masks secrets where it is shown: what came back stays as it came, so that a test can look for a leak.
    """

    def __init__(self, exchange: Exchange, redact: Callable[[str], str] = str) -> None:
        self.exchange = exchange
        self.redact = redact

    @property
    def status(self) -> int:
        return self.exchange.status or 0

    @cached_property
    def headers(self) -> dict[str, str]:
        """Header names in lower case; the values of repeated ones are joined with a comma."""
        return headers_of(self.exchange)

    @property
    def body(self) -> str:
        """The body as text; bytes that are not UTF-8 are U+FFFD there."""
        return self.exchange.text

    @cached_property
    def json(self) -> Any:
        """The decoded body, None when it is not JSON."""
        from InferenceLibrary.protocol.exchange import decode_json

        return decode_json(self.exchange.text)

    @property
    def elapsed(self) -> float:
        """Seconds from the start of the call to the last byte, all attempts included."""
        return self.exchange.elapsed

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        return self.exchange.attempts

    @property
    def url(self) -> str:
        return self.exchange.request.url

    @property
    def text(self) -> str:
        """Content of the first choice; what a model thought aloud is in `reasoning`."""
        return readable(self._first("text") or "")

    @property
    def reasoning(self) -> str:
        """Reasoning content of the first choice."""
        return readable(self._first("reasoning") or "")

    @property
    def role(self) -> str | None:
        return readable_or_none(self._first("role"))

    @property
    def finish_reason(self) -> str | None:
        """Why the first choice ended: stop, length, tool_calls, content_filter."""
        return readable_or_none(self._first("finish_reason"))

    @property
    def texts(self) -> list[str]:
        """Content of every choice."""
        return [readable(piece.text) for piece in self.pieces]

    @property
    def choices(self) -> list[Choice]:
        """Every choice of the answer, by its index."""
        from InferenceLibrary.protocol.messages import choices_of

        return choices_of(self.pieces)

    @property
    def tool_calls(self) -> list[ToolCall]:
        """The tools that the first choice calls: `.name`, `.id`, `.arguments` as text and `.input` decoded."""
        return [call.readable() for call in self._first("tool_calls") or ()]

    @property
    def logprobs(self) -> list[TokenLogprob]:
        """Log probabilities of the first choice's tokens; empty when none were asked for."""
        return list(self._first("logprobs") or ())

    @property
    def usage(self) -> Usage | None:
        from InferenceLibrary.protocol.messages import read_usage

        return read_usage(self.json)

    @property
    def id(self) -> str | None:
        return self._key("id")

    @property
    def model(self) -> str | None:
        return self._key("model")

    @property
    def error(self) -> ErrorBody | None:
        """What an error answer says, None when it is none. The text of a refusal that is not JSON is its message."""
        from InferenceLibrary.protocol.errors import read_refusal

        return read_refusal(self.status, self.body)

    @property
    def category(self) -> str | None:
        """Category of a refusal: RATE_LIMIT, SERVER_ERROR, INVALID_REQ, AUTH_ERROR, UNKNOWN; None for a good answer."""
        from InferenceLibrary.protocol.errors import categorize

        return categorize(self.status) if self.status >= 400 else None

    @cached_property
    def pieces(self) -> list[Piece]:
        """What each choice of the answer holds, as it came."""
        from InferenceLibrary.protocol.messages import read_pieces

        return read_pieces(self.json)

    def _first(self, name: str) -> Any:
        return getattr(self.pieces[0], name) if self.pieces else None

    def _key(self, name: str) -> str | None:
        value = self.json.get(name) if isinstance(self.json, dict) else None
        return None if value is None else readable(str(value))

    def __str__(self) -> str:
        if self.pieces:
            said = f'"{shorten(self.redact(self.text or self.reasoning))}"'
            said += f" ({self.finish_reason}, {self.usage or 'no usage'})"
        else:
            said = str(self.error) if self.error else shorten(self.redact(self.body))
        tries = f", {len(self.attempts)} attempts" if len(self.attempts) > 1 else ""
        return self.redact(f"{self.status} in {milliseconds(self.elapsed)}{tries}: {said}")

    __repr__ = __str__


class ModelListReply(Reply):
    """The answer of a server that is asked for its models."""

    @property
    def models_or_none(self) -> list[str] | None:
        """The ids of the models, None where it is not a list of models."""
        data = self.json.get("data") if isinstance(self.json, dict) else None
        if not isinstance(data, list) or not all(isinstance(item, dict) and "id" in item for item in data):
            return None
        return [readable(str(item["id"])) for item in data]

    @property
    def models(self) -> list[str]:
        """The ids of the models, in the server's order."""
        return self.models_or_none or []

    def __str__(self) -> str:
        return f"{len(self.models)} models: {', '.join(self.models)}"

    __repr__ = __str__


_MOST_NAMES = 20


def is_listed(names: Sequence[str], wanted: str | None) -> bool:
    """Whether a list of models names one. Ollama lists `tiny:latest` for a model that is asked for as `tiny`."""
    return wanted in names or f"{wanted}:latest" in names


def what_is_listed(names: Sequence[str], wanted: str) -> str:
    """Return `the server lists a, b`, with the name that is nearest to the one that is not among them."""
    import difflib

    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    close = difflib.get_close_matches(wanted, names, n=1)
    meant = f" Did you mean '{close[0]}'?" if close else ""
    return f"the server lists {', '.join(names[:_MOST_NAMES])}{more}.{meant}"


def headers_of(exchange: Exchange) -> dict[str, str]:
    return {name: exchange.header(name) or "" for name, _ in exchange.headers}
