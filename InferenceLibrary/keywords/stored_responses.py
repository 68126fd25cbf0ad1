"""Keywords on answers of the Responses API that the server keeps: asked for again, awaited, cancelled."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import quote

from robot.api.deco import keyword

from InferenceLibrary.client.answers import Reply
from InferenceLibrary.errors import CheckFailure, describe, refuse_empty
from InferenceLibrary.keywords.shared.calling import CallGroup
from InferenceLibrary.keywords.shared.shared_arguments import SENDING, takes
from InferenceLibrary.protocol.paths import RESPONSES

_FINAL = frozenset({"completed", "failed", "cancelled", "incomplete"})
"""States that a response does not leave."""


class StoredResponseKeywords(CallGroup):
    """Responses by their id."""

    @keyword(tags=["responses", "call"])
    @takes(SENDING)
    def get_response(self, response: Any, **options: Any) -> Reply:
        """Ask for a stored answer of the Responses API as it stands now (`GET /v1/responses/ID`).

        Args:
            response: Its id, or the reply or stream that it began with.

        Returns:
            The reply, as from [Respond]; its finish reason is the status once the answer is final.

        Raises:
            RequestError: No answer in time, or another status than 200.
            ValueError: It has no id.

        Example:
        ```robotframework
        *** Test Cases ***
        Kept
            Start Server    simulator
            ${reply} =    Respond    What is the capital of France?
            ${again} =    Get Response    ${reply}
            Answers Should Agree    ${reply}    ${again}
        ```
        """
        path = _path_of(response)
        call = self._call(options)
        return self._made("stored response", call, lambda: call.server.client.send("GET", path, sending=call.sending))

    @keyword(tags=["responses", "call"])
    @takes(SENDING)
    def cancel_response(self, response: Any, **options: Any) -> Reply:
        """Have a server cancel an answer that it makes in the background (`POST /v1/responses/ID/cancel`).

        Args:
            response: Its id, or the reply that it began with.

        Returns:
            The reply: the response as it stands now.

        Raises:
            RequestError: No answer in time, or the server refuses.
            ValueError: It has no id.

        Example:
        ```robotframework
        *** Test Cases ***
        Enough
            Start Server    simulator    time_to_first_token=5 s
            ${reply} =    Respond    Hello    extra={"background": true}
            Cancel Response    ${reply}
            Wait Until Response Is    ${reply}    cancelled
        ```
        """
        path = f"{_path_of(response)}/cancel"
        call = self._call(options)
        return self._made("cancelling", call, lambda: call.server.client.send("POST", path, sending=call.sending))

    @keyword(tags=["responses", "wait", "assertion"])
    def wait_until_response_is(
        self, response: Any, status: str, *, within: timedelta = timedelta(seconds=10), server: Any = None
    ) -> Reply:
        """Wait until a stored answer of the Responses API has a status.

        Args:
            response: Its id, or the reply that it began with.
            status: `queued`, `in_progress`, `completed`, `incomplete`, `failed` or `cancelled`.
            within: How long to wait; a final status that is another one ends the wait at once.
            server: Alias, handle or object; None for the current one.

        Returns:
            The last reply.

        Raises:
            CheckFailure: It does not get that status in time, or has got another one for good.
            RequestError: No answer in time, or another status of HTTP than 200: there is no such response.
            ValueError: It has no id.

        Example:
        ```robotframework
        *** Test Cases ***
        In The Background
            Start Server    simulator
            ${reply} =    Respond    What is the capital of France?    extra={"background": true}
            ${reply} =    Wait Until Response Is    ${reply}    completed    within=5 s
            Get Answer Value    ${reply}    output.0.type    ==    message
        ```
        """
        from InferenceLibrary.deadline import Deadline, wait_until

        refuse_empty("the status", status)
        path = _path_of(response)
        call = self._call({"server": server})
        deadline = Deadline(within.total_seconds())
        seen: list[tuple[Reply, Any]] = []

        def settled() -> bool:
            reply = call.server.client.send("GET", path, sending=call.sending)
            seen.append((reply, reply.json.get("status") if isinstance(reply.json, dict) else None))
            return seen[-1][1] == status or seen[-1][1] in _FINAL

        wait_until(settled, deadline, first=0.01, longest=0.2)
        reply, found = seen[-1]
        if found != status:
            raise CheckFailure(
                describe(
                    f"Response {path.rpartition('/')[2]} has another status",
                    expected=status,
                    got=str(found),
                    after=deadline.elapsed,
                )
            )
        self.log.info(f"Response {path.rpartition('/')[2]} is {status} after {len(seen)} looks: {reply}")
        return reply


def _path_of(response: Any) -> str:
    """Return the path of a stored response: of its id, or of the answer that has the id.

    Raises:
        ValueError: There is no id.
    """
    found = response if isinstance(response, str) else getattr(response, "id", None)
    if not isinstance(found, str) or not found:
        raise ValueError(f"Expected the id of a response or a reply that has one, got {response!r}.")
    return f"{RESPONSES}/{quote(found, safe='')}"
