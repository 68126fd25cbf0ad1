"""Keywords on the token counts of an answer."""

from __future__ import annotations

from typing import Any

from assertionengine import AssertionOperator
from robot.api.deco import keyword

from InferenceLibrary.client.answers import Reply
from InferenceLibrary.client.streams import Stream
from InferenceLibrary.errors import CheckFailure
from InferenceLibrary.keywords.shared.assertions import check_number
from InferenceLibrary.keywords.shared.base import KeywordGroup


class UsageKeywords(KeywordGroup):
    """Exact counts."""

    @keyword(tags=["chat", "assertion"])
    def usage_should_be(
        self,
        answer: Reply | Stream,
        *,
        prompt: int | None = None,
        completion: int | None = None,
        total: int | None = None,
    ) -> None:
        """Check the token counts of an answer exactly. One of them must be given; what is not given may be anything.

        Args:
            answer: A reply, or a stream asked for with `include_usage=True`.
            prompt: Tokens of the prompt; the APIs call them input tokens too.
            completion: Tokens of the answer, or output tokens.
            total: Both together.

        Raises:
            CheckFailure: There is no usage; the prompt counts otherwise; the completion does; the total does; or
                nothing is expected of any.

        Example:
        ```robotframework
        *** Test Cases ***
        Five Tokens
            Start Server    simulator
            ${reply} =    Chat    What is the capital of France?    max_tokens=5
            Usage Should Be    ${reply}    completion=5
        ```
        """
        wanted = {"prompt": prompt, "completion": completion, "total": total}
        given = {name: count for name, count in wanted.items() if count is not None}
        if not given:
            raise CheckFailure("Usage: expected at least one of prompt, completion and total to compare, got none.")
        usage = answer.usage
        if usage is None:
            raise CheckFailure(f"Usage: expected {_listed(given)}, got none{_hint(answer)}.")
        got = {name: getattr(usage, f"{name}_tokens") for name in wanted}
        wrong = [name for name, count in given.items() if got[name] != count]
        if wrong:
            raise CheckFailure(
                f"Usage: expected {_listed({name: given[name] for name in wrong})}, got {_listed(got)} in {answer}."
            )
        self.log.info(f"Usage: {usage}.")

    @keyword(tags=["chat", "getter"])
    def get_prompt_tokens(
        self,
        answer: Reply | Stream,
        assertion_operator: AssertionOperator | None = None,
        assertion_expected: Any = None,
        message: str | None = None,
    ) -> Any:
        """Return the prompt tokens of an answer's usage, checked inline when an operator is given.

        Args:
            answer: A reply, or a stream asked for with `include_usage=True`.
            assertion_operator: `<`, `==` and so on.
            assertion_expected: The other side.
            message: Replaces the text of the failure.

        Returns:
            Tokens.

        Raises:
            CheckFailure: The count does not exist, or the comparison does not hold.

        Example:
        ```robotframework
        *** Test Cases ***
        Longer
            Start Server    simulator
            ${short} =    Chat    Hello
            ${long} =    Chat    What is the capital of France, and what is that of Italy?
            ${tokens} =    Get Prompt Tokens    ${short}
            Get Prompt Tokens    ${long}    >    ${tokens}
        ```
        """
        return _count(answer, "prompt", assertion_operator, assertion_expected, message)

    @keyword(tags=["chat", "getter"])
    def get_completion_tokens(
        self,
        answer: Reply | Stream,
        assertion_operator: AssertionOperator | None = None,
        assertion_expected: Any = None,
        message: str | None = None,
    ) -> Any:
        """Return the completion tokens of an answer's usage, checked inline when an operator is given.

        Args:
            answer: A reply, or a stream asked for with `include_usage=True`.
            assertion_operator: `<`, `==` and so on.
            assertion_expected: The other side.
            message: Replaces the text of the failure.

        Returns:
            Tokens.

        Raises:
            CheckFailure: The count does not exist, or the comparison does not hold.

        Example:
        ```robotframework
        *** Test Cases ***
        At Most Three
            Start Server    simulator
            ${reply} =    Chat    What is the capital of France?    max_tokens=3
            Get Completion Tokens    ${reply}    <=    3
        ```
        """
        return _count(answer, "completion", assertion_operator, assertion_expected, message)

    @keyword(tags=["chat", "getter"])
    def get_total_tokens(
        self,
        answer: Reply | Stream,
        assertion_operator: AssertionOperator | None = None,
        assertion_expected: Any = None,
        message: str | None = None,
    ) -> Any:
        """Return the total tokens of an answer's usage, checked inline when an operator is given.

        Args:
            answer: A reply, or a stream asked for with `include_usage=True`.
            assertion_operator: `<`, `==` and so on.
            assertion_expected: The other side.
            message: Replaces the text of the failure.

        Returns:
            Tokens.

        Raises:
            CheckFailure: There is no usage, or the comparison does not hold.

        Example:
        ```robotframework
        *** Test Cases ***
        Small
            Start Server    simulator
            ${reply} =    Chat    Hello    max_tokens=5
            Get Total Tokens    ${reply}    <    100
        ```
        """
        return _count(answer, "total", assertion_operator, assertion_expected, message)


def _count(
    answer: Reply | Stream, name: str, operator: AssertionOperator | None, expected: Any, message: str | None
) -> Any:
    value = getattr(answer.usage, f"{name}_tokens", None)
    if value is None:
        raise CheckFailure(f"{name.capitalize()} tokens: expected usage in the answer, got none{_hint(answer)}.")
    return check_number(value, operator, expected, f"{name} tokens", "tokens", message)


def _listed(counts: dict[str, Any]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def _hint(answer: Reply | Stream) -> str:
    """The APIs of chats and completions give the usage of a stream only where it is asked for."""
    exchange = answer.exchange
    if not isinstance(answer, Stream) or not exchange.request.path.endswith("/completions"):
        return ""
    options = exchange.asked_for("stream_options")
    if isinstance(options, dict) and options.get("include_usage") is True:
        return ", although stream_options.include_usage asked for it"
    return ". Hint: ask for it with include_usage=True"
