"""Several limits of one call: the tighter one holds and is named."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from wire_server import HOLD, STREAM_HEAD, WireServer, delta, piece

from InferenceLibrary.client.http import Client
from InferenceLibrary.client.limits import Limits
from InferenceLibrary.errors import RequestError, StreamError

HELLO = [{"role": "user", "content": "Hi"}]
BEGUN = [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1", HOLD]


@pytest.mark.parametrize(
    ("script", "limits", "message"),
    [
        ([HOLD], Limits(total=0.3, first_byte=9), "total time limit of 0.3 s"),
        ([HOLD], Limits(total=9, first_byte=0.3), "first-byte limit of 0.3 s"),
        (BEGUN, Limits(total=0.3, between=9), "total time limit of 0.3 s"),
        (BEGUN, Limits(total=9, between=0.3), "between-reads limit of 0.3 s"),
        (BEGUN, Limits(total=0.3, first_byte=9, between=9), "total time limit of 0.3 s"),
    ],
)
def test_the_tighter_limit_of_a_call_holds(
    wire: Callable[..., WireServer],
    script: list,
    limits: Limits,
    message: str,  # type: ignore[type-arg]
) -> None:
    client = Client(wire(script).url, limits=limits)
    with pytest.raises(RequestError) as caught:
        client.send("GET", "/x")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (Limits(total=0.3, between=9), "no end within the total time limit of 0.3 s"),
        (Limits(total=9, between=0.3), "no end within the between-events limit of 0.3 s"),
    ],
)
def test_the_tighter_limit_of_a_stream_holds(wire: Callable[..., WireServer], limits: Limits, message: str) -> None:
    client = Client(wire([STREAM_HEAD, piece(delta("Hel")), HOLD]).url, limits=limits)
    with pytest.raises(StreamError) as caught:
        client.stream_chat(HELLO)
    assert message in str(caught.value)


def test_the_limit_of_streams_goes_before_that_of_calls(wire: Callable[..., WireServer]) -> None:
    server = wire([STREAM_HEAD, piece(delta("Hel")), HOLD])
    client = Client(server.url, limits=Limits(total=9), stream_limits=Limits(total=0.3))
    with pytest.raises(StreamError, match=r"total time limit of 0\.3 s"):
        client.stream_chat(HELLO)
