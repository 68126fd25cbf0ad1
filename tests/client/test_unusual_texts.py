"""Texts that no encoding was made for: they are sent, read or refused, and never end in another error."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
from wire_server import WireServer, answer

from InferenceLibrary.client.http import Client
from InferenceLibrary.errors import RequestError

HELLO = [{"role": "user", "content": "Hi"}]


@pytest.fixture
def client(wire: Callable[..., WireServer]) -> Iterator[Callable[[bytes], tuple[Client, WireServer]]]:
    made: list[Client] = []

    def connect(script: bytes) -> tuple[Client, WireServer]:
        server = wire([script])
        made.append(Client(server.url))
        return made[-1], server

    yield connect
    for each in made:
        each.close()


Connect = Callable[[bytes], tuple[Client, WireServer]]


def test_headers_may_hold_any_character(client: Connect) -> None:
    caller, server = client(answer("{}"))
    caller.send("GET", "/", headers={"X-Name": "é漢"})
    assert "x-name: é漢".encode() in server.requests[0].lower().replace(b"X-Name", b"x-name")


@pytest.mark.parametrize("headers", [{"X-Name": "a\r\nb: c"}, {"X é": "b"}, {"": "b"}, {"X-Name": "\0"}])
def test_headers_that_http_does_not_know_are_refused(client: Connect, headers: dict[str, str]) -> None:
    caller, _ = client(answer("{}"))
    with pytest.raises(RequestError, match=r"[Ii]llegal header"):
        caller.send("GET", "/", headers=headers)


def test_half_a_character_is_sent_as_its_escape(client: Connect) -> None:
    caller, server = client(answer('{"choices": []}'))
    caller.chat([{"role": "user", "content": "\ud83d"}])
    body = server.requests[0].partition(b"\r\n\r\n")[2]
    assert b'"\\ud83d"' in body
    assert json.loads(body)["messages"][0]["content"] == "\ud83d"


def test_other_text_is_sent_as_it_is(client: Connect) -> None:
    caller, server = client(answer('{"choices": []}'))
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
