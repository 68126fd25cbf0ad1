"""Keywords that call a server several times at once, to see that it serves all of them, each with its own answer."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from robot.api.deco import keyword

from InferenceLibrary.client.answers import Reply
from InferenceLibrary.client.streams import Stream
from InferenceLibrary.deadline import Deadline
from InferenceLibrary.durations import milliseconds
from InferenceLibrary.errors import CheckFailure, InferenceError, describe
from InferenceLibrary.keywords.shared.calling import Call, CallGroup
from InferenceLibrary.keywords.shared.shared_arguments import FORMAT, GENERATION, SENDING, STREAMING, TOOLS, takes
from InferenceLibrary.protocol.paths import CHAT
from InferenceLibrary.types import Texts, shown_kind, to_texts

if TYPE_CHECKING:
    from InferenceLibrary.protocol.requests import Question

_SHOWN = 5


class Results(list[Any]):
    """What calls at once gave, in the order of their prompts: replies, streams, or the errors of failed calls."""

    def __init__(self, results: list[Any], prompts: list[str], elapsed: float) -> None:
        super().__init__(results)
        self.prompts = prompts
        self.elapsed = elapsed
        """Seconds until the last was done."""

    @property
    def failures(self) -> list[InferenceError]:
        return [result for result in self if isinstance(result, InferenceError)]

    def __str__(self) -> str:
        return f"{len(self) - len(self.failures)} of {len(self)} succeeded in {milliseconds(self.elapsed)}"

    __repr__ = __str__


def _results(value: Any) -> Any:
    """Return what calls at once gave; a list that a test put together counts too."""
    if not isinstance(value, list | tuple):
        raise CheckFailure(
            describe("Results", expected="what Chat At Once or Stream Chat At Once returned", got=shown_kind(value))
        )
    return value if isinstance(value, Results) else Results(list(value), [], 0.0)


def _percent(rate: str) -> float:
    text = str(rate).strip()
    try:
        return float(text.removesuffix("%")) * (1 if text.endswith("%") else 100)
    except ValueError:
        raise CheckFailure(f"Success rate: expected a share such as 80 % or 0.8, got '{rate}'.") from None


def _asked(question: Question, prompt: str) -> Question:
    # As a message: text by itself would be read as JSON where it looks like it.
    return question._replace(messages=[{"role": "user", "content": prompt}])


class ConcurrencyKeywords(CallGroup):
    """Load of the functional kind."""

    @keyword(tags=["chat"])
    @takes(GENERATION, TOOLS, FORMAT, SENDING)
    def chat_at_once(
        self,
        prompts: Texts,
        *,
        count: int = 1,
        system: str | None = None,
        allow_failures: bool = False,
        **options: Any,
    ) -> Results:
        """Ask several chats at the same time, each on a connection of its own and with the same arguments of [Chat].

        Args:
            prompts: One text or several, one chat each.
            count: How often each prompt is asked.
            system: A system message put before each.
            allow_failures: Whether to return the errors of failed calls instead of failing.

        Returns:
            The replies in the order of the prompts; with `allow_failures` an error in the place of a failed one.

        Raises:
            CheckFailure: A call failed, or there was nothing to ask.

        Example:
        ```robotframework
        *** Test Cases ***
        Ten At Once
            Start Server    simulator    mode=echo    scenario=
            ${replies} =    Chat At Once    Hello there    count=10
            Length Should Be    ${replies}    10
        ```
        """
        call = self._call(options, system=system)

        def ask(prompt: str) -> Reply:
            return call.server.client.ask(CHAT, _asked(call.question, prompt), call.sending)

        return self._at_once("chats", call, prompts, count, ask, allow_failures)

    @keyword(tags=["stream"])
    @takes(GENERATION, TOOLS, FORMAT, STREAMING, SENDING)
    def stream_chat_at_once(
        self,
        prompts: Texts,
        *,
        count: int = 1,
        system: str | None = None,
        allow_failures: bool = False,
        **options: Any,
    ) -> Results:
        """Ask several streamed chats at the same time, like [Chat At Once], each as by [Stream Chat].

        Args:
            prompts: One text or several, one chat each.
            count: How often each prompt is asked.
            system: A system message put before each.
            allow_failures: Whether to return the errors of failed streams instead of failing.

        Returns:
            The streams in the order of the prompts; with `allow_failures` an error in the place of a failed one.

        Raises:
            CheckFailure: A stream failed, or there was nothing to ask.

        Example:
        ```robotframework
        *** Test Cases ***
        Five Streams
            Start Server    simulator
            ${streams} =    Stream Chat At Once    What is the capital of France?    count=5
            FOR    ${stream}    IN    @{streams}
                Stream Should End With Done    ${stream}
            END
        ```
        """
        call = self._call(options, stream=True, system=system)

        def ask(prompt: str) -> Stream:
            return call.server.client.ask_stream(CHAT, _asked(call.question, prompt), call.sending)

        return self._at_once("streams", call, prompts, count, ask, allow_failures)

    @keyword(tags=["chat", "assertion"])
    def all_requests_should_succeed(self, results: Any, *, within: timedelta | None = None) -> None:
        """Check that every call of [Chat At Once] or [Stream Chat At Once] succeeded.

        Args:
            results: What it returned, with `allow_failures=True`.
            within: Time limit for all of them together.

        Raises:
            CheckFailure: One failed, or they took too long; the message lists the first failures.

        Example:
        ```robotframework
        *** Test Cases ***
        Ten
            Start Server    simulator
            ${results} =    Chat At Once    Hello    count=10    allow_failures=True
            All Requests Should Succeed    ${results}    within=10 s
        ```
        """
        results = _results(results)
        self._rate(results, 100.0)
        if within is not None and results.elapsed > within.total_seconds():
            raise CheckFailure(
                f"{len(results)} requests at once: expected all within {milliseconds(within.total_seconds())}, "
                f"got {milliseconds(results.elapsed)}."
            )

    @keyword(tags=["chat", "assertion"])
    def success_rate_should_be_at_least(self, results: Any, rate: str) -> None:
        """Check which part of the calls of [Chat At Once] or [Stream Chat At Once] succeeded.

        Args:
            results: What it returned, with `allow_failures=True`.
            rate: Share of the calls, above 0: `80 %`, or `0.8`.

        Raises:
            CheckFailure: Fewer succeeded; the message lists the first failures.

        Example:
        ```robotframework
        *** Test Cases ***
        Most
            Start Server    simulator    fault=status:code=503,first=2
            ${results} =    Chat At Once    Hello    count=10    allow_failures=True
            Success Rate Should Be At Least    ${results}    80 %
        ```
        """
        self._rate(results, _percent(rate))

    @keyword(tags=["chat", "assertion"])
    def only_these_statuses_should_occur(self, results: Any, *statuses: int) -> None:
        """Check that the calls of [Chat At Once] or [Stream Chat At Once] ended in these HTTP statuses and no others.

        Args:
            results: What it returned, with `allow_failures=True`.
            statuses: The statuses; each may occur or not. A call without an answer has none and is refused.

        Raises:
            CheckFailure: Another status occurred, or a call got no answer.

        Example:
        ```robotframework
        *** Test Cases ***
        Overload Is Told
            Start Server    simulator    fault=status:code=503,first=2
            ${results} =    Chat At Once    Hello    count=5    allow_failures=True
            Only These Statuses Should Occur    ${results}    200    503
        ```
        """
        results = _results(results)
        if not statuses:
            raise CheckFailure("Statuses: expected at least one to allow.")
        counts: dict[Any, int] = {}
        for result in results:
            status = getattr(result, "status", None)
            counts[status] = counts.get(status, 0) + 1
        listed = ", ".join(f"{count} x {status or 'no answer'}" for status, count in counts.items())
        if not results or set(counts) - set(statuses):
            allowed = ", ".join(map(str, statuses))
            raise CheckFailure(
                f"Statuses: expected only {allowed}, got {listed or 'no results'}.{self._first(results)}"
            )
        self.log.info(f"Statuses: {listed}.")

    @keyword(tags=["chat", "assertion"])
    def each_answer_should_belong_to_its_request(self, results: Any) -> None:
        """Check that no answers were mixed up: each holds its whole prompt and no other one, and no two share an id.

        It needs prompts that differ and a server that repeats them, such as the simulator with `mode=echo`, or a model
        told to.

        Args:
            results: What [Chat At Once] or [Stream Chat At Once] returned.

        Raises:
            CheckFailure: An answer lacks its prompt, holds another one, or shares its id.

        Example:
        ```robotframework
        *** Test Cases ***
        Nothing Is Mixed Up
            Start Server    simulator    mode=echo    scenario=
            ${prompts} =    Evaluate    [f'message number {n}.' for n in range(20)]
            ${results} =    Stream Chat At Once    ${prompts}
            Each Answer Should Belong To Its Request    ${results}
        ```
        """
        results = _results(results)
        if len(set(results.prompts)) < 2 or len(set(results.prompts)) < len(results.prompts):
            raise CheckFailure("Isolation: expected prompts that all differ; equal ones cannot be told apart.")
        ids: dict[str, int] = {}
        for number, (prompt, result) in enumerate(zip(results.prompts, results, strict=True)):
            if isinstance(result, InferenceError):
                raise CheckFailure(f"Isolation: expected an answer to request {number}, got: {result}")
            if prompt not in result.text:
                raise CheckFailure(f"Isolation: expected '{prompt}' in answer {number}, got '{result.text[:200]}'.")
            strange = [other for other in results.prompts if other not in prompt and other in result.text]
            if strange:
                raise CheckFailure(f"Isolation: answer {number} to '{prompt}' holds that of '{strange[0]}'.")
            if result.id is not None and ids.setdefault(result.id, number) != number:
                raise CheckFailure(f"Isolation: answers {ids[result.id]} and {number} share the id '{result.id}'.")
        self.log.info(f"{len(results)} answers, each to its own request.")

    def _at_once(
        self,
        what: str,
        call: Call,
        prompts: Texts,
        count: int,
        ask: Callable[[str], Any],
        allow_failures: bool,
    ) -> Results:
        from InferenceLibrary.client.at_once import at_once
        from InferenceLibrary.keywords.shared.evidence import show_call
        from InferenceLibrary.keywords.shared.judging import joined, judged, refuse_broken

        asked = [prompt for prompt in to_texts(prompts) for _ in range(count)]
        if not asked:
            raise CheckFailure("There is nothing to ask: expected at least one prompt and a count of at least 1.")
        deadline = Deadline(0.0)
        found = at_once([lambda prompt=prompt: ask(prompt) for prompt in asked])  # type: ignore[misc]
        results = Results(found, asked, deadline.elapsed)
        slowest = max((item.elapsed for item in results if not isinstance(item, InferenceError)), default=None)
        exchanges = [item.exchange for item in results if getattr(item, "exchange", None) is not None]
        verdicts = [judged(self.context, call.server, exchange, call.rules) for exchange in exchanges]
        verdict = joined(verdicts)
        self.log.info(
            f"{len(results)} {what} at once on {call.server.name}: {len(results) - len(results.failures)} answered, "
            f"{len(results.failures)} failed, slowest after {milliseconds(slowest)}{verdict}"
        )
        for prompt, result in zip(asked, results, strict=True):
            self.log.debug(f"{prompt!r} -> {result}")
        failures = results.failures
        if failures and not allow_failures:
            failed = {id(getattr(failure, "exchange", None)) for failure in failures[:_SHOWN]}
            for exchange, one in zip(exchanges, verdicts, strict=True):
                if id(exchange) in failed:
                    show_call(self.context, exchange, one)
            raise CheckFailure(f"{len(failures)} of {len(results)} {what} at once failed; the first: {failures[0]}")
        refuse_broken(self.context, what, call.server, verdict, call.rules)
        return results

    def _rate(self, given: Any, percent: float) -> None:
        results = _results(given)
        if not 0 < percent <= 100:
            raise CheckFailure(f"Pass rate: expected a percentage above 0 and up to 100, got {percent:g}.")
        if not results:
            raise CheckFailure("Pass rate: expected results of calls, got none.")
        good = sum(not isinstance(result, InferenceError) for result in results)
        rate = 100 * good / len(results)
        if rate < percent:
            raise CheckFailure(
                f"Requests at once: expected at least {percent:g} % to succeed, got {rate:.3g} % "
                f"({good} of {len(results)}).{self._first(results)}"
            )
        self.log.info(f"{good} of {len(results)} requests succeeded ({rate:.3g} %).")

    @staticmethod
    def _first(results: Any) -> str:
        failures = [str(result).splitlines()[0] for result in results if isinstance(result, InferenceError)]
        return "".join(f"\n    {failure}" for failure in failures[:_SHOWN])
