"""Makes one call of a check or a probe; whatever happens, there is a record of it."""

from __future__ import annotations

from collections.abc import Mapping

from InferenceLibrary.client.http import Client
from InferenceLibrary.client.retry import RetryPolicy
from InferenceLibrary.client.sending import Sending
from InferenceLibrary.errors import RequestError, StreamError
from InferenceLibrary.protocol.exchange import Exchange
from InferenceLibrary.protocol.statuses import ANY
from InferenceLibrary.servers.probing.call import CheckCall


class _ComeAgain(RetryPolicy):
    """Only a server that says it has too many requests is asked again; every other answer is one."""

    def retries(self, status: int | None) -> bool:
        return status == 429


_COME_AGAIN = _ComeAgain(max_retries=3, initial_backoff=1.0, max_backoff=20.0)


def made(
    client: Client, call: CheckCall, model: str, headers: Mapping[str, str] | None = None, most: float | None = None
) -> Exchange:
    """Make a call; whatever happens, return its record.

    Args:
        client: Calls the server.
        call: What is asked.
        model: The model that is asked for.
        headers: Sent beside those of the call.
        most: Seconds that it may take at most; the client's limit by default.
    """
    limits = client.limits if most is None else client.limits.replace(total=min(most, client.limits.total))
    sending = Sending(
        limits=limits,
        headers={**call.headers, **(headers or {})},
        retry=_COME_AGAIN,
        expected_status=ANY,
        allow_broken=call.streamed,
    )
    path, body = call.path_for(model), call.body_for(model)
    try:
        if call.streamed:
            return client.record(path, body, sending).exchange
        return client.send(call.method, path, body, sending).exchange
    except (RequestError, StreamError) as error:
        if error.exchange is None:
            raise
        return error.exchange
