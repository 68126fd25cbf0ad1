"""Keywords on parts of an answer: a header, a value of its JSON, its choices."""

from __future__ import annotations

from typing import Any

from assertionengine import AssertionOperator, verify_assertion
from robot.api.deco import keyword

from InferenceLibrary.client.answers import Reply, shorten
from InferenceLibrary.client.streams import Stream
from InferenceLibrary.errors import CheckFailure, refuse_empty
from InferenceLibrary.keywords.shared.assertions import check_number, check_text, operator_of
from InferenceLibrary.keywords.shared.base import KeywordGroup

_EQUALS = {"==": True, "!=": False}
"""Operators for values that are neither text nor numbers, and whether they want the same value."""


class AnswerPartKeywords(KeywordGroup):
    """Getters of what has no keyword of its own."""

    @keyword(tags=["chat", "getter"])
    def get_header(
        self,
        answer: Reply | Stream,
        name: str,
        assertion_operator: AssertionOperator | None = None,
        assertion_expected: Any = None,
        message: str | None = None,
    ) -> Any:
        """Return a header of an answer, checked inline when an operator is given.

        Args:
            answer: A reply or a stream.
            name: Name of the header; upper and lower case are the same.
            assertion_operator: `==`, `contains`, `matches` and so on. `== ${None}` says that it must not be there.
            assertion_expected: The other side.
            message: Replaces the text of the failure.

        Returns:
            Its value; the values of a repeated header are joined with a comma.

        Raises:
            CheckFailure: The answer has no such header, or has one that must not be there.
            AssertionError: The assertion does not hold.

        Example:
        ```robotframework
        *** Test Cases ***
        Form
            Start Server    simulator
            ${reply} =    Chat    Hello
            Get Header    ${reply}    Content-Type    contains    application/json
            Get Header    ${reply}    X-Debug    ==    ${None}
        ```
        """
        refuse_empty("the headers", name)
        value = answer.headers.get(name.lower())
        absent = assertion_expected is None and _symbol(assertion_operator) == "=="
        if absent and value is not None:
            raise CheckFailure(message or f"Header '{name}': expected none, got '{shorten(value, 200)}'.")
        if absent:
            return None
        if value is None:
            there = ", ".join(answer.headers) or "none"
            raise CheckFailure(f"Header '{name}': expected one of that name, got only: {there}.")
        return check_text(value, assertion_operator, assertion_expected, f"Header {name}", message)

    @keyword(tags=["chat", "getter"])
    def get_answer_value(
        self,
        answer: Reply | Stream,
        key: str,
        assertion_operator: AssertionOperator | None = None,
        assertion_expected: Any = None,
        message: str | None = None,
    ) -> Any:
        """Return a value of an answer's JSON, checked inline when an operator is given.

        Args:
            answer: A reply; or a stream, whose last chunk that has the key counts.
            key: The key, or a path to one: `system_fingerprint`, `choices.0.message.role`, `choices.-1.index`.
            assertion_operator: `==`, `<`, `contains` and so on.
            assertion_expected: The other side: text, a number, or JSON text.
            message: Replaces the text of the failure.

        Returns:
            The value as it was decoded: text, a number, a list, an object.

        Raises:
            CheckFailure: The key does not exist, or it holds null; or the assertion does not hold.

        Example:
        ```robotframework
        *** Test Cases ***
        Kind
            Start Server    simulator
            ${reply} =    Chat    Hello
            Get Answer Value    ${reply}    object    ==    chat.completion
            Get Answer Value    ${reply}    usage.total_tokens    >    1
            Get Answer Value    ${reply}    choices.0.message.role    ==    assistant
        ```
        """
        from InferenceLibrary.keywords.shared.json_values import is_number, same, shown_value

        refuse_empty("the answer", key)
        value = _value(answer, key)
        if assertion_operator is None:
            return value
        symbol = _symbol(assertion_operator)
        what = f"'{key}' of the answer"
        if is_number(value):
            return check_number(value, assertion_operator, assertion_expected, what, "", message)
        if isinstance(value, str):
            return check_text(value, assertion_operator, assertion_expected, what, message)
        if symbol in _EQUALS:
            if same(value, assertion_expected) is not _EQUALS[symbol]:
                raise CheckFailure(
                    message or f"{what}: expected {symbol} {shown_value(assertion_expected)}, got {shown_value(value)}."
                )
            return value
        return verify_assertion(value, assertion_operator, assertion_expected, what, message)

    @keyword(tags=["chat", "assertion"])
    def choices_should_be(self, answer: Reply | Stream, expected: int) -> None:
        """Check how many choices an answer has, and that they are numbered from 0 without a gap.

        Args:
            answer: A reply or a stream, asked for with `n`, or with several prompts.
            expected: Choices, from 1.

        Raises:
            CheckFailure: There are more or fewer; or their indices are others.

        Example:
        ```robotframework
        *** Test Cases ***
        Three
            Start Server    simulator
            ${reply} =    Chat    Hello    n=3
            Choices Should Be    ${reply}    3
        ```
        """
        if expected < 1:
            raise CheckFailure(f"Choices: expected a number from 1 to compare with, got {expected}.")
        if isinstance(answer, Stream):
            indices: list[Any] = sorted({piece.index for chunk in answer.chunks for piece in chunk.pieces})
        else:
            given = answer.json.get("choices") if isinstance(answer.json, dict) else None
            listed = given if isinstance(given, list) else []
            indices = [item.get("index") if isinstance(item, dict) else None for item in listed]
        if len(indices) != expected:
            raise CheckFailure(f"Choices: expected {expected}, got {len(indices)} in {answer}.")
        if indices != list(range(expected)):
            raise CheckFailure(f"Choices: expected the indices {list(range(expected))} in order, got {indices}.")
        self.log.info(f"{expected} choices: {', '.join(repr(shorten(text, 40)) for text in answer.texts)}.")


def _symbol(operator: AssertionOperator | str | None) -> str:
    found = operator_of(operator)
    return "" if found is None else str(found.value)


def _value(answer: Reply | Stream, key: str) -> Any:
    from InferenceLibrary.protocol.json_path import place_in

    if not isinstance(answer, Stream):
        found = place_in(answer.json, key)
        if found.missing is None:
            return found.value
        said = shorten(answer.redact(answer.body), 200)
        raise CheckFailure(f"Answer: expected '{key}', got no {found.missing} in {said}.")
    for chunk in reversed(answer.chunks):
        found = place_in(chunk.json, key)
        if found.missing is None:
            return found.value
    raise CheckFailure(f"Answer: expected '{key}' in a chunk, got it in none of {len(answer.chunks)}.")
