"""Keywords that call a server several times at once, to see that it serves all of them, each with its own answer."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from robot.api.deco import keyword

from InferenceLibrary.durations import milliseconds
from InferenceLibrary.errors import CheckFailure, InferenceError, describe
from InferenceLibrary.foreign_text import cut
from InferenceLibrary.keywords.shared.calling import CallGroup, in_background
from InferenceLibrary.types import shown_kind

if TYPE_CHECKING:
    from InferenceLibrary.client.background import BackgroundCall

_SHOWN = 5


class Results(list[Any]):
    """What calls at once gave, in the order of their prompts: replies, streams, or the errors of failed calls."""

    def __init__(self, results: list[Any], prompts: list[Any], elapsed: float) -> None:
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
            describe("Results", expected="what Call At Once or Wait For Calls returned", got=shown_kind(value))
        )
    if isinstance(value, Results):
        return value
    if None in value:
        raise CheckFailure(
            describe(
                "Results",
                expected="what calls returned",
                got=f"None in place {value.index(None)}",
                hint="is a variable unset?",
            )
        )
    return Results(list(value), [], 0.0)


def _percent(rate: str) -> float:
    text = str(rate).strip()
    try:
        return float(text.removesuffix("%")) * (1 if text.endswith("%") else 100)
    except ValueError:
        raise CheckFailure(f"Success rate: expected a share such as 80 % or 0.8, got '{rate}'.") from None


def _each(arguments: tuple[Any, ...]) -> list[Any]:
    """What is asked by each call: every text of a list, or the one first argument."""
    if not arguments:
        return [None]
    first = arguments[0]
    if isinstance(first, str):
        try:
            read = json.loads(first)
        except (ValueError, RecursionError):
            return [first]
        first = read if isinstance(read, list) and all(isinstance(item, str) for item in read) else first
    if isinstance(first, list | tuple) and not any(isinstance(item, dict) for item in first):
        return list(first)
    return [first]


def _as_asked(argument: str | None, first: Any) -> list[Any]:
    if first is None:
        return []
    # As a message: text by itself would be read as JSON where it looks like it.
    return [[{"role": "user", "content": first}] if argument == "messages" and isinstance(first, str) else first]


def _result(call: BackgroundCall) -> Any:
    """What a call gave, or the error that it raised where that says how the server answered."""
    try:
        return call.result()
    except InferenceError as error:
        return error


class ConcurrencyKeywords(CallGroup):
    """Load of the functional kind."""

    @keyword(tags=["chat", "stream"])
    def call_at_once(
        self, name: str, *arguments: Any, count: int = 1, allow_failures: bool = False, **named: Any
    ) -> Results:
        """Make several calls at the same time, each on a connection of its own.

        Calls of different kinds are started by [Start Call] and awaited by [Wait For Calls].

        Args:
            name: The keyword that calls: [Chat], [Stream Chat], [Execute Job], or any other.
            arguments: Its arguments. Where the first is a list of texts, one call is made for each of them.
            count: How often each is called.
            allow_failures: Whether to return the errors of failed calls instead of failing.
            named: Its named arguments.

        Returns:
            What each gave, in order; with `allow_failures` an error in the place of a failed one.

        Raises:
            CheckFailure: A call failed, or there was nothing to call.
            ValueError: No keyword of that name calls a server.

        Example:
        ```robotframework
        *** Test Cases ***
        Ten At Once
            Start Server    simulator
            ${replies} =    Call At Once    Chat    What is the capital of France?    count=10    max_tokens=8
            Length Should Be    ${replies}    10
        ```
        """
        from InferenceLibrary.client.background import BackgroundCall
        from InferenceLibrary.deadline import Deadline
        from InferenceLibrary.keywords.shared.calling_keywords import CallingKeyword

        found = CallingKeyword(self, name)
        asked = [item for item in _each(arguments) for _ in range(count)]
        if not asked:
            raise CheckFailure("There is nothing to ask: expected at least one text and a count of at least 1.")
        calls: list[BackgroundCall] = []
        try:
            for number, first in enumerate(asked):
                make = found.with_arguments([*_as_asked(found.first_argument, first), *arguments[1:]], named)
                calls.append(BackgroundCall(f"{found.name} {number}", in_background(make), held=True))
            for call in calls:
                call.wait_for_begin()
            deadline = Deadline(0.0)
            for call in calls:
                call.release()
            for call in calls:
                call.wait_for_end()
        except BaseException:
            for call in calls:
                call.cancel()
            raise
        return self._results_of(f"calls of {found.name} at once", calls, asked, deadline.elapsed, allow_failures)

    @keyword(tags=["chat", "stream", "wait"])
    def wait_for_calls(
        self, *calls: Any, timeout: timedelta = timedelta(seconds=60), allow_failures: bool = False
    ) -> Results:
        """Wait for the ends of calls under way, and return what they gave.

        Args:
            calls: Aliases or handles of [Start Call]; all that are under way when none is given.
            timeout: Longest wait for all of them.
            allow_failures: Whether to return the errors of failed calls instead of failing.

        Returns:
            What each gave, in order; with `allow_failures` an error in the place of a failed one.

        Raises:
            CheckFailure: A call failed, did not end in time, or there is none.

        Example:
        ```robotframework
        *** Test Cases ***
        Of Three Kinds
            Start Server    simulator
            Start Call    Stream Chat    What is the capital of France?
            Start Call    Complete    What is the capital of Italy?    max_tokens=20
            Start Call    Create Embeddings    a text
            ${results} =    Wait For Calls
            All Requests Should Succeed    ${results}
        ```
        """
        from InferenceLibrary.deadline import Deadline

        found = [self.context.calls.get(call) for call in calls] if calls else list(self.context.calls)
        if not found:
            raise CheckFailure(
                "There is nothing to wait for: expected calls under way, got none. Hint: use Start Call."
            )
        deadline = Deadline(timeout.total_seconds())
        late = [call for call in found if not call.wait_for_end(deadline.remaining)]
        if late:
            raise CheckFailure(
                f"{len(late)} of {len(found)} calls have not ended within {milliseconds(timeout.total_seconds())}; the "
                f"first: {late[0]}."
            )
        for call in found:
            self.context.calls.close(call)
        return self._results_of("calls", found, [call.name for call in found], deadline.elapsed, allow_failures)

    @keyword(tags=["chat", "assertion"])
    def all_requests_should_succeed(self, results: Any, *, within: timedelta | None = None) -> None:
        """Check that every call of [Call At Once] or [Wait For Calls] succeeded.

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
            ${results} =    Call At Once    Chat    Hello    count=10    allow_failures=True
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
        self.log.info(f"Requests at once: {results}.")

    @keyword(tags=["chat", "assertion"])
    def success_rate_should_be_at_least(self, results: Any, rate: str) -> None:
        """Check which part of the calls of [Call At Once] or [Wait For Calls] succeeded.

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
            ${results} =    Call At Once    Chat    Hello    count=10    allow_failures=True
            Success Rate Should Be At Least    ${results}    80 %
        ```
        """
        self._rate(results, _percent(rate))

    @keyword(tags=["chat", "assertion"])
    def only_these_statuses_should_occur(self, results: Any, *statuses: int) -> None:
        """Check that the calls of [Call At Once] or [Wait For Calls] ended in these HTTP statuses and no others.

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
            ${results} =    Call At Once    Chat    Hello    count=5    allow_failures=True
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
            results: What [Call At Once] or [Wait For Calls] returned.

        Raises:
            CheckFailure: An answer lacks its prompt, holds another one, or shares its id.

        Example:
        ```robotframework
        *** Test Cases ***
        Nothing Is Mixed Up
            Start Server    simulator    mode=echo    scenario=
            ${prompts} =    Evaluate    [f'message number {n}.' for n in range(20)]
            ${results} =    Call At Once    Stream Chat    ${prompts}
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
                raise CheckFailure(f"Isolation: expected '{prompt}' in answer {number}, got '{cut(result.text, 200)}'.")
            strange = [other for other in results.prompts if other not in prompt and other in result.text]
            if strange:
                raise CheckFailure(f"Isolation: answer {number} to '{prompt}' holds that of '{strange[0]}'.")
            if result.id is not None and ids.setdefault(result.id, number) != number:
                raise CheckFailure(f"Isolation: answers {ids[result.id]} and {number} share the id '{result.id}'.")
        self.log.info(f"{len(results)} answers, each to its own request.")

    def _results_of(
        self, what: str, calls: list[BackgroundCall], asked: list[Any], elapsed: float, allow_failures: bool
    ) -> Results:
        """Judge and log calls that have ended.

        Raises:
            CheckFailure: One failed, where that is not allowed; or they broke rules of the wire that fail them.
        """
        from InferenceLibrary.keywords.shared.evidence import show_call
        from InferenceLibrary.keywords.shared.judging import joined, judged, refuse_broken

        results = Results([_result(call) for call in calls], asked, elapsed)
        outcomes = [outcome for call in calls for outcome in call.outcomes if outcome.exchange is not None]
        verdicts = [judged(self.context, one.call.server, one.exchange, one.call.rules) for one in outcomes]
        verdict = joined(verdicts)
        slowest = max((one.exchange.elapsed for one in outcomes if one.error is None), default=None)
        where = ", ".join(dict.fromkeys(one.call.server.name for one in outcomes)) or "no server"
        self.log.info(
            f"{len(results)} {what} on {where}: {len(results) - len(results.failures)} answered, "
            f"{len(results.failures)} failed, slowest after {milliseconds(slowest)}{verdict}"
        )
        for prompt, result in zip(asked, results, strict=True):
            self.log.debug(f"{prompt!r} -> {result}")
        failures = results.failures
        if failures and not allow_failures:
            failed = {id(getattr(failure, "exchange", None)) for failure in failures[:_SHOWN]}
            for one, its in zip(outcomes, verdicts, strict=True):
                if id(one.exchange) in failed:
                    show_call(self.context, one.exchange, its)
            raise CheckFailure(f"{len(failures)} of {len(results)} {what} failed; the first: {failures[0]}")
        for server, rules in dict.fromkeys((one.call.server, one.call.rules) for one in outcomes):
            of_these = [its for one, its in zip(outcomes, verdicts, strict=True) if one.call.server is server]
            refuse_broken(self.context, what, server, joined(of_these), rules)
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
