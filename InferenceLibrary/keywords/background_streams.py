"""Keywords for streams that run while the suite goes on: start, watch, cancel; and whether the server noticed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from robot.api.deco import keyword

from InferenceLibrary.client.streams import Stream
from InferenceLibrary.deadline import Deadline, wait_until
from InferenceLibrary.durations import milliseconds
from InferenceLibrary.errors import CheckFailure, RequestError, StreamError, describe
from InferenceLibrary.keywords.shared.calling import Call, CallGroup
from InferenceLibrary.keywords.shared.shared_arguments import (
    FORMAT,
    GENERATION,
    SENDING,
    STREAMING,
    TOOLS,
    takes,
)
from InferenceLibrary.protocol.paths import CHAT
from InferenceLibrary.types import Messages, to_messages

if TYPE_CHECKING:
    from InferenceLibrary.client.cancellation import Cancellation


_OURS = "streams of ours under way"


class BackgroundStreamKeywords(CallGroup):
    """Streams under way."""

    @keyword(tags=["stream", "cancel"])
    @takes(GENERATION, TOOLS, FORMAT, STREAMING, SENDING)
    def start_stream(
        self, messages: Messages, *, system: str | None = None, alias: str | None = None, **options: Any
    ) -> Any:
        """Start a streamed chat and go on at once. What is still running when its test or suite ends is cancelled.

        Args:
            messages: As for [Stream Chat], like all that is not named here.
            system: A system message put before them.
            alias: Name for [Cancel Stream] and [Wait For Stream].

        Returns:
            A handle of the stream for [Wait Until Stream Has], [Cancel Stream] and [Wait For Stream].

        Example:
        ```robotframework
        *** Test Cases ***
        Two At A Time
            Start Server    simulator    inter_token_latency=20 ms
            Start Stream    What is the capital of France?    alias=slow
            ${reply} =    Chat    What is the capital of Italy?
            ${stream} =    Wait For Stream    slow
            Answer Should Contain    ${stream}    Paris
        ```
        """
        from InferenceLibrary.client.background import BackgroundStream

        call = self._call(options, stream=True, messages=messages, system=system)

        def run(cancellation: Cancellation, watch: Callable[[Stream], None]) -> Stream:
            sending = call.sending._replace(cancellation=cancellation, watch=watch)
            return call.server.client.ask_stream(CHAT, call.question, sending)

        stream = BackgroundStream(alias or f"stream on {call.server.name}", run, call.server.client, call)
        self.context.streams.add(stream, alias)
        self.log.info(f"Started a stream on {call.server.name}: {to_messages(messages)[-1].get('content')!r}.")
        return stream

    @keyword(name="Wait Until Stream Has ${count:\\d+} Tokens", tags=["stream", "wait"])
    def wait_until_stream_has_tokens(
        self, count: int, stream: Any = None, *, timeout: timedelta = timedelta(seconds=10)
    ) -> None:
        """Wait until a stream under way has brought so many chunks with text.

        Args:
            count: Chunks with text.
            stream: Alias or handle of [Start Stream]; None for the current one.
            timeout: Longest wait.

        Raises:
            StreamError: It ended before, or they did not come in time.

        Example:
        ```robotframework
        *** Test Cases ***
        Under Way
            Start Server    simulator    inter_token_latency=20 ms
            Start Stream    What is the capital of France?
            Wait Until Stream Has 2 Tokens
            Cancel Stream
        ```
        """
        found = self.context.streams.get(stream)
        deadline = Deadline(timeout.total_seconds())
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
    def cancel_stream(self, stream: Any = None) -> Stream | None:
        """Close the connection of a stream under way, as a client does that has heard enough.

        Args:
            stream: Alias or handle of [Start Stream]; None for the current one.

        Returns:
            The stream as far as it came; None when its answer had not begun.

        Raises:
            StreamError: It had ended by itself before.

        Example:
        ```robotframework
        *** Test Cases ***
        Heard Enough
            Start Server    simulator    inter_token_latency=50 ms
            Start Stream    What is the capital of France?
            Wait Until Stream Has 1 Tokens
            ${stream} =    Cancel Stream
            Should Be True    ${stream.cancelled}
        ```
        """
        found = self.context.streams.get(stream)
        if not found.running:
            raise StreamError(
                describe(f"{found.name} cannot be cancelled", expected="a stream under way", got="one that has ended"),
                stream=found.so_far,
            )
        self.context.streams.close(found)
        self.log.info(f"Cancelled {found}.")
        call = found.about
        if found.so_far is not None and found.wait_for_end(0.0) and isinstance(call, Call):
            self._tell(found.name, call, found.so_far)
        return found.so_far

    @keyword(tags=["stream", "wait"])
    def wait_for_stream(self, stream: Any = None, *, timeout: timedelta = timedelta(seconds=60)) -> Stream:
        """Wait for the end of a stream under way and return it.

        Args:
            stream: Alias or handle of [Start Stream]; None for the current one.
            timeout: Longest wait.

        Returns:
            The stream, as from [Stream Chat].

        Raises:
            RequestError: It got no answer, or a status other than 200.
            StreamError: It broke off, or did not end in time.

        Example:
        ```robotframework
        *** Test Cases ***
        Later
            Start Server    simulator
            Start Stream    What is the capital of France?
            ${stream} =    Wait For Stream
            Stream Should End With Done    ${stream}
        ```
        """
        found = self.context.streams.get(stream)
        if not found.wait_for_end(timeout.total_seconds()):
            self.context.last_failure = StreamError(
                describe(
                    f"{found.name} has not ended",
                    expected=f"its end within {milliseconds(timeout.total_seconds())}",
                    got=f"{found.token_count} tokens so far",
                ),
                stream=found.so_far,
                category="SERVER_ERROR",
            )
            raise self.context.last_failure
        call = found.about
        assert isinstance(call, Call)
        ended = self._made(found.name, call, found.result)
        self.context.streams.close(found)
        return ended

    @keyword(tags=["server", "assertion", "cancel"])
    def server_should_be_idle(self, *, within: timedelta = timedelta(seconds=2), server: Any = None) -> None:
        """Check that a server soon has no request at work or waiting: that it noticed that its clients have gone.

        It is asked by its metrics; the profile says which of them count requests. A stream of ours that is under way
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
            last[_OURS] = sum(one.running for one in self.context.streams if one.client is found.client)
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
