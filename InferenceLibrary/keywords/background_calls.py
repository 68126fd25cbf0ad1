"""Keywords for calls that run while the suite goes on: start, watch, cancel; and whether the server noticed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from robot.api.deco import keyword

from InferenceLibrary.client.streams import Stream
from InferenceLibrary.durations import milliseconds
from InferenceLibrary.errors import CheckFailure, RequestError, StreamError, describe
from InferenceLibrary.keywords.shared.calling import CallGroup, in_background

_OURS = "calls of ours under way"


class BackgroundCallKeywords(CallGroup):
    """Calls under way."""

    @keyword(tags=["chat", "stream", "cancel"])
    def start_call(self, name: str, *arguments: Any, alias: str | None = None, **named: Any) -> Any:
        """Start a call and go on at once. What is still running when its test or suite ends is cancelled.

        Args:
            name: The keyword that calls: [Chat], [Stream Chat], [Complete], [Create Embeddings], or any other.
            arguments: Its arguments.
            alias: Name for [Cancel Call] and [Wait For Call].
            named: Its named arguments.

        Returns:
            A handle of the call for [Wait Until Call Has Tokens], [Cancel Call] and [Wait For Call].

        Raises:
            ValueError: No keyword of that name calls a server, or it cannot use its arguments.

        Example:
        ```robotframework
        *** Test Cases ***
        Two At A Time
            Start Server    simulator    inter_token_latency=20 ms
            Start Call    Stream Chat    What is the capital of France?    alias=slow
            ${reply} =    Chat    What is the capital of Italy?
            ${stream} =    Wait For Call    call=slow
            Answer Should Contain    ${stream}    Paris
        ```
        """
        from InferenceLibrary.client.background import BackgroundCall
        from InferenceLibrary.keywords.shared.calling_keywords import CallingKeyword

        found = CallingKeyword(self, name)
        make = found.with_arguments(arguments, named)

        call = BackgroundCall(alias or found.name, in_background(make))
        # What is the current server, for one, must be asked before the suite goes on.
        call.wait_for_begin()
        self.context.calls.add(call, alias)
        self.log.info(f"Started {found.name} on {call.client.name if call.client is not None else 'no server'}.")
        return call

    @keyword(tags=["stream", "wait"])
    def wait_until_call_has_tokens(
        self, count: int = 1, *, within: timedelta = timedelta(seconds=10), call: Any = None
    ) -> None:
        """Wait until a streamed call under way has brought so many chunks with text.

        Args:
            count: Chunks with text.
            within: Longest wait.
            call: Alias or handle of [Start Call]; None for the current one.

        Raises:
            StreamError: It ended before, or they did not come in time.

        Example:
        ```robotframework
        *** Test Cases ***
        Under Way
            Start Server    simulator    inter_token_latency=20 ms
            Start Call    Stream Chat    What is the capital of France?
            Wait Until Call Has Tokens    2
            Cancel Call
        ```
        """
        from InferenceLibrary.deadline import Deadline

        found = self.context.calls.get(call)
        deadline = Deadline(within.total_seconds())
        if not found.wait_for_tokens(count, deadline.budget):
            got = f"{found.token_count}, and it {'runs' if found.running else 'has ended'}"
            raise StreamError(
                describe(
                    f"{found.name} brought too little", expected=f"{count} tokens", got=got, after=deadline.elapsed
                ),
                stream=found.so_far,
            )
        self.log.info(f"{found} after {milliseconds(deadline.elapsed)} of waiting.")

    @keyword(tags=["stream", "cancel"])
    def cancel_call(self, *, call: Any = None) -> Stream | None:
        """Close the connection of a call under way, as a client does that has heard enough.

        Args:
            call: Alias or handle of [Start Call]; None for the current one.

        Returns:
            The stream as far as it came; None when its answer had not begun, or is not a stream.

        Raises:
            StreamError: It had ended by itself before.

        Example:
        ```robotframework
        *** Test Cases ***
        Heard Enough
            Start Server    simulator    inter_token_latency=50 ms
            Start Call    Stream Chat    What is the capital of France?
            Wait Until Call Has Tokens    1
            ${stream} =    Cancel Call
            Should Be True    ${stream.cancelled}
        ```
        """
        found = self.context.calls.get(call)
        if not found.running:
            raise StreamError(
                describe(f"{found.name} cannot be cancelled", expected="a call under way", got="one that has ended"),
                stream=found.so_far,
            )
        self.context.calls.close(found)
        self.log.info(f"Cancelled {found}.")
        for outcome in found.outcomes:
            if outcome.answer is not None:
                self._tell(outcome.what, outcome.call, outcome.answer)
        return found.so_far

    @keyword(tags=["chat", "stream", "wait"])
    def wait_for_call(self, *, timeout: timedelta = timedelta(seconds=60), call: Any = None) -> Any:
        """Wait for the end of a call under way and return what it gave.

        Args:
            timeout: Longest wait.
            call: Alias or handle of [Start Call]; None for the current one.

        Returns:
            What the keyword returns that was started: a reply, a stream, embeddings.

        Raises:
            RequestError: It got no answer, or another status than expected.
            StreamError: Its stream broke off; or it did not end in time.
            CheckFailure: It broke rules of the wire that fail it.

        Example:
        ```robotframework
        *** Test Cases ***
        Later
            Start Server    simulator
            Start Call    Complete    What is the capital of France?    max_tokens=5
            ${reply} =    Wait For Call
            Finish Reason Should Be    ${reply}    length
        ```
        """
        found = self.context.calls.get(call)
        if not found.wait_for_end(timeout.total_seconds()):
            raise StreamError(
                describe(
                    f"{found.name} has not ended",
                    expected=f"its end within {milliseconds(timeout.total_seconds())}",
                    got=f"{found.token_count} tokens so far",
                ),
                stream=found.so_far,
                category="SERVER_ERROR",
            )
        self.context.calls.close(found)
        self._tell_background(found)
        return found.result()

    @keyword(tags=["server", "assertion", "cancel"])
    def server_should_be_idle(self, *, within: timedelta = timedelta(seconds=2), server: Any = None) -> None:
        """Check that a server soon has no request at work or waiting: that it noticed that its clients have gone.

        It is asked by its metrics; the profile says which of them count requests. A call of ours that is under way
        counts too, since its request may not have arrived yet.

        Args:
            within: Time that it has.
            server: Alias, handle or object; None for the current one.

        Raises:
            CheckFailure: It is still at work, with the counts; or its metrics do not come within the time.
            TargetError: The profile names no metrics that would tell.

        Example:
        ```robotframework
        *** Test Cases ***
        Cancelled Work Is Dropped
            Start Server    simulator    inter_token_latency=200 ms
            Stream Chat    What is the capital of France?    cancel_after=1
            Server Should Be Idle    within=1 s
        ```
        """
        from InferenceLibrary.deadline import Deadline, wait_until
        from InferenceLibrary.servers.metrics import requests_at_work

        found = self.context.servers.get(server)
        deadline = Deadline(within.total_seconds())
        last: dict[str, float] = {}

        def idle() -> bool:
            budget = max(deadline.remaining, 0.001)
            try:
                last.update(requests_at_work(found.client, found.profile, budget))
            except RequestError as error:
                if not deadline.expired:
                    raise
                if last:
                    return False
                raise CheckFailure(
                    describe(
                        f"Whether server '{found.name}' is idle is not known",
                        expected=f"its metrics within {milliseconds(deadline.budget)}",
                        got=error.attempts[-1].error if error.attempts else "no answer",
                        after=deadline.elapsed,
                    )
                ) from None
            last[_OURS] = sum(one.running for one in self.context.calls if one.client is found.client)
            return not any(last.values())

        if not wait_until(idle, deadline):
            counts = ", ".join(f"{name} {value:g}" for name, value in last.items() if value or name != _OURS)
            raise CheckFailure(
                describe(
                    f"Server '{found.name}' is not idle",
                    expected="no request at work",
                    got=counts,
                    after=deadline.elapsed,
                )
            )
        self.log.info(f"{found.name} is idle after {milliseconds(deadline.elapsed)}.")
