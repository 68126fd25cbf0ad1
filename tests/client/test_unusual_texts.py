"""Texts that no encoding was made for: they are sent, read or refused, and never end in another error."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from wire_server import WireServer, answer

from InferenceLibrary.client.http import Client
from InferenceLibrary.client.sending import Sending
from InferenceLibrary.errors import RequestError

HELLO = [{"role": "user", "content": "Hi"}]


@pytest.fixture
def client(wire: Callable[..., WireServer]) -> Callable[[bytes], tuple[Client, WireServer]]:
    def connect(script: bytes) -> tuple[Client, WireServer]:
        server = wire([script])
        return Client(server.url), server

    return connect


Connect = Callable[[bytes], tuple[Client, WireServer]]


def test_headers_may_hold_any_character(client: Connect) -> None:
    caller, server = client(answer("{}"))
    caller.send("GET", "/", sending=Sending(headers={"X-Name": "é漢"}))
    assert "x-name: é漢".encode() in server.requests[0].lower().replace(b"X-Name", b"x-name")


@pytest.mark.parametrize("headers", [{"X-Name": "a\r\nb: c"}, {"X é": "b"}, {"": "b"}, {"X-Name": "\0"}])
def test_headers_that_http_does_not_know_are_refused(client: Connect, headers: dict[str, str]) -> None:
    caller, _ = client(answer("{}"))
    with pytest.raises(RequestError, match=r"[Ii]llegal header"):
        caller.send("GET", "/", sending=Sending(headers=headers))


def test_half_a_character_is_sent_as_its_escape(client: Connect) -> None:
    caller, server = client(answer('{"choices": [{"message": {}}]}'))
    caller.chat([{"role": "user", "content": "\ud83d"}])
    body = server.requests[0].partition(b"\r\n\r\n")[2]
    assert b'"\\ud83d"' in body
    assert json.loads(body)["messages"][0]["content"] == "\ud83d"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (object(), "Object of type object is not JSON serializable"),
        ({1, 2}, "Object of type set is not JSON serializable"),
        (b"a", "Object of type bytes is not JSON serializable"),
        ({(1, 2): 3}, "keys must be str, int, float, bool or None, not tuple"),
    ],
)
def test_what_json_does_not_have_is_not_sent(client: Connect, value: object, reason: str) -> None:
    caller, server = client(answer("{}"))
    with pytest.raises(ValueError, match="Expected a body of texts") as error:
        caller.send("POST", "/", body={"a": value})
    assert str(error.value).endswith(f"got one that cannot be written as JSON ({reason}).")
    assert server.requests == []


def test_what_holds_itself_is_not_sent(client: Connect) -> None:
    caller, _ = client(answer("{}"))
    body: dict[str, object] = {}
    body["a"] = body
    with pytest.raises(ValueError, match=r"cannot be written as JSON \(Circular reference detected\)"):
        caller.send("POST", "/", body=body)


def test_other_text_is_sent_as_it_is(client: Connect) -> None:
    caller, server = client(answer('{"choices": [{"message": {}}]}'))
    caller.chat([{"role": "user", "content": "漢"}])
    assert "漢".encode() in server.requests[0]
    caller.send("POST", "/", body="\ud83d é")
    assert server.requests[1].endswith(b"\xed\xa0\xbd \xc3\xa9")


@pytest.mark.parametrize("body", ["[" * 100_000, '{"a":' * 100_000])
def test_an_answer_that_is_nested_without_end_is_no_json(client: Connect, body: str) -> None:
    caller, _ = client(answer(body))
    assert caller.send("GET", "/").json is None
    with pytest.raises(RequestError, match="expected a JSON object"):
        caller.chat(HELLO)


def test_an_answer_that_is_no_text_is_read_all_the_same(client: Connect) -> None:
    caller, _ = client(answer(b"\xff\xfe", "500 Internal Server Error"))
    with pytest.raises(RequestError, match="got 500: \ufffd\ufffd"):
        caller.chat(HELLO)


@pytest.mark.parametrize("path", ["/a b", "/é", "/%zz", "//x", "?q=1"])
def test_any_path_can_be_asked_for(client: Connect, path: str) -> None:
    caller, server = client(answer("{}"))
    assert caller.send("GET", path).status == 200
    assert server.requests


def test_halves_of_a_character_in_neighbouring_events_are_joined(client: Connect) -> None:
    def event(content: str, **more: object) -> bytes:
        delta = {"content": content, "reasoning_content": content, **more}
        choices = [{"index": index, "delta": delta, "finish_reason": None} for index in (0, 1)]
        return b"data: " + json.dumps({"id": "\ud83d", "model": "m\ud83d", "choices": choices}).encode() + b"\n\n"

    def call(name: str, arguments: str) -> dict[str, object]:
        return {"tool_calls": [{"index": 0, "id": "c", "function": {"name": name, "arguments": arguments}}]}

    end = {"index": 0, "delta": {}, "finish_reason": "stop\ud83d"}
    last = b"data: " + json.dumps({"id": "\ud83d", "choices": [end]}).encode() + b"\n\ndata: [DONE]\n\n"
    first = event("a \ud83d", **call("f\ud83d", '"\ud83d'))
    body = first + event("\ude00\ude00", **call("", '\ude00"')) + last
    caller, _ = client(answer(body, content_type="text/event-stream"))
    stream = caller.stream_chat(HELLO)
    joined = "a \U0001f600\ufffd"
    assert (stream.text, stream.reasoning, stream.texts) == (joined, joined, [joined, joined])
    assert [chunk.text for chunk in stream.chunks] == ["a \ufffd", "\ufffd\ufffd", "", ""]
    (made,) = stream.tool_calls
    assert (made.name, made.arguments, made.input) == ("f\ufffd", '"\U0001f600"', "\U0001f600")
    assert (stream.id, stream.model, stream.finish_reason) == ("\ufffd", "m\ufffd", "stop\ufffd")
    assert stream.chunks[0].json["choices"][0]["delta"]["content"] == "a \ud83d", "the object is as it came"


def test_a_reply_is_readable_and_its_object_as_it_came(client: Connect) -> None:
    call = {"index": 0, "id": "\ud83d", "function": {"name": "\ud83d", "arguments": '"\ud83d"'}}
    message = {"role": "a\ud83d", "content": "b\ud83d", "reasoning_content": "c\ud83d", "tool_calls": [call]}
    choice = {"index": 0, "message": message, "finish_reason": "d\ud83d"}
    data = {"id": "e\ud83d", "model": "f\ud83d", "choices": [choice]}
    caller, _ = client(answer(json.dumps(data)))
    reply = caller.chat(HELLO)
    said = (reply.role, reply.text, reply.reasoning, reply.finish_reason, reply.id, reply.model)
    assert said == tuple(f"{letter}\ufffd" for letter in "abcdef")
    assert reply.texts == ["b\ufffd"]
    (made,) = reply.tool_calls
    assert (made.id, made.name, made.arguments) == ("\ufffd", "\ufffd", '"\ufffd"')
    assert reply.json == data


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "no \ud83d", "type": "no \ud83d"}},
        {"error": "no \ud83d", "error_type": "no \ud83d"},
        {"detail": "no \ud83d"},
        {"detail": [{"loc": ["body"], "msg": "no \ud83d", "type": "no \ud83d"}]},
        {"detail": {"message": "no \ud83d"}},
        {"detail": {"no": "no \ud83d"}},
        {"error": {"no": "no \ud83d"}},
    ],
)
def test_a_refusal_is_readable(client: Connect, body: dict[str, object]) -> None:
    caller, _ = client(answer(json.dumps(body), "400 Bad Request"))
    with pytest.raises(RequestError) as caught:
        caller.chat(HELLO)
    assert "no \ufffd" in str(caught.value)
    assert "no \ufffd" in str(caught.value.error)
