"""Keywords that expect a call to fail, and judge how."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal

from robot.api.deco import keyword
from robot.errors import ExecutionFailed
from robot.libraries.BuiltIn import BuiltIn
from robot.running.model import Argument
from robot.utils import escape

from InferenceLibrary.client.answers import Reply, shorten
from InferenceLibrary.client.streams import Stream
from InferenceLibrary.deadline import Deadline
from InferenceLibrary.durations import milliseconds
from InferenceLibrary.errors import CheckFailure, InferenceError, RequestError, StreamError, refuse_empty
from InferenceLibrary.keywords.shared.base import KeywordGroup
from InferenceLibrary.types import shown_kind

Category = Literal["RATE_LIMIT", "SERVER_ERROR", "INVALID_REQ", "AUTH_ERROR", "PARSE_ERROR", "UNKNOWN"]


_LONGEST_ASKED = 5_000
"""Bytes of a request's body that are looked at for a message."""


class FailureKeywords(KeywordGroup):
    """Refusals and failed calls."""

    @keyword(tags=["chat", "assertion"])
    def request_should_fail(
        self,
        name: str,
        *arguments: Any,
        status: int | None = None,
        error_code: str | None = None,
        error_type: str | None = None,
        error_param: str | None = None,
        error_category: Category | None = None,
        error_message: str | None = None,
        within: timedelta | None = None,
        **named: Any,
    ) -> Any:
        """Run a keyword that calls a server and expect the call to fail; return its error.

        The expectations are arguments of this keyword; all others go to the called one.

        Args:
            name: The keyword that calls: [Chat], [Stream Chat], or one of yours.
            arguments: Its arguments.
            status: HTTP status of the refusal; any failure counts when not given.
            error_code: Code of the error, as text, whether the server sends text or a number.
            error_type: Type of the error: `invalid_request_error`.
            error_param: Parameter that the error names.
            error_category: Category: `RATE_LIMIT` (429), `SERVER_ERROR` (5xx, no answer), `INVALID_REQ` (400, 422),
                `AUTH_ERROR` (401, 403), `PARSE_ERROR` (an unreadable answer), `UNKNOWN` (the rest).
            error_message: Text that the whole message contains, whatever its case.
            within: Time limit for the failure.
            named: Named arguments of the called keyword.

        Returns:
            The error: `${error.status}`, `${error.error.message}`, `${error.error.code}`, `${error.category}`,
            `${error.headers}`, `${error.body}`, `${error.attempts}`; of a broken stream `${error.stream}`.

        Raises:
            CheckFailure: The call succeeded, or failed otherwise than expected.

        Example:
        ```robotframework
        *** Test Cases ***
        Unknown Model
            Start Server    simulator
            ${error} =    Request Should Fail    Chat    Hello    model=gpt-99    status=404
            Should Contain    ${error.error.message}    gpt-99
        ```
        """
        refuse_empty("the error", error_message)
        self.context.last_failure = None
        # Robot has replaced the variables; what they held must not be read as variables again.
        given = [escape(value) if isinstance(value, str) else value for value in arguments]
        given += [Argument(key, escape(value) if isinstance(value, str) else value) for key, value in named.items()]
        deadline = Deadline(0.0)
        try:
            result = BuiltIn().run_keyword(name, *given)
        except ExecutionFailed as failure:
            error: Any = self._last_failure()
            if failure.dont_continue or failure.skip or error is None or str(error) not in str(failure):
                raise
        else:
            asked = f" for {self._asked(result)}" if isinstance(result, Reply | Stream) else ""
            raise CheckFailure(f"{name}: expected the request to fail, got {shorten(str(result), 200)}{asked}.")
        if within is not None and deadline.elapsed > within.total_seconds():
            raise CheckFailure(
                f"{name}: expected a failure within {milliseconds(within.total_seconds())}, "
                f"got it after {milliseconds(deadline.elapsed)}: {error}"
            )
        self._judge(error, status, error_code, error_type, error_param, error_category, error_message)
        self.log.info(f"Failed as expected: {error}")
        return error

    @keyword(tags=["chat", "assertion"])
    def error_should_be(
        self,
        answer: Any,
        *,
        status: int | None = None,
        error_code: str | None = None,
        error_type: str | None = None,
        error_param: str | None = None,
        error_category: Category | None = None,
        error_message: str | None = None,
    ) -> None:
        """Check what a refusal says.

        Args:
            answer: A reply with an error (of a call with `expected_status`), or what [Request Should Fail] returned.
            status: HTTP status.
            error_code: Code of the error, as text, whether the server sends text or a number.
            error_type: Type of the error.
            error_param: Parameter that the error names.
            error_category: Category, as for [Request Should Fail].
            error_message: Text that the message contains, whatever its case.

        Raises:
            CheckFailure: It is no error, or another one; the message names what differs.

        Example:
        ```robotframework
        *** Test Cases ***
        Unknown Model
            Start Server    simulator
            ${reply} =    Chat    Hello    model=gpt-99    expected_status=404
            Error Should Be    ${reply}    error_category=UNKNOWN    error_message=gpt-99
        ```
        """
        if not isinstance(answer, Reply | RequestError | StreamError):
            raise ValueError(f"Expected a reply or the error of a call, got {shown_kind(answer)}.")
        self._judge(answer, status, error_code, error_type, error_param, error_category, error_message)

    def _asked(self, answer: Any) -> str:
        """What was sent: in a loop of bodies nobody knows it otherwise."""
        exchange = answer.exchange
        if exchange is None:
            return "a call whose request is not known"
        request = exchange.request
        body = self.context.redactor(request.body[:_LONGEST_ASKED].decode("utf-8", "replace"))
        return f"{request.method} {request.path}" + (f" with {shorten(body, 300)}" if body else "")

    def _last_failure(self) -> InferenceError | None:
        return self.context.last_failure

    def _judge(
        self,
        answer: Any,
        status: int | None,
        error_code: str | None,
        error_type: str | None,
        error_param: str | None,
        error_category: str | None,
        contains: str | None,
    ) -> None:
        refuse_empty("the error", contains)
        error = answer.error
        wanted = {
            "status": (status, answer.status),
            "code": (error_code, getattr(error, "code", None)),
            "type": (error_type, getattr(error, "type", None)),
            "param": (error_param, getattr(error, "param", None)),
            "category": (error_category, answer.category),
        }
        said = answer.body if isinstance(answer, Reply) else str(answer)
        seen = f"{answer.status or 'no answer'}: {shorten(said, 300)!r} for {self._asked(answer)}"
        for what, (expected, got) in wanted.items():
            if expected is not None and expected != got:
                raise CheckFailure(f"Error: expected {what} {expected}, got {got} in {seen}.")
        if contains is not None and contains.lower() not in f"{said}\n{error}".lower():
            raise CheckFailure(f"Error: expected a message that contains '{contains}', got {seen}.")
        if isinstance(answer, Reply) and answer.status < 400 and error is None:
            raise CheckFailure(f"Error: expected a refusal, got {answer} for {self._asked(answer)}.")
