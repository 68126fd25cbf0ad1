"""The client against exact bytes: what it sends, what it understands, what it refuses, and its limits."""

import json
import threading
import time

import pytest
from alarm import Interruption, interruption
from wire_server import DONE, END_OF_BODY, HOLD, RESET, STREAM_HEAD, answer, delta, piece

from InferenceLibrary.client.http import Client
from InferenceLibrary.client.limits import Limits
from InferenceLibrary.client.retry import RetryPolicy
from InferenceLibrary.client.sending import Sending
from InferenceLibrary.errors import RequestError, StreamError
from InferenceLibrary.protocol.statuses import Statuses
from InferenceLibrary.redaction import Redactor

HELLO = [{"role": "user", "content": "Hi"}]
REPLY = json.dumps(
    {
        "id": "c-1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }
)
QUICK = RetryPolicy(max_retries=2, initial_backoff=0.01, jitter=0)


def sent(server) -> dict:
    return json.loads(server.requests[-1].partition(b"\r\n\r\n")[2])


def test_a_chat_is_sent_and_read(wire):
    server = wire([answer(REPLY)])
    reply = Client(server.url, model="m").chat(HELLO, max_tokens=5, stop=["x"], extra={"top_k": 1, "max_tokens": 6})
    assert sent(server) == {"messages": HELLO, "model": "m", "max_tokens": 6, "stop": ["x"], "top_k": 1}
    assert (reply.text, reply.finish_reason, reply.usage.total_tokens, reply.role) == ("Hello", "stop", 2, "assistant")
    assert str(reply).startswith("200 in ")
    assert '"Hello" (stop, 1 + 1 = 2 tokens)' in str(reply)
    assert "\n" not in str(reply)


def test_a_base_url_may_end_with_v1(wire):
    server = wire([answer(REPLY)])
    Client(server.url + "/v1/").chat(HELLO)
    assert server.requests[0].startswith(b"POST /v1/chat/completions ")


def test_a_key_is_sent_and_kept_out_of_errors(wire):
    server = wire([answer('{"error": {"message": "Incorrect key sk-very-secret given"}}', "401 Unauthorized")])
    redact = Redactor()
    client = Client(server.url, api_key="sk-very-secret", redact=redact)
    with pytest.raises(RequestError) as caught:
        client.chat(HELLO)
    assert b"authorization: bearer sk-very-secret" in server.requests[0].lower()
    assert "sk-very-secret" not in f"{caught.value}{caught.value.body}{client!r}"
    assert "Incorrect key *** given" in str(caught.value)


def test_a_refusal_names_status_and_reason(wire):
    server = wire([answer('{"error": {"message": "no such model", "code": 404}}', "404 Not Found")])
    with pytest.raises(RequestError) as caught:
        Client(server.url, name="sim").chat(HELLO)
    error = caught.value
    assert (error.status, len(error.attempts)) == (404, 1)
    assert f"POST {server.url}/v1/chat/completions of server 'sim' failed: expected status 200" in str(error)
    assert "got 404: no such model (code 404)" in str(error)


MODEL_LIST = '{"object": "list", "data": [{"id": "phi-4"}, {"id": "llama"}]}'


@pytest.mark.parametrize(
    ("status", "model", "hint"),
    [
        (
            "404 Not Found",
            "phi-5",
            "Hint: the server lists phi-4, llama. Did you mean 'phi-4'? Give one of these names",
        ),
        ("400 Bad Request", "x", "Hint: the server lists phi-4, llama. Give one of these names with model=."),
        ("404 Not Found", "phi-4", ""),
        ("500 Internal Server Error", "phi-5", ""),
    ],
)
def test_a_model_that_is_not_listed_is_told_with_those_that_are(wire, status, model, hint):
    refusal = answer('{"error": {"message": "no such model"}}', status)
    server = wire([answer(MODEL_LIST)], [refusal])
    client = Client(server.url, model=model)
    client.models()
    with pytest.raises(RequestError) as caught:
        client.chat(HELLO)
    assert (hint in str(caught.value)) if hint else ("Hint" not in str(caught.value))


def test_the_list_is_asked_for_once_where_a_model_is_not_found(wire):
    refusal = answer('{"error": {"message": "no such model"}}', "404 Not Found")
    server = wire([refusal], [answer(MODEL_LIST)], [refusal], [refusal])
    client = Client(server.url, model="phi-5")
    for _ in range(2):
        with pytest.raises(RequestError, match=r"the server lists phi-4, llama\. Did you mean 'phi-4'\?"):
            client.chat(HELLO)
    assert client.listed is None, "rules hold answers to the list that the test asked for"


def test_without_a_list_nothing_is_said_of_it_nor_is_it_asked_for_again(wire):
    refusal = answer('{"error": {"message": "no such model"}}', "404 Not Found")
    server = wire([refusal], [refusal], [refusal])
    client = Client(server.url, model="phi-5")
    for _ in range(2):
        with pytest.raises(RequestError, match="got 404: no such model") as caught:
            client.chat(HELLO)
        assert "Hint" not in str(caught.value)
    assert len(server.requests) == 3


def test_an_expected_refusal_is_a_reply(wire):
    server = wire([answer('{"detail": "bad"}', "422 Unprocessable Entity")])
    reply = Client(server.url).chat(HELLO, Sending(expected_status=Statuses(422)))
    assert (reply.status, reply.error.message) == (422, "bad")


@pytest.mark.parametrize(
    ("body", "content_type", "got"),
    [
        ("<html>Bad gateway</html>", "text/html", "text/html: '<html>"),
        ("[1]", "application/json", "application/json: '[1]'"),
        ("", "text/plain", "text/plain: ''"),
    ],
)
def test_an_answer_that_is_no_json_object_is_refused(wire, body, content_type, got):
    server = wire([answer(body, content_type=content_type)])
    with pytest.raises(RequestError, match="expected a JSON object") as caught:
        Client(server.url).chat(HELLO)
    assert got in str(caught.value)


def test_nobody_there(wire):
    server = wire([b""])
    server.close()
    with pytest.raises(RequestError) as caught:
        Client(server.url).chat(HELLO)
    assert "expected an answer, got connection refused" in str(caught.value)
    assert "Hint: is a server running there?" in str(caught.value)
    assert caught.value.status is None


@pytest.mark.parametrize(
    ("script", "got"),
    [
        ([b""], "a connection closed without an answer"),
        ([RESET], "a connection reset"),
        (
            [b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345"],
            "peer closed connection without sending complete message",
        ),
        ([b"nonsense\r\n\r\n"], r"an answer that is not HTTP/1: b'nonsense"),
    ],
)
def test_an_answer_that_breaks_off_is_told(wire, script, got):
    with pytest.raises(RequestError) as caught:
        Client(wire(script).url).send("GET", "/health")
    assert got in str(caught.value)


def test_a_list_of_models_is_demanded(wire):
    assert Client(wire([answer('{"data": [{"id": "a"}, {"id": "b"}]}')]).url).models() == ["a", "b"]
    with pytest.raises(RequestError, match="expected a list of models"):
        Client(wire([answer('{"models": []}')]).url).models()


@pytest.mark.parametrize(
    ("script", "limits", "message"),
    [
        ([HOLD], Limits(total=0.2), "no answer within the total time limit of 0.2 s"),
        ([HOLD], Limits(total=30, first_byte=0.2), "no answer within the first-byte limit of 0.2 s"),
        (
            [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1", HOLD],
            Limits(total=30, between=0.2),
            "an answer cut by the between-reads limit of 0.2 s",
        ),
        (
            [b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"] + [b"1", 0.05] * 99,
            Limits(total=0.3),
            "an answer cut by the total time limit of 0.3 s",
        ),
        ([b"HTTP/1.1 200 OK\r\nX: "] + [b"1", 0.05] * 99, Limits(total=0.3), "total time limit of 0.3 s"),
        ([answer("x" * 2000)], Limits(body=1000), "a body beyond the limit of 1,000 bytes"),
    ],
)
def test_every_limit_is_kept_and_named(wire, script, limits, message):
    with pytest.raises(RequestError) as caught:
        Client(wire(script).url, limits=limits).send("GET", "/x")
    assert message in str(caught.value)


def test_retries_are_off_by_default(wire):
    server = wire([answer("{}", "503 Service Unavailable")], [answer(REPLY)])
    with pytest.raises(RequestError, match="got 503"):
        Client(server.url).chat(HELLO)
    assert server.connections == 1


def test_retries_overcome_a_passing_failure(wire):
    server = wire([answer("{}", "503 Service Unavailable")], [RESET], [answer(REPLY)])
    reply = Client(server.url, retry=QUICK).chat(HELLO)
    assert [(a.status, bool(a.error)) for a in reply.attempts] == [(503, False), (None, True), (200, False)]
    assert [a.wait for a in reply.attempts] == [0.01, 0.02, 0.0]
    assert server.connections == 3


def test_retries_end(wire):
    server = wire([answer("{}", "500 Internal Server Error")])
    with pytest.raises(RequestError, match=r"got 500: .* in 3 attempts") as caught:
        Client(server.url, retry=QUICK).chat(HELLO)
    assert len(caught.value.attempts) == server.connections == 3


@pytest.mark.parametrize("status", ["400 Bad Request", "401 Unauthorized", "404 Not Found", "422 Unprocessable"])
def test_a_refusal_is_not_tried_again(wire, status):
    server = wire([answer("{}", status)])
    with pytest.raises(RequestError):
        Client(server.url, retry=QUICK).chat(HELLO)
    assert server.connections == 1


def test_retry_after_is_obeyed(wire):
    server = wire([answer("{}", "429 Too Many Requests", headers="Retry-After: 1\r\n")], [answer(REPLY)])
    reply = Client(server.url, retry=QUICK).chat(HELLO)
    assert reply.attempts[0].wait == 1.0


def test_no_retry_that_the_time_limit_forbids(wire):
    server = wire([answer("{}", "429 Too Many Requests", headers="Retry-After: 3600\r\n")])
    with pytest.raises(RequestError, match="got 429"):
        Client(server.url, retry=QUICK, limits=Limits(total=5)).chat(HELLO)
    assert server.connections == 1


def test_each_call_has_a_connection_of_its_own(wire):
    server = wire([answer(REPLY)], keep_alive=True)
    client = Client(server.url)
    for _ in range(3):
        client.chat(HELLO)
    assert server.connections == len(server.requests) == 3


def test_a_server_that_lies_about_keep_alive_is_borne(wire):
    """It advertises keep-alive and closes the connection after each answer all the same."""
    server = wire([answer(REPLY, headers="Connection: keep-alive\r\n")])
    client = Client(server.url)
    assert [client.chat(HELLO).text for _ in range(5)] == ["Hello"] * 5
    assert server.connections == 5


def test_a_fresh_connection_that_dies_is_an_error(wire):
    server = wire([RESET])
    with pytest.raises(RequestError):
        Client(server.url).chat(HELLO)
    assert server.connections == 1


def whole(*events: str) -> list[bytes]:
    return [STREAM_HEAD, *[piece(event) for event in events], END_OF_BODY]


UNFRAMED_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"


@pytest.mark.parametrize(
    ("script", "asked"),
    [
        (whole(delta("Hel"), "data: {\n\n"), False),
        (whole(delta("Hel")), False),
        ([STREAM_HEAD, piece(delta("Hel")), RESET], True),
        ([STREAM_HEAD, piece(delta("Hel"))], True),
        ([UNFRAMED_HEAD, delta("Hel").encode()], True),
        ([STREAM_HEAD, piece(delta("Hel")), HOLD], False),
    ],
    ids=["not JSON", "no end", "reset", "closed", "closed without framing", "silent"],
)
def test_only_a_broken_connection_makes_us_look_whether_the_server_has_died(wire, script, asked):
    waits = []

    def state(patience: float) -> tuple[str | None, list[str]]:
        waits.append(patience)
        return None, []

    client = Client(wire(script).url, state=state, limits=Limits(total=5, between=0.2))
    with pytest.raises(StreamError):
        client.stream_chat(HELLO)
    assert [wait > 0 for wait in waits] == [asked]


def test_a_stream_is_recorded(wire):
    usage = 'data: {"id":"c-1","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}\n\n'
    events = [delta("", role="assistant"), delta("Hel"), delta("lo"), delta(finish="stop"), usage, DONE]
    server = wire(whole(*events))
    stream = Client(server.url).stream_chat(HELLO, include_usage=True)
    assert sent(server) == {"messages": HELLO, "stream": True, "stream_options": {"include_usage": True}}
    assert (stream.text, stream.finish_reason, stream.usage.total_tokens) == ("Hello", "stop", 3)
    assert stream.ended_with_done
    assert len(stream.chunks) == 6
    assert len(stream.tokens) == 2
    assert stream.ids == ["c-1"]
    assert stream.raw == "".join(events).encode()
    assert stream.broken is None
    assert 0 < stream.time_to_first_token <= stream.elapsed


def test_arrivals_are_those_of_the_reads(wire):
    server = wire(
        [
            STREAM_HEAD,
            piece(delta("", role="assistant")),
            0.15,
            piece(delta("a")),
            0.15,
            piece(delta("b", finish="stop") + DONE),
            END_OF_BODY,
        ]
    )
    stream = Client(server.url).stream_chat(HELLO)
    assert stream.time_to_first_token >= 0.14, "the role chunk does not count"
    assert len(stream.gaps) == 1
    # A reader that is late for the first token sees a shorter gap, never an earlier end.
    assert stream.time_to_first_token + stream.gaps[0] >= 0.29
    assert stream.chunks[-2].arrival == stream.chunks[-1].arrival, "two events of one read arrived together"


def test_characters_cut_by_the_network_are_whole(wire):
    raw = (delta("漢字👩‍🚀", finish="stop") + DONE).encode()
    server = wire([STREAM_HEAD] + [part for byte in raw for part in (piece(bytes([byte])),)] + [END_OF_BODY])
    assert Client(server.url).stream_chat(HELLO).text == "漢字👩‍🚀"


@pytest.mark.parametrize(
    ("script", "got"),
    [
        ([STREAM_HEAD, piece(delta("Hel"))], "a connection that broke off"),
        ([STREAM_HEAD, piece(delta("Hel")), 0.1, RESET], "a connection that broke off (a connection reset)"),
        ([STREAM_HEAD, piece(delta("Hel")), piece('data: {"id"'), END_OF_BODY], "an end inside an event"),
        (whole(delta("Hel")), "an end with neither a finish reason nor [DONE]"),
        (whole(delta("Hel"), 'data: {"error": {"message": "engine died"}}\n\n'), "an error event: engine died"),
        (whole(": keep-alive\n\n"), "an end without any event"),
    ],
)
def test_a_stream_that_is_cut_is_an_error(wire, script, got):
    with pytest.raises(StreamError, match="expected a stream with a proper end") as caught:
        Client(wire(script).url).stream_chat(HELLO)
    assert got in str(caught.value)
    if "without any" not in got:
        assert caught.value.stream.text == "Hel", "what had arrived is kept"
        assert "'Hel'" in str(caught.value)


def test_a_cut_stream_is_returned_on_request(wire):
    stream = Client(wire(whole(delta("Hel"))).url).stream_chat(HELLO, Sending(allow_broken=True))
    assert (stream.text, stream.broken) == ("Hel", "an end with neither a finish reason nor [DONE]")
    assert not stream.ended_with_done


def test_a_missing_done_alone_is_left_to_the_check(wire):
    stream = Client(wire(whole(delta("Hel", finish="stop"))).url).stream_chat(HELLO)
    assert stream.broken is None
    assert not stream.ended_with_done


@pytest.mark.parametrize("events", [(DONE, DONE), (DONE, delta("late"))])
def test_done_must_be_the_last_and_only_one(wire, events):
    stream = Client(wire(whole(delta("a", finish="stop"), *events)).url).stream_chat(HELLO)
    assert not stream.ended_with_done


def test_json_in_place_of_a_stream_is_refused(wire):
    expected = r"expected an event stream \(text/event-stream\) or lines of JSON, got application/json"
    with pytest.raises(StreamError, match=expected):
        Client(wire([answer(REPLY)]).url).stream_chat(HELLO)


def test_a_refused_stream_is_a_request_error(wire):
    with pytest.raises(RequestError, match="expected status 200, got 404: nope"):
        Client(wire([answer('{"error": "nope"}', "404 Not Found")]).url).stream_chat(HELLO)


def test_a_stalled_stream_ends_at_its_limit(wire):
    server = wire([STREAM_HEAD, piece(delta("Hel")), HOLD])
    with pytest.raises(StreamError, match=r"no end within the total time limit of 0.3 s after 1 events"):
        Client(server.url, limits=Limits(total=0.3)).stream_chat(HELLO)


def test_a_cancelled_stream_closes_its_connection(wire):
    closed = threading.Event()

    # With longer pauses no token can follow in the same read; the answer is never waited out.
    server = wire([STREAM_HEAD] + [part for _ in range(2000) for part in (piece(delta("a")), 0.3)])
    original = server._answer

    def watch(connection, script):
        original(connection, script)
        closed.set()

    server._answer = watch
    stream = Client(server.url).stream_chat(HELLO, Sending(cancel_after=3))
    assert stream.cancelled
    assert len(stream.tokens) == 3
    assert stream.broken is None
    assert closed.wait(60), "the server never noticed"


def test_an_interruption_passes_through(wire):
    """Robot's timeouts raise in the main thread while a read waits."""
    server = wire([HOLD])
    began = time.monotonic()
    with interruption(0.2), pytest.raises(Interruption):
        Client(server.url, limits=Limits(total=60)).chat(HELLO)
    assert time.monotonic() - began < 60, "the limit of the call was waited for"


def test_a_connection_is_not_waited_for_without_end():
    assert Limits().connect == 5.0


def test_the_policy_holds_also_where_a_failure_is_expected(wire):
    server = wire([answer("{}", "503 Service Unavailable")])
    reply = Client(server.url, retry=QUICK).chat(HELLO, Sending(expected_status=Statuses(503)))
    assert (reply.status, len(reply.attempts), len(server.requests)) == (503, 3, 3)


def test_a_stream_that_hangs_says_what_had_come(wire):
    thought = piece(
        json.dumps({"choices": [{"index": 0, "delta": {"reasoning_content": "hmm"}}]}).join(["data: ", "\n\n"])
    )
    server = wire([STREAM_HEAD, thought, piece(DONE), HOLD])
    with pytest.raises(StreamError, match=r"after 2 events \('hmm', and \[DONE\]\)"):
        Client(server.url, limits=Limits(total=0.5)).stream_chat(HELLO)
