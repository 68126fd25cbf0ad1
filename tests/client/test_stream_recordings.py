"""Streams in files and in pictures."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest
from wire_server import DONE, END_OF_BODY, RESET, STREAM_HEAD, delta, piece

from InferenceLibrary.client.http import Client
from InferenceLibrary.client.recordings import read_recording, write_recording
from InferenceLibrary.client.sending import Sending
from InferenceLibrary.client.stream_picture import stalls_of, stream_picture
from InferenceLibrary.errors import StreamError
from InferenceLibrary.redaction import Redactor

HELLO = [{"role": "user", "content": "Hi"}]
EVENTS = [piece(delta("", role="assistant")), *[piece(delta(letter)) for letter in "abcdefgh"]]
END = [piece(delta(finish="stop")), piece(DONE), END_OF_BODY]


def test_a_replayed_stream_is_the_recorded_one(wire, tmp_path):
    stream = Client(wire([STREAM_HEAD, piece(": hello\n\n"), *EVENTS, *END]).url).stream_chat(HELLO)
    path = tmp_path / "stream.json"
    write_recording(stream, {"messages": HELLO}, path, Redactor())
    again = read_recording(path)
    for name in ("text", "finish_reason", "ended_with_done", "raw", "broken", "cancelled", "status", "notes"):
        assert getattr(again, name) == getattr(stream, name), name
    assert [chunk.event for chunk in again.chunks] == [chunk.event for chunk in stream.chunks]
    assert again.time_to_first_token == pytest.approx(stream.time_to_first_token, abs=1e-6)
    assert json.loads(path.read_text())["request"] == {"messages": HELLO}


def test_a_broken_stream_stays_broken(wire, tmp_path):
    stream = Client(wire([STREAM_HEAD, *EVENTS, RESET]).url).stream_chat(HELLO, Sending(allow_broken=True))
    write_recording(stream, None, tmp_path / "s.json", Redactor())
    assert read_recording(tmp_path / "s.json").broken == stream.broken


def test_secrets_do_not_reach_the_file(wire, tmp_path):
    redact = Redactor()
    redact.add("planted-secret-1")
    events = [piece(delta("key: planted-secret-1.")), *END]
    stream = Client(wire([STREAM_HEAD, *events]).url).stream_chat(HELLO)
    path = tmp_path / "s.json"
    write_recording(stream, {"key": "planted-secret-1"}, path, redact)
    import base64

    assert "planted-secret-1" not in path.read_text()
    assert b"planted-secret-1" not in base64.b64decode(json.loads(path.read_text())["raw"])
    assert read_recording(path).text == "key: ***."


@pytest.mark.parametrize("text", ["", "[]", '{"format": 9}', '{"format": 1}', "\udcff"])
def test_what_is_no_recording_is_refused(tmp_path, text):
    path = tmp_path / "s.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(StreamError, match="is no recording of a stream"):
        read_recording(path)


def test_a_recording_whose_bytes_are_gone_is_refused(wire, tmp_path):
    stream = Client(wire([STREAM_HEAD, *EVENTS, *END]).url).stream_chat(HELLO)
    path = tmp_path / "s.json"
    write_recording(stream, None, path, Redactor())
    data = json.loads(path.read_text())
    path.write_text(json.dumps({**data, "raw": ""}))
    with pytest.raises(StreamError, match="expected 11 events in its bytes, got 0"):
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
    write_recording(stream, {"asked": "\ud83d"}, tmp_path / "s.json", Redactor())
    assert json.loads((tmp_path / "s.json").read_text("utf-8"))["request"] == {"asked": "\ud83d"}
    assert read_recording(tmp_path / "s.json").text == "smile \U0001f600 \ufffd"
