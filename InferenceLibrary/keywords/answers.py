"""Keywords that judge the text, the end and the usage of an answer, whole or streamed."""

from __future__ import annotations

from typing import Any

from assertionengine import AssertionOperator
from robot.api.deco import keyword

from InferenceLibrary.client.answers import Reply
from InferenceLibrary.client.streams import Stream
from InferenceLibrary.errors import CheckFailure
from InferenceLibrary.keywords.shared.assertions import check_number, check_text
from InferenceLibrary.keywords.shared.base import KeywordGroup
from InferenceLibrary.keywords.shared.calling import exchange_of


def _why_no_usage(answer: Reply | Stream) -> str:
    """The APIs of chats and completions give the usage of a stream only where it is asked for."""
    exchange = answer.exchange
    if not isinstance(answer, Stream) or not exchange.request.path.endswith("/completions"):
        return ""
    options = exchange.asked_for("stream_options")
    if isinstance(options, dict) and options.get("include_usage") is True:
        return ", although stream_options.include_usage asked for it"
    return ". Hint: ask for it with include_usage=True"


class AnswerKeywords(KeywordGroup):
    """Checks and getters of answers."""

    @keyword(tags=["chat", "assertion"])
    def answer_should_contain(
        self,
        answer: Reply | Stream,
        expected: str | None = None,
        *,
        matching: str | None = None,
        ignore_case: bool = False,
        choice: int = 0,
    ) -> None:
        """Check that the text of an answer contains a text.

        Args:
            answer: A reply or a stream.
            expected: Text that must be there, as it stands; not empty.
            matching: Regular expression in its place; `^` and `$` stand for the ends of a line.
            ignore_case: Whether upper and lower case are the same.
            choice: Index of the choice, of an answer with several.

        Raises:
            CheckFailure: It is not there, or nothing is looked for; or the choice does not exist.

        Example:
        ```robotframework
        *** Test Cases ***
        Capital
            Start Server    simulator
            ${reply} =    Chat    What is the capital of France?
            Answer Should Contain    ${reply}    Paris
            Answer Should Contain    ${reply}    matching=\\\\bparis\\\\b    ignore_case=True
        ```
        """
        from InferenceLibrary.keywords.shared.choices import called, text_of
        from InferenceLibrary.text_search import TextSearch

        wanted = TextSearch("the answer", expected, matching, ignore_case)
        text = text_of(answer, choice)
        found = wanted.found_in(text)
        if found is None:
            raise CheckFailure(f"{called('Answer', choice)}: expected a text that contains {wanted}, got '{text}'.")
        self.log.info(f"The answer contains '{found}': {text!r}.")

    @keyword(tags=["chat", "assertion"])
    def answer_should_not_contain(
        self,
        answer: Reply | Stream,
        unwanted: str | None = None,
        *,
        matching: str | None = None,
        ignore_case: bool = False,
        choice: int = 0,
    ) -> None:
        """Check that the text of an answer does not contain a text.

        Args:
            answer: A reply or a stream.
            unwanted: Text that must not be there, as it stands; not empty.
            matching: Regular expression in its place; `^` and `$` stand for the ends of a line.
            ignore_case: Whether upper and lower case are the same.
            choice: Index of the choice, of an answer with several.

        Raises:
            CheckFailure: It is there, the answer has no text, or nothing is looked for; or the choice does not exist.

        Example:
        ```robotframework
        *** Test Cases ***
        No Other Capital
            Start Server    simulator
            ${reply} =    Chat    What is the capital of France?
            Answer Should Not Contain    ${reply}    Rome
        ```
        """
        from InferenceLibrary.keywords.shared.choices import called, text_of
        from InferenceLibrary.text_search import TextSearch

        wanted = TextSearch("the answer", unwanted, matching, ignore_case)
        text, what = text_of(answer, choice), called("Answer", choice)
        if not text:
            raise CheckFailure(f"{what}: expected a text without {wanted}, got no text.")
        found = wanted.found_in(text)
        if found is not None:
            raise CheckFailure(f"{what}: expected a text without {wanted}, got '{found}' in '{text}'.")
        self.log.info(f"The answer does not contain {wanted}: {text!r}.")

    @keyword(tags=["chat", "assertion"])
    def finish_reason_should_be(self, answer: Reply | Stream, expected: str, *, choice: int = 0) -> None:
        """Check why generation ended.

        Args:
            answer: A reply or a stream.
            expected: `stop`, `length`, `tool_calls`, `content_filter` or what the server has.
            choice: Index of the choice, of an answer with several.

        Raises:
            CheckFailure: It ended for another reason, none is given; or the choice does not exist.

        Example:
        ```robotframework
        *** Test Cases ***
        Cut Off
            Start Server    simulator
            ${reply} =    Chat    What is the capital of France?    max_tokens=3
            Finish Reason Should Be    ${reply}    length
        ```
        """
        from InferenceLibrary.keywords.shared.choices import called, finish_reason_of

        got = finish_reason_of(answer, choice)
        if got != expected:
            raise CheckFailure(f"{called('Finish reason', choice)}: expected '{expected}', got {got!r} in {answer}.")
        self.log.info(f"Finish reason: {got!r} of {answer}.")

    @keyword(tags=["chat", "assertion"])
    def usage_should_add_up(self, answer: Reply | Stream) -> None:
        """Check that an answer has usage, and the rules on it: tokens are counted, for all choices, and add up.

        Args:
            answer: A reply, or a stream asked for with `include_usage=True`.

        Raises:
            CheckFailure: Usage is missing, or a rule is broken; the message names it.

        Example:
        ```robotframework
        *** Test Cases ***
        Usage
            Start Server    simulator
            ${reply} =    Chat    Hello
            Usage Should Add Up    ${reply}
        ```
        """
        from InferenceLibrary.keywords.shared.rule_groups import USAGE, hold

        if answer.usage is None:
            raise CheckFailure(f"Usage: expected prompt, completion and total tokens, got none{_why_no_usage(answer)}.")
        hold(self.context, "Usage", answer, USAGE)

    @keyword(tags=["chat", "getter"])
    def get_answer_text(
        self,
        answer: Reply | Stream,
        assertion_operator: AssertionOperator | None = None,
        assertion_expected: Any = None,
        message: str | None = None,
        *,
        choice: int = 0,
    ) -> Any:
        """Return the text of an answer, checked inline when an operator is given.

        Args:
            answer: A reply or a stream.
            assertion_operator: `==`, `contains`, `matches` and so on.
            assertion_expected: The other side.
            message: Replaces the text of the failure.
            choice: Index of the choice, of an answer with several.

        Returns:
            The text.

        Raises:
            AssertionError: The assertion does not hold.
            CheckFailure: The choice does not exist.

        Example:
        ```robotframework
        *** Test Cases ***
        Capital
            Start Server    simulator
            ${reply} =    Chat    What is the capital of France?
            Get Answer Text    ${reply}    matches    (?i)paris
        ```
        """
        from InferenceLibrary.keywords.shared.choices import called, text_of

        text = text_of(answer, choice)
        return check_text(text, assertion_operator, assertion_expected, called("Text", choice), message)

    @keyword(tags=["chat", "getter"])
    def get_elapsed_time(
        self,
        answer: Any,
        assertion_operator: AssertionOperator | None = None,
        assertion_expected: Any = None,
        message: str | None = None,
    ) -> Any:
        """Return the seconds that a call took, its retries included, checked inline when an operator is given.

        Args:
            answer: A reply, a stream, or the error of a call with `expected_status=failure`.
            assertion_operator: `<`, `>=` and so on.
            assertion_expected: The other side, with a unit: `2 s`, `300 ms`.
            message: Replaces the text of the failure.

        Returns:
            Seconds.

        Raises:
            CheckFailure: The comparison does not hold.

        Example:
        ```robotframework
        *** Test Cases ***
        Latency Is Kept
            Start Server    simulator    time_to_first_token=50 ms
            ${reply} =    Chat    Hello
            Get Elapsed Time    ${reply}    >=    50 ms
        ```
        """
        return check_number(
            exchange_of(answer).elapsed, assertion_operator, assertion_expected, "elapsed time", "s", message
        )
