"""Streams of any path: servers' own APIs, progress of downloads, lines of JSON; servers on a Unix socket."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from wire_server import RESET, WireServer, answer, piece

from InferenceLibrary import InferenceLibrary
from InferenceLibrary.errors import RequestError, ServerError, StreamError

Wire = Callable[..., WireServer]


@pytest.fixture
def lib(tmp_path: Path) -> Iterator[InferenceLibrary]:
    lib = InferenceLibrary()
    lib.context.output_dir = tmp_path
    yield lib
    lib.close()


def lines(*objects: dict[str, Any]) -> str:
    return "".join(json.dumps(one) + "\n" for one in objects)


def events(*objects: dict[str, Any]) -> str:
    return "".join(f"data: {json.dumps(one)}\n\n" for one in objects)


NDJSON, SSE = "application/x-ndjson", "text/event-stream"
ENDED = {"model": "m", "response": "", "done": True, "done_reason": "length", "prompt_eval_count": 7, "eval_count": 2}
OLLAMA = lines({"model": "m", "response": "a ", "done": False}, {"model": "m", "response": "b", "done": False}, ENDED)
OLLAMA_CHAT = lines(
    {"model": "m", "message": {"role": "assistant", "content": "", "thinking": "hm"}, "done": False},
    {"model": "m", "message": {"role": "assistant", "content": "a b"}, "done": False},
    {
        "model": "m",
        "message": {"role": "assistant", "content": ""},
        "done": True,
        "eval_count": 2,
        "prompt_eval_count": 7,
    },
)
LLAMA = events(
    {"index": 0, "content": "a ", "tokens": [1], "stop": False},
    {"index": 0, "content": "b", "tokens": [2], "stop": False},
    {"index": 0, "content": "", "stop": True, "stop_type": "limit", "tokens_predicted": 2, "tokens_evaluated": 7},
)
TGI = events(
    {"index": 1, "token": {"id": 1, "text": "a ", "logprob": -0.1, "special": False}, "generated_text": None},
    {"index": 2, "token": {"id": 2, "text": "b", "logprob": -0.1, "special": False}, "generated_text": None},
    {
        "index": 3,
        "token": {"id": 3, "text": "</s>", "logprob": -0.1, "special": True},
        "generated_text": "a b",
        "details": {"finish_reason": "length", "generated_tokens": 2, "input_length": 7},
    },
)


@pytest.mark.parametrize(
    ("body", "kind", "finish"),
    [(OLLAMA, NDJSON, "length"), (OLLAMA_CHAT, NDJSON, "stop"), (LLAMA, SSE, "length"), (TGI, SSE, "length")],
)
def test_text_usage_and_end_of_own_apis_are_read(
    lib: InferenceLibrary, wire: Wire, body: str, kind: str, finish: str
) -> None:
    server = wire([answer(body, content_type=kind)])
    lib.connect_to_server(server.url, check=False)
    stream = lib.stream_request("post", "/api/generate", {"prompt": "x"})
    assert (stream.text, stream.finish_reason) == ("a b", finish)
    assert stream.usage == (7, 2, 9)
    lib.answer_should_contain(stream, "a b")
    lib.usage_should_be(stream, prompt=7, completion=2)
    again = lib.replay_answer(stream.recording)
    assert (again.text, len(again.chunks)) == ("a b", 3)
    assert server.requests[0].startswith(b"POST /api/generate HTTP/1.1")


def test_progress_is_recorded_with_its_arrivals(lib: InferenceLibrary, wire: Wire) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
    steps = [piece(lines({"status": "pulling", "completed": done, "total": 2})) for done in (0, 1, 2)]
    lib.connect_to_server(wire([head, steps[0], 0.05, *steps[1:], b"0\r\n\r\n"]).url, check=False)
    stream = lib.stream_request("GET", "/api/pull")
    assert lib.values_should_not_fall(stream, "completed", rising=True) == [0, 1, 2]
    assert stream.chunks[1].arrival - stream.chunks[0].arrival >= 0.04
    lib.every_chunk_should_have(stream, "total", 2)


FAILURES: dict[str, tuple[list[Any], type[Exception], str]] = {
    "another status": ([answer("{}", "404 Not Found")], RequestError, "expected status 200, got 404"),
    "not a stream": ([answer("{}")], StreamError, "expected an event stream .* or lines of JSON, got application/json"),
    "a line that is not JSON": ([answer("{}\nx\n", content_type=NDJSON)], StreamError, "event 2, which is not JSON"),
    "a line that is cut": ([answer('{"a": 1}\n{"b', content_type=NDJSON)], StreamError, "an end inside an event"),
    "no line": ([answer("", content_type=NDJSON)], StreamError, "an end without any event"),
    "an error": ([answer('{"error": "out of memory"}\n', content_type=NDJSON)], StreamError, "out of memory"),
    "text without an end": (
        [answer(OLLAMA[: OLLAMA.rindex("{")], content_type=NDJSON)],
        StreamError,
        "an end with neither a finish reason nor",
    ),
    "a connection that breaks": (
        [b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n\r\n" + OLLAMA.encode(), 0.05, RESET],
        StreamError,
        "reset",
    ),
}


@pytest.mark.parametrize("case", FAILURES)
def test_a_clause_fails_for_its_own_reason(lib: InferenceLibrary, wire: Wire, case: str) -> None:
    steps, kind, told = FAILURES[case]
    lib.connect_to_server(wire(steps).url, check=False)
    with pytest.raises(kind, match=told):
        lib.stream_request("POST", "/api/generate", {"prompt": "x"})


def test_a_body_is_sent_as_it_is(lib: InferenceLibrary, wire: Wire) -> None:
    server = wire([answer(OLLAMA, content_type=NDJSON)])
    lib.connect_to_server(server.url, check=False)
    lib.stream_request("PUT", "/any", '{"a":')
    assert server.requests[0].endswith(b'\r\n\r\n{"a":')


@pytest.fixture
def unix_server(tmp_path: Path) -> Iterator[tuple[Path, list[bytes]]]:
    """A server on a Unix socket that has one model."""
    path, asked = tmp_path / "server.sock", []
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen()

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                asked.append(connection.recv(65536))
                connection.sendall(answer('{"object": "list", "data": [{"id": "m", "object": "model"}]}'))

    threading.Thread(target=serve, daemon=True).start()
    yield path, asked
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


@pytest.mark.parametrize("form", ["unix:{}", "unix://{}"])
def test_a_server_on_a_unix_socket_is_called(
    lib: InferenceLibrary, unix_server: tuple[Path, list[bytes]], form: str
) -> None:
    path, asked = unix_server
    lib.connect_to_server(form.format(path))
    assert lib.list_models() == ["m"]
    assert b"\r\nhost: localhost\r\n" in asked[-1].lower()


def test_a_unix_socket_that_is_not_there_is_told(lib: InferenceLibrary, tmp_path: Path) -> None:
    with pytest.raises(ServerError, match="No such file"):
        lib.connect_to_server(f"unix:{tmp_path / 'none.sock'}")
    with pytest.raises(ServerError, match="A Unix socket is reached without a proxy"):
        lib.connect_to_server(f"unix:{tmp_path / 'none.sock'}", proxy="http://127.0.0.1:1")


def test_another_server_is_not_sought_on_the_socket(
    lib: InferenceLibrary, unix_server: tuple[Path, list[bytes]], wire: Wire
) -> None:
    path, asked = unix_server
    lib.connect_to_server(f"unix:{path}")
    before = len(asked)
    other = wire([answer("{}")])
    lib.send_request("GET", f"{other.url}/health")
    assert (len(asked), len(other.requests)) == (before, 1)
