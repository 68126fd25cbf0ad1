"""The errors of the library and the one shape of their messages.

    InferenceError
    ├── ProfileError        a profile or another settings file is wrong
    ├── TargetError         a target, handle or alias that nothing answers to
    ├── MissingExtraError   a package of an extra is not installed
    ├── ServerError         a server did not start, was not ready, or died
    ├── RequestError        a call failed: no answer, or a refusal (`status`, `headers`, `body`, `attempts`)
    ├── StreamError         a stream broke off or was not a stream (`event_index`, `stream`)
    ├── ProgramError         a program could not be run
    ├── TerminalError       a terminal did not show what was awaited (`screen`)
    ├── ModelError          a model file was refused
    └── MonitorError        a measurement could not be taken

    CheckFailure (AssertionError)   an expectation of the test does not hold

The first line of every message stands alone: what failed; what was expected; what was got; how long it took; a hint.
Details (the last lines of a log, a screen, a body) follow below it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from InferenceLibrary.foreign_text import shown

if TYPE_CHECKING:
    from InferenceLibrary.protocol.errors import ErrorBody
    from InferenceLibrary.protocol.exchange import Exchange


class InferenceError(Exception):
    """Base of all errors that the library raises on purpose."""

    ROBOT_SUPPRESS_NAME = True
    """Robot Framework shows the message without the class name."""

    def __init__(self, message: str = "") -> None:
        super().__init__(shown(message))


class ProfileError(InferenceError):
    """A profile, scenario or other settings file is malformed."""


class TargetError(InferenceError):
    """A target, handle or alias is unknown."""


class MissingExtraError(InferenceError):
    """An optional package is needed and not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        from InferenceLibrary.extras import install_command

        self.package = package
        self.extra = extra
        super().__init__(
            f"{purpose} needs the package '{package}', which is not installed. Hint: {install_command(extra)}"
        )


class ServerError(InferenceError):
    """A server did not start, did not become ready, or ended by itself."""


class RequestError(InferenceError):
    """A call got no usable answer. `status` is None when there was no answer at all."""

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        headers: dict[str, str] | None = None,
        body: str = "",
        attempts: tuple[Any, ...] = (),
        cancelled: bool = False,
        exchange: Exchange | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers or {}
        self.body = body
        self.attempts = attempts
        self.cancelled = cancelled
        self.exchange = exchange
        """The record of the call."""

    @property
    def error(self) -> ErrorBody | None:
        """What the refusal says: an object with `message`, `type`, `code` and `param`; None when it says nothing."""
        from InferenceLibrary.protocol.errors import read_refusal

        return read_refusal(self.status or 0, self.body)

    @property
    def category(self) -> str:
        """RATE_LIMIT, SERVER_ERROR, INVALID_REQ, AUTH_ERROR, PARSE_ERROR or UNKNOWN."""
        from InferenceLibrary.protocol.errors import categorize

        return categorize(self.status, cancelled=self.cancelled)


class StreamError(InferenceError):
    """A stream broke off or was not a stream. `stream` holds what had arrived."""

    def __init__(
        self,
        message: str,
        *,
        event_index: int = 0,
        stream: Any = None,
        category: str = "PARSE_ERROR",
        exchange: Exchange | None = None,
    ) -> None:
        super().__init__(message)
        self.event_index = event_index
        self.stream = stream
        self.category = category
        self.exchange: Exchange | None = exchange if stream is None else stream.exchange
        """The record of the call."""
        self.status: int | None = stream.status if stream is not None else None
        self.headers: dict[str, str] = stream.headers if stream is not None else {}
        self.attempts: tuple[Any, ...] = stream.attempts if stream is not None else ()

    @property
    def error(self) -> ErrorBody | None:
        """What an error event of the stream says, as for a refusal; None when there was none."""
        return self.stream.error if self.stream is not None else None


class ProgramError(InferenceError):
    """A program does not exist, cannot be executed, or outran its time limit."""


class TerminalError(InferenceError):
    """A terminal did not show what was awaited. `screen` is what it showed."""

    def __init__(self, message: str, *, screen: str = "") -> None:
        super().__init__(message)
        self.screen = screen


class ModelError(InferenceError):
    """A model file is missing, broken, or does not fit its use."""


class MonitorError(InferenceError):
    """A measurement could not be taken."""


class CheckFailure(AssertionError):
    """An expectation of the test does not hold."""

    ROBOT_SUPPRESS_NAME = True

    def __init__(self, message: str = "") -> None:
        super().__init__(shown(message))


def describe(
    what: str,
    *,
    expected: str | None = None,
    got: str | None = None,
    after: float | None = None,
    state: str | None = None,
    hint: str | None = None,
    detail: tuple[str, Iterable[str]] | None = None,
) -> str:
    """Return the text of an error: one line, then the detail below it.

    Args:
        what: What failed, as a clause without a full stop: `Server 'sim' is not ready`.
        expected: What was expected.
        got: What was seen instead.
        after: Seconds until it failed.
        state: State of the other side, as a clause: `the process runs`.
        hint: What the reader can do.
        detail: A heading and lines shown below the first line, such as the end of a log.
    """
    parts = [what]
    if expected is not None:
        parts.append(f"expected {expected}")
    if got is not None:
        parts.append(f"got {got}")
    head = f"{parts[0]}: {', '.join(parts[1:])}" if len(parts) > 1 else parts[0]
    if after is not None:
        head += f" after {after:.2f} s"
    if state is not None:
        head += f"; {state}"
    head = " ".join(head.split()) + "."
    if hint is not None:
        head += f" Hint: {' '.join(hint.split())}"
    if detail is None:
        return head
    heading, lines = detail
    return "\n".join([head, f"{heading}:", *(f"    {line}" for line in lines)])


def refuse_empty(where: str, *wanted: str | None) -> None:
    """Refuse texts and patterns to look for that are empty: they are found everywhere, so the check cannot fail.

    Args:
        where: Where they are looked for, for the message: `the screen`.
        wanted: What is looked for; None is not looked for.

    Raises:
        CheckFailure: One is empty.
    """
    if any(text is not None and not text for text in wanted):
        raise CheckFailure(
            describe(
                f"Nothing is looked for in {where}",
                expected="a text",
                got="an empty one, which is everywhere",
                hint="is a variable unset?",
            )
        )
