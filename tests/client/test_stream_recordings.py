"""Streams in files and in pictures."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest
from wire_server import DONE, END_OF_BODY, RESET, STREAM_HEAD, answer, delta, piece

from InferenceLibrary.client.answers import Reply
from InferenceLibrary.client.http import Client
from InferenceLibrary.client.recordings import read_recording, write_recording
from InferenceLibrary.client.sending import Sending
from InferenceLibrary.client.stream_picture import stalls_of, stream_picture
from InferenceLibrary.client.stream_reader import stream_of
from InferenceLibrary.errors import StreamError
from InferenceLibrary.protocol.exchange import EVERYTHING, Ending, Held
from InferenceLibrary.protocol.rules.book import judge
from InferenceLibrary.redaction import Redactor

HELLO = [{"role": "user", "content": "Hi"}]
EVENTS = [piece(delta("", role="assistant")), *[piece(delta(letter)) for letter in "abcdefgh"]]
END = [piece(delta(finish="stop")), piece(DONE), END_OF_BODY]


def test_a_replayed_stream_is_the_recorded_one(wire, tmp_path):
    stream = Client(wire([STREAM_HEAD, piece(": hello\n\n"), *EVENTS, *END]).url).stream_chat(HELLO)
    path = tmp_path / "stream.json"
    write_recording(stream.exchange, path, Redactor())
    again = stream_of(read_recording(path))
    for name in ("text", "finish_reason", "ended_with_done", "raw", "broken", "cancelled", "status", "notes"):
        assert getattr(again, name) == getattr(stream, name), name
    assert [chunk.event for chunk in again.chunks] == [chunk.event for chunk in stream.chunks]
    assert again.time_to_first_token == pytest.approx(stream.time_to_first_token, abs=1e-6)
    assert again.exchange.request == stream.exchange.request
    assert json.loads(again.exchange.request.body)["messages"] == HELLO
    assert (again.exchange.ending, again.exchange.held) == (Ending.WHOLE, EVERYTHING)


def test_a_broken_stream_stays_broken(wire, tmp_path):
    stream = Client(wire([STREAM_HEAD, *EVENTS, RESET]).url).stream_chat(HELLO, Sending(allow_broken=True))
    write_recording(stream.exchange, tmp_path / "s.json", Redactor())
    again = stream_of(read_recording(tmp_path / "s.json"))
    assert again.broken == stream.broken == "a connection that broke off (a connection reset)"
    assert again.interrupted


def test_secrets_do_not_reach_the_file(wire, tmp_path):
    redact = Redactor()
    redact.add("planted-secret-1")
    events = [piece(delta("key: planted-secret-1.")), *END]
    stream = Client(wire([STREAM_HEAD, *events]).url, api_key="other-key").stream_chat(HELLO)
    path = tmp_path / "s.json"
    write_recording(stream.exchange, path, redact)
    assert "planted-secret-1" not in path.read_text()
    again = stream_of(read_recording(path))
    assert again.text == "key: ***."
    assert Held.TIMES in again.exchange.held
    assert dict(again.exchange.request.headers)["authorization"] == "***"


def test_reads_keep_their_times_when_a_secret_lies_across_them(wire, tmp_path):
    redact = Redactor()
    redact.add("planted-secret-1")
    whole = delta("key: planted-secret-1.")
    at = whole.index("secret")
    events = [piece(whole[:at]), 0.1, piece(whole[at:]), *END]
    stream = Client(wire([STREAM_HEAD, *events]).url).stream_chat(HELLO)
    write_recording(stream.exchange, tmp_path / "s.json", redact)
    again = read_recording(tmp_path / "s.json")
    replayed = stream_of(again)
    assert replayed.text == "key: ***."
    arrivals = [[chunk.arrival for chunk in one.chunks] for one in (stream, replayed)]
    assert arrivals[1] == pytest.approx(arrivals[0], abs=1e-5)


def test_secrets_in_pieces_do_not_reach_the_file_from_lines_of_json(wire, tmp_path):
    redact = Redactor()
    redact.add("planted-secret-1")
    said = ["key: plan", "ted-sec", "ret-1.", "done"]
    lines = [json.dumps({"message": {"content": one}, "done": one == "done"}) for one in said]
    head = STREAM_HEAD.replace(b"text/event-stream", b"application/x-ndjson")
    server = wire([head, piece(f"{lines[0]}\n"), 0.05, *[piece(f"{line}\n") for line in lines[1:]], END_OF_BODY])
    exchange = Client(server.url).send("POST", "/api/chat", {"messages": HELLO}).exchange
    write_recording(exchange, tmp_path / "s.json", redact)
    again = read_recording(tmp_path / "s.json")
    masked = [json.loads(line)["message"]["content"] for line in again.body.splitlines()]
    assert masked == ["key: ***", "", ".", "done"]
    assert len(again.reads) == len(exchange.reads)


def test_reads_of_a_whole_answer_are_left_out_where_a_mask_moved_them(wire, tmp_path):
    redact = Redactor()
    redact.add("planted-secret-1")
    reply = Client(wire([answer('{"key": "planted-secret-1"}')]).url).send("GET", "/x")
    write_recording(reply.exchange, tmp_path / "r.json", redact)
    again = read_recording(tmp_path / "r.json")
    assert again.json == {"key": "***"}
    assert again.held == EVERYTHING - {Held.READS, Held.TIMES}


@pytest.mark.parametrize("text", ["", "[]", '{"format": 9}', '{"format": 2}', "\udcff", "[" * 100_000])
def test_what_is_not_a_recording_is_refused(tmp_path, text):
    path = tmp_path / "s.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(StreamError, match="is not a recording of a call") as caught:
        read_recording(path)
    assert "\n" not in str(caught.value)


def damaged(value):
    """Replace each node of a recording by each type of JSON, and drop each key."""
    if isinstance(value, dict):
        for key in value:
            yield {name: one for name, one in value.items() if name != key}
            yield from ({**value, key: other} for other in (None, True, -1, 1.5, "x", [], {}, [[]], [None]))
            yield from ({**value, key: other} for other in damaged(value[key]))
    elif isinstance(value, list) and value:
        yield from ([other, *value[1:]] for other in (None, "x", 3, [], {}))
        yield from ([other, *value[1:]] for other in damaged(value[0]))


@pytest.mark.parametrize("whole", [True, False])
def test_a_damaged_recording_ends_in_one_line_or_can_be_judged(wire, tmp_path, whole):
    if whole:
        client = Client(wire([answer('{"id": "1", "choices": [], "usage": null}')]).url)
        exchange = client.send("POST", "/v1/chat/completions", {"messages": HELLO}).exchange
    else:
        exchange = Client(wire([STREAM_HEAD, *EVENTS, *END]).url).stream_chat(HELLO).exchange
    path = tmp_path / "s.json"
    write_recording(exchange, path, Redactor())
    data = json.loads(path.read_text())
    lines, read = [], 0
    for broken in damaged(data):
        path.write_text(json.dumps(broken))
        try:
            again = read_recording(path)
        except StreamError as error:
            lines.append(str(error))
        else:
            read += 1
            str(Reply(again) if whole else stream_of(again))
            judge(again)
    assert len(lines) > 100
    assert not any("\n" in line for line in lines)
    assert read > 10


def test_a_recording_whose_bytes_are_gone_is_refused(wire, tmp_path):
    stream = Client(wire([STREAM_HEAD, *EVENTS, *END]).url).stream_chat(HELLO)
    path = tmp_path / "s.json"
    write_recording(stream.exchange, path, Redactor())
    data = json.loads(path.read_text())
    path.write_text(json.dumps({**data, "body": ""}))
    with pytest.raises(StreamError, match=r"a body of 0 bytes where \d+ were read"):
        read_recording(path)
    path.write_text(json.dumps({**data, "reads": [[2, 1], [1, 2]]}))
    with pytest.raises(StreamError, match="reads that run backwards"):
        read_recording(path)


def test_a_stall_is_seen_in_the_picture(wire):
    slow = [*EVENTS[:5], 0.4, *EVENTS[5:], *END]
    stream = Client(wire([STREAM_HEAD, *slow]).url).stream_chat(HELLO)
    ((start, end),) = stalls_of(stream)
    assert end - start == pytest.approx(0.4, abs=0.2)
    picture = stream_picture(stream)
    assert "1 stall, the longest" in picture
    assert picture.count("<rect") == 3
    assert len(picture) < 4000
    ElementTree.fromstring(picture)


def test_an_even_stream_has_no_stall(wire):
    stream = Client(wire([STREAM_HEAD, *EVENTS, *END]).url).stream_chat(HELLO)
    stream_picture(stream)
    assert all(end - start > 0.05 for start, end in stalls_of(stream))


def test_halves_of_characters_are_recorded_as_escapes(wire, tmp_path):
    events = [piece(delta("smile \ud83d")), piece(delta("\ude00 \ud83d")), *END]
    stream = Client(wire([STREAM_HEAD, *events]).url).stream_chat([{"role": "user", "content": "\ud83d"}])
    write_recording(stream.exchange, tmp_path / "s.json", Redactor())
    assert json.loads((tmp_path / "s.json").read_text("utf-8"))["format"] == 2
    again = stream_of(read_recording(tmp_path / "s.json"))
    assert again.exchange.asked["messages"][0]["content"] == "\ud83d"
    assert again.text == "smile \U0001f600 \ufffd"
