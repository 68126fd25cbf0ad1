"""Keywords on retries: the policy, and checks of what was tried again."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from robot.api.deco import keyword

from InferenceLibrary.client.answers import Reply
from InferenceLibrary.client.streams import Stream
from InferenceLibrary.errors import CheckFailure, RequestError, StreamError, describe
from InferenceLibrary.keywords.shared.base import KeywordGroup
from InferenceLibrary.types import shown_kind

if TYPE_CHECKING:
    from InferenceLibrary.protocol.exchange import Attempt


class RetryKeywords(KeywordGroup):
    """When a failed call is made again."""

    @keyword(tags=["chat"])
    def use_retry_policy(
        self,
        *,
        max_retries: int,
        initial_backoff: timedelta = timedelta(seconds=1),
        max_backoff: timedelta = timedelta(seconds=60),
        backoff_factor: float = 2.0,
        jitter: float = 0.1,
        server: Any = None,
    ) -> None:
        """Set how failed calls to a server are made again. Without it none is.

        The wait before retry k (from 0) is `min(initial_backoff * backoff_factor^k, max_backoff) * (1 ± jitter)`; a
        `Retry-After` header that asks for longer is obeyed. Status 429, 5xx and missing answers are retried, also where
        `expected_status` expects them in the end, within the time limit of the call.

        Args:
            max_retries: Retries beyond the first attempt; 0 turns retrying off.
            initial_backoff: Wait before the first retry.
            max_backoff: Longest wait.
            backoff_factor: Growth from wait to wait, 1 or more.
            jitter: Random part of a wait, 0 to 1.
            server: Alias, handle or object; None for the current one.

        Raises:
            ValueError: The policy is contradictory; the message names what is wrong.

        Example:
        ```robotframework
        *** Test Cases ***
        Third Time Lucky
            Start Server    simulator    fault=status:code=503,first=2
            Use Retry Policy    max_retries=2    initial_backoff=10 ms
            ${reply} =    Chat    Hello
            Attempts Should Be    ${reply}    3
        ```
        """
        from InferenceLibrary.client.retry import RetryPolicy

        found = self.context.servers.get(server)
        found.client.retry = RetryPolicy(
            max_retries=max_retries,
            initial_backoff=initial_backoff.total_seconds(),
            max_backoff=max_backoff.total_seconds(),
            backoff_factor=backoff_factor,
            jitter=jitter,
        )
        self.log.info(f"Calls to {found.name}: {found.client.retry}.")

    @keyword(tags=["chat", "assertion"])
    def attempts_should_be(self, answer: Any, expected: int) -> None:
        """Check how many attempts a call took.

        Args:
            answer: A reply, a stream, or the error of a call with `expected_status=failure`.
            expected: Attempts, the first one included.

        Raises:
            CheckFailure: It took more or fewer; the message lists them.

        Example:
        ```robotframework
        *** Test Cases ***
        First Try
            Start Server    simulator
            ${reply} =    Chat    Hello
            Attempts Should Be    ${reply}    1
        ```
        """
        attempts = _attempts_of(answer)
        if len(attempts) != expected:
            raise CheckFailure(f"Expected {expected} attempts, got {len(attempts)}:\n{_listed(attempts)}")
        self.log.info(f"Attempts: {expected}\n{_listed(attempts)}")

    @keyword(tags=["chat", "assertion"])
    def backoff_should_follow_the_policy(self, answer: Any, *, server: Any = None) -> None:
        """Check the recorded waits between attempts against the server's retry policy.

        Wait k (from 0) must lie within `min(initial_backoff * backoff_factor^k, max_backoff) * (1 ± jitter)`, or be
        what a longer `Retry-After` asked for; the attempts must truly lie so far apart, and be no more than the policy
        allows.

        Args:
            answer: A reply or stream that took several attempts, or the error of a call with `expected_status=failure`.
            server: The server that was called: alias, handle or object; None for the current one.

        Raises:
            CheckFailure: There was only one attempt, or a wait differs; the message lists the attempts.

        Example:
        ```robotframework
        *** Test Cases ***
        Patience
            Start Server    simulator    fault=status:code=503,first=2
            Use Retry Policy    max_retries=2    initial_backoff=20 ms    jitter=0.2
            ${reply} =    Chat    Hello
            Backoff Should Follow The Policy    ${reply}
        ```
        """
        attempts = _attempts_of(answer)
        policy = self.context.servers.get(server).client.retry
        if len(attempts) < 2:
            raise CheckFailure(f"Backoff: expected at least two attempts, got {len(attempts)}:\n{_listed(attempts)}")
        deviations = policy.deviations(attempts)
        if deviations:
            raise CheckFailure(f"Backoff: {'; '.join(deviations)}. The attempts:\n{_listed(attempts)}")
        waits = ", ".join(f"{attempt.wait * 1000:.0f} ms" for attempt in attempts[:-1])
        self.log.info(f"The waits {waits} follow {policy}.")


def _attempts_of(answer: Any) -> tuple[Attempt, ...]:
    if not isinstance(answer, Reply | Stream | RequestError | StreamError):
        raise CheckFailure(
            describe(
                "Attempts",
                expected="a reply, a stream or the error of a call that failed",
                got=shown_kind(answer),
            )
        )
    return answer.attempts


def _listed(attempts: tuple[Attempt, ...]) -> str:
    return "\n".join(f"    {attempt}" for attempt in attempts)
