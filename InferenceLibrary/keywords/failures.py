"""Keywords that judge calls that fail."""

from __future__ import annotations

from typing import Any, Literal

from robot.api.deco import keyword

from InferenceLibrary.client.answers import Reply, shorten
from InferenceLibrary.client.streams import Stream
from InferenceLibrary.errors import CheckFailure, StreamError, describe, refuse_empty
from InferenceLibrary.keywords.shared.arguments import revealed
from InferenceLibrary.keywords.shared.calling import CallGroup, asked_in, exchange_of
from InferenceLibrary.keywords.shared.shared_arguments import ROUTE, takes
from InferenceLibrary.protocol.statuses import ANY, REFUSED, Statuses
from InferenceLibrary.types import JsonObject

Category = Literal["RATE_LIMIT", "SERVER_ERROR", "INVALID_REQ", "AUTH_ERROR", "PARSE_ERROR", "UNKNOWN"]


class FailureKeywords(CallGroup):
    """Refusals and failed calls."""

    @keyword(tags=["chat", "assertion"])
    @takes(ROUTE)
    def body_should_be_refused(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        status: Statuses = REFUSED,
        error_code: str | None = None,
        error_type: str | None = None,
        error_param: str | None = None,
        error_message: str | None = None,
        **options: Any,
    ) -> Reply:
        """Send a body that a server must refuse, and judge the refusal; the body is in the message of a failure.

        Args:
            method: HTTP method.
            path: Path below the server's address: `/v1/chat/completions`.
            body: Text that is sent as it is; a dictionary or list variable is sent as JSON.
            status: Status of the refusal: `400`, `4xx`, `400,422`. By default one that tells of a wrong body: 400, 413,
                415 or 422. A missing route (404, 405) or key (401, 403) says nothing of the body.
            error_code: Code of the error, as text, whether the server sends text or a number.
            error_type: Type of the error: `invalid_request_error`.
            error_param: Parameter that the error names.
            error_message: Text that the message contains.

        Returns:
            The reply: `${reply.status}`, `${reply.error.message}`, `${reply.error.code}`, `${reply.body}`.

        Raises:
            RequestError: No answer in time.
            CheckFailure: The body was accepted, or refused otherwise than expected.

        Example:
        ```robotframework
        *** Test Cases ***
        Bodies That Are Wrong
            Start Server    simulator
            FOR    ${body}    IN    {"messages": 7}    []    {
                Body Should Be Refused    POST    /v1/chat/completions    ${body}    status=400
            END
        ```
        """
        call = self._call(options, success=ANY)
        sent, method = revealed(self.context, body), method.upper()
        reply = self._made(f"{method} {path}", call, lambda: call.server.client.send(method, path, sent, call.sending))
        self._judge(reply, status, error_code, error_type, error_param, None, error_message)
        return reply

    @keyword(tags=["chat", "assertion"])
    @takes(ROUTE)
    def body_change_should_be_refused(
        self,
        method: str,
        path: str,
        body: JsonObject,
        field: str,
        value: Any = None,
        *,
        status: Statuses = REFUSED,
        error_code: str | None = None,
        error_type: str | None = None,
        error_param: str | None = None,
        error_message: str | None = None,
        **options: Any,
    ) -> Reply:
        """Send a right body, which must be accepted, then one that differs in one field, which must be refused.

        A refusal alone proves little: the route may be missing, the key or the model wrong. This one is for the change.

        Args:
            method: HTTP method.
            path: Path below the server's address: `/v1/chat/completions`.
            body: The right body.
            field: The field that is changed, at the top of the body.
            value: Its wrong value, as JSON, as text where it is not JSON, or as an object. None, the default: the field
                is left out of the body; the text `null` stands for JSON's.
            status: Status of the refusal: `400`, `4xx`, `400,422`.
            error_code: Code of the error, as text, whether the server sends text or a number.
            error_type: Type of the error: `invalid_request_error`.
            error_param: Parameter that the error names.
            error_message: Text that the message contains.

        Returns:
            The refusal, as from [Body Should Be Refused].

        Raises:
            RequestError: No answer in time.
            CheckFailure: The right body was refused, the wrong one accepted, or refused otherwise than expected.

        Example:
        ```robotframework
        *** Test Cases ***
        Chats That Are Wrong In One Thing
            Start Server    simulator
            VAR    ${right}    {"model": "fake-model", "messages": [{"role": "user", "content": "Hello"}]}
            Body Change Should Be Refused    POST    /v1/chat/completions    ${right}    messages    7
            Body Change Should Be Refused    POST    /v1/chat/completions    ${right}    messages    status=400,422
        ```
        """
        from InferenceLibrary.protocol.exchange import decode_json

        right = revealed(self.context, body)
        call = self._call(dict(options), success=ANY)
        method = method.upper()
        reply = self._made(f"{method} {path}", call, lambda: call.server.client.send(method, path, right, call.sending))
        if not 200 <= reply.status < 300:
            raise CheckFailure(
                describe(
                    f"{method} {path}: the right body is refused, so that a refusal of the changed one says nothing",
                    expected="status 2xx",
                    got=f"{reply.status}: {shorten(reply.body, 300)!r}",
                )
            )
        changed = {name: kept for name, kept in right.items() if name != field}
        if value is not None:
            read = decode_json(value) if isinstance(value, str) else revealed(self.context, value)
            changed[field] = value if read is None and value != "null" else read
        refused: Reply = self.body_should_be_refused(
            method,
            path,
            changed,
            status=status,
            error_code=error_code,
            error_type=error_type,
            error_param=error_param,
            error_message=error_message,
            **options,
        )
        return refused

    @keyword(tags=["chat", "assertion"])
    def error_should_be(
        self,
        answer: Any,
        *,
        status: Statuses | None = None,
        error_code: str | None = None,
        error_type: str | None = None,
        error_param: str | None = None,
        error_category: Category | None = None,
        error_message: str | None = None,
    ) -> None:
        """Check what a refusal, or another failure of a call, says.

        Args:
            answer: What a call with `expected_status` returned, or a stream that broke off (of `allow_broken=True`).
            status: HTTP status: `404`, `4xx`, `400,422`.
            error_code: Code of the error, as text, whether the server sends text or a number.
            error_type: Type of the error.
            error_param: Parameter that the error names.
            error_category: Category: `RATE_LIMIT` (429), `SERVER_ERROR` (5xx, no answer), `INVALID_REQ` (400, 422),
                `AUTH_ERROR` (401, 403), `PARSE_ERROR` (an unreadable answer), `UNKNOWN` (the rest).
            error_message: Text that the message contains: the server's, and of a call without an answer that can be
                read the library's own. What a model wrote before its answer broke off does not count.

        Raises:
            CheckFailure: It is not a failure, or another one; the message names what differs.

        Example:
        ```robotframework
        *** Test Cases ***
        Unknown Model
            Start Server    simulator
            ${reply} =    Chat    Hello    model=gpt-99    expected_status=404
            Error Should Be    ${reply}    error_category=UNKNOWN    error_message=gpt-99
        ```
        """
        exchange_of(answer)
        self._judge(answer, status, error_code, error_type, error_param, error_category, error_message)

    def _judge(
        self,
        answer: Any,
        status: Statuses | None,
        error_code: str | None,
        error_type: str | None,
        error_param: str | None,
        error_category: str | None,
        message: str | None,
    ) -> None:
        refuse_empty("the error", error_code, error_type, error_param, message)
        error = answer.error
        said = answer.body if isinstance(answer, Reply) else str(answer)
        asked = asked_in(answer.exchange, self.context.redactor)
        seen = f"{answer.status or 'no answer'}: {shorten(said, 300)!r} for {asked}"
        category = _category(answer)
        if status is not None and answer.status not in status:
            raise CheckFailure(f"Error: expected status {status}, got {seen}.")
        if not _is_failure(answer):
            raise CheckFailure(f"Error: expected a failure, got {answer} for {asked}.")
        wanted = {
            "code": (error_code, getattr(error, "code", None)),
            "type": (error_type, getattr(error, "type", None)),
            "param": (error_param, getattr(error, "param", None)),
            "category": (error_category, category),
        }
        for what, (expected, got) in wanted.items():
            if expected is not None and expected != got:
                raise CheckFailure(f"Error: expected {what} {expected}, got {got} in {seen}.")
        if message is not None and message not in _message_of(answer, said):
            raise CheckFailure(f"Error: expected a message that contains '{message}', got {seen}.")
        told = ", ".join(f"{what} {got}" for what, (_, got) in wanted.items() if got is not None)
        self.log.info(f"Error: {told} in {seen}.")


def _message_of(answer: Any, said: str) -> str:
    """Where a message is looked for: not in what a model wrote before its answer broke off."""
    stream = answer.stream if isinstance(answer, StreamError) else answer
    if isinstance(stream, Stream) and (stream.broken or stream is answer):
        return f"{stream.broken or ''} after {len(stream.chunks)} events\n{stream.error or ''}"
    if answer.error is not None and isinstance(answer, Reply) and answer.json is not None:
        return str(answer.error)
    return f"{said}\n{answer.error}" if answer.error is not None else said


def _is_failure(answer: Any) -> bool:
    if isinstance(answer, Stream):
        return answer.broken is not None or answer.error is not None
    return not isinstance(answer, Reply) or answer.status >= 400 or answer.error is not None


def _category(answer: Any) -> str | None:
    """The category that the same failure has where it ends the call."""
    if not isinstance(answer, Stream):
        category: str | None = answer.category
        return category
    from InferenceLibrary.protocol.errors import PARSE_ERROR, categorize

    return categorize(None, answer.error) if answer.error or answer.interrupted else PARSE_ERROR
