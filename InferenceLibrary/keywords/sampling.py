"""Keywords for checks that know that models sample: pass rates, any of several words, agreement of answers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from robot.api.deco import keyword
from robot.errors import ExecutionFailed
from robot.libraries.BuiltIn import BuiltIn
from robot.utils import escape

from InferenceLibrary.client.answers import Reply
from InferenceLibrary.client.streams import Stream
from InferenceLibrary.errors import CheckFailure
from InferenceLibrary.keywords.shared.base import KeywordGroup

if TYPE_CHECKING:
    from InferenceLibrary.protocol.agreement import Difference


class SamplingKeywords(KeywordGroup):
    """Checks of answers that differ from call to call."""

    @keyword(tags=["chat", "assertion"])
    def pass_rate_should_be_at_least(
        self, rate: float, of: str, name: str, *arguments: Any, confident: bool = False
    ) -> float:
        """Run a keyword several times and check how often it passes.

        The log and the failure give the 95 % confidence interval of the rate (Wilson's): with few tries it is wide.

        Args:
            rate: The least part of the tries that pass, above 0 and up to 1.
            of: How many tries: `of 20`, or `20`.
            name: The keyword, such as one of yours that asks and checks.
            arguments: Its arguments.
            confident: Whether the lower end of the interval must reach the rate too.

        Returns:
            The rate that was found.

        Raises:
            CheckFailure: The rate is lower; the message lists what failed and how often.

        Example:
        ```robotframework
        *** Test Cases ***
        Mostly Right
            Start Server    simulator
            Pass Rate Should Be At Least    0.9    of 20    Chat    What is the capital of France?
        ```
        """
        from InferenceLibrary.protocol.agreement import wilson_interval

        match = re.fullmatch(r"(?:of )?(\d+)", str(of).strip())
        if match is None or int(match[1]) < 1:
            raise ValueError(f"Expected a number of tries such as 'of 20', got '{of}'.")
        if not 0 < rate <= 1:
            raise ValueError(f"Expected a rate above 0 and up to 1, got {rate:g}.")
        tries = int(match[1])
        given = [escape(value) if isinstance(value, str) else value for value in arguments]
        passed, failures = 0, dict[str, int]()
        for _ in range(tries):
            try:
                BuiltIn().run_keyword(name, *given)
                passed += 1
            except ExecutionFailed as error:
                if error.dont_continue or error.skip:
                    raise
                line = str(error).splitlines()[0] if str(error) else "no message"
                failures[line] = failures.get(line, 0) + 1
        low, high = wilson_interval(passed, tries)
        found = passed / tries
        said = f"{passed} of {tries} passed ({found:.1%}, 95 % confidence {low:.1%} to {high:.1%})"
        if found < rate or (confident and low < rate):
            listed = "".join(f"\n    {count} x {line}" for line, count in failures.items())
            sure = " with confidence" if confident and found >= rate else ""
            raise CheckFailure(f"Pass rate of '{name}': expected at least {rate:.1%}{sure}, got {said}.{listed}")
        self.log.info(f"Pass rate of '{name}': {said}.")
        return found

    @keyword(tags=["chat", "assertion"])
    def answer_should_contain_any(
        self, answer: Reply | Stream, *texts: str, ignore_case: bool = False, choice: int = 0
    ) -> str:
        """Check that the text of an answer contains one of several texts.

        Args:
            answer: A reply or a stream.
            texts: Texts one of which must be there, as it stands.
            ignore_case: Whether upper and lower case are the same.
            choice: Index of the choice, of an answer with several.

        Returns:
            The first one that is there.

        Raises:
            CheckFailure: None is there; one is empty, or none is named; the choice does not exist.

        Example:
        ```robotframework
        *** Test Cases ***
        Greeting
            Start Server    simulator    mode=echo    scenario=
            ${reply} =    Chat    Hello there
            Answer Should Contain Any    ${reply}    Hi    Hello    Good day
        ```
        """
        from InferenceLibrary.keywords.shared.choices import called, text_of
        from InferenceLibrary.text_search import TextSearch

        wanted = [TextSearch("the answer", text, ignore_case=ignore_case) for text in texts or [""]]
        said = text_of(answer, choice)
        for one in wanted:
            if one.found_in(said) is not None:
                self.log.info(f"The answer contains {one}: {said!r}.")
                return one.text
        listed = ", ".join(map(str, wanted))
        raise CheckFailure(f"{called('Answer', choice)}: expected a text that contains one of {listed}, got '{said}'.")

    @keyword(tags=["chat", "assertion"])
    def answers_should_agree(
        self, first: Reply | Stream, second: Reply | Stream, *, near_tie: float | None = None
    ) -> None:
        """Check that two answers say the same: streamed and not, by two APIs, from two servers.

        The texts and the names and arguments of tool calls are compared, of every choice. Ask greedily
        (`temperature=0`) or with a seed.
        Even then the choice between two tokens of almost equal probability may differ from batch to batch; with
        `near_tie` and answers asked for with `logprobs`, texts may part at such a token.

        Args:
            first: A reply or a stream.
            second: Another one.
            near_tie: The largest difference of two log probabilities that counts as a tie, such as 0.1.

        Raises:
            CheckFailure: They differ; the message tells where, and the margin when it is known.

        Example:
        ```robotframework
        *** Test Cases ***
        Streamed Or Not
            Start Server    simulator
            ${reply} =    Chat    What is the capital of France?
            ${stream} =    Stream Chat    What is the capital of France?
            Answers Should Agree    ${reply}    ${stream}
        ```
        """
        from InferenceLibrary.protocol.agreement import calls_said, first_difference

        ones, others = first.choices, second.choices
        if not any(choice.text or choice.tool_calls for choice in (*ones, *others)):
            raise CheckFailure("Agreement: expected answers with text or tool calls, got two empty ones.")
        if [choice.place for choice in ones] != [choice.place for choice in others]:
            raise CheckFailure(f"Agreement: expected as many choices, got {len(ones)} and {len(others)}.")
        for one, other in zip(ones, others, strict=True):
            where = f"choice {one.place}: " if len(ones) > 1 else ""
            if calls_said(one.tool_calls) != calls_said(other.tool_calls):
                called = [", ".join(map(str, choice.tool_calls)) or "none" for choice in (one, other)]
                raise CheckFailure(f"Agreement: {where}expected the same tool calls, got {called[0]} and {called[1]}.")
            difference = first_difference(one.text, other.text, one.logprobs, other.logprobs)
            if difference is not None:
                self._refuse_difference(difference, where, near_tie)
        self.log.info(f"Both answers say: {', '.join(repr(choice.text) for choice in ones)}.")

    def _refuse_difference(self, difference: Difference, where: str, near_tie: float | None) -> None:
        if near_tie is not None and difference.margin is not None and difference.margin <= near_tie:
            self.log.info(f"The answers part {where}{difference}, a near tie: {difference.margin:.3g} nats.")
            return
        known = "" if difference.margin is None else f", the likelier token leads by {difference.margin:.3g} nats"
        hint = "" if near_tie is None or difference.margin is not None else " Hint: ask both with logprobs=2."
        raise CheckFailure(f"Agreement: {where}expected the same text, got a difference {difference}{known}.{hint}")
