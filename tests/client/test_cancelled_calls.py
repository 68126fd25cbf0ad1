"""Calls that another thread cancels, at every stage."""

from __future__ import annotations

import threading
import time

import pytest
from wire_server import HOLD, STREAM_HEAD, answer, delta, piece

from InferenceLibrary.client.background import BackgroundCall
from InferenceLibrary.client.cancellation import Cancellation
from InferenceLibrary.client.http import Client
from InferenceLibrary.client.retry import RetryPolicy
from InferenceLibrary.client.sending import Sending
from InferenceLibrary.errors import RequestError, StreamError

HELLO = [{"role": "user", "content": "Hi"}]


def start(client):
    def run(call):
        return client.stream_chat(HELLO, Sending(cancellation=call.cancellation, watch=call.watch))

    return BackgroundCall("mine", run)


def test_a_stream_under_way_is_cancelled(wire):
    stream = start(Client(wire([STREAM_HEAD, piece(delta("a")), piece(delta("b")), HOLD]).url))
    assert stream.wait_for_tokens(2, 60)
    stream.cancel()
    assert stream.wait_for_end(60)
    ended = stream.result()
    assert ended is not None
    assert ended.cancelled
    assert ended.broken is None
    assert ended.text == "ab"


def test_a_call_without_an_answer_is_cancelled(wire):
    stream = start(Client(wire([HOLD]).url))
    assert not stream.wait_for_tokens(1, 0.1)
    stream.cancel()
    assert stream.wait_for_end(60)
    with pytest.raises(RequestError, match="a call that was cancelled") as caught:
        stream.result()
    assert caught.value.category == "UNKNOWN"


def test_a_call_that_has_not_begun_is_cancelled(wire):
    cancellation = Cancellation()
    cancellation.cancel()
    with pytest.raises(RequestError, match="cancelled"):
        Client(wire([HOLD]).url).stream_chat(HELLO, Sending(cancellation=cancellation))


def test_a_wait_between_attempts_is_cancelled(wire):
    server = wire([answer("{}", "503 Busy")])
    client = Client(server.url, retry=RetryPolicy(max_retries=3, initial_backoff=30.0, jitter=0))
    stream = start(client)
    while not server.requests:
        threading.Event().wait(0.01)
    began = time.perf_counter()
    stream.close()
    assert not stream.running
    assert time.perf_counter() - began < 30.0, "the backoff was waited out"


def test_the_end_is_waited_for_no_longer_than_asked(wire):
    stream = start(Client(wire([STREAM_HEAD, piece(delta("a")), HOLD]).url))
    assert not stream.wait_for_end(0.1)
    stream.close()


def test_a_broken_stream_is_told(wire):
    stream = start(Client(wire([STREAM_HEAD, piece(delta("a"))]).url))
    assert stream.wait_for_end(60)
    with pytest.raises(StreamError, match="broke off"):
        stream.result()


def test_a_held_call_begins_when_it_is_released(wire):
    client = Client(wire([answer("{}")]).url)
    begun = []

    def run(call):
        call.begin(client)
        begun.append(call.name)
        return "an answer"

    call = BackgroundCall("mine", run, held=True)
    call.wait_for_begin()
    assert (call.client, begun) == (client, [])
    call.release()
    assert call.wait_for_end()
    assert (call.result(), begun) == ("an answer", ["mine"])


def test_a_call_that_fails_before_it_begins_is_told():
    def run(_call):
        raise ValueError("no such thing")

    call = BackgroundCall("mine", run, held=True)
    with pytest.raises(ValueError, match="no such thing"):
        call.wait_for_begin()
