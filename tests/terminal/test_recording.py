"""Recordings read while they are written, and the plain text in streams of terminal output."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from InferenceLibrary.redaction import Redactor
from InferenceLibrary.terminal.recording import RecordingReader, plain_text, redact_recording


@pytest.mark.parametrize(
    ("stream", "text"),
    [
        ("a\r\nb", "a\nb"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07x\x1b]8;;http://a\x1b\\link\x1b]8;;\x1b\\", "xlink"),
        ("loading |\b/\b-\b \b\rdone   ", "done     "),
        ("12345\rab", "ab345"),
        ("12345\r\x1b[Kab", "ab"),
        ("abc\x1b[1Kd", "   d"),
        ("abc\x1b[2Kd", "   d"),
        ("a\x01b\x00c\x07", "abc"),
        ("\b\bx", "x"),
        ("tab\tstop", "tab\tstop"),
    ],
)
def test_what_a_stream_leaves(stream: str, text: str) -> None:
    assert plain_text(stream) == text


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"])))
def test_text_without_control_characters_is_left_as_it_is(text: str) -> None:
    assert plain_text(text) == text
    assert plain_text(f"\x1b[32m{text}\x1b[0m") == text


@given(st.text())
def test_no_stream_is_refused(stream: str) -> None:
    plain_text(stream)


def test_events_are_read_once_and_never_in_halves(tmp_path: Path) -> None:
    path = tmp_path / "x.cast"
    lines = json.dumps({"version": 2}) + "\n" + json.dumps([0.0, "o", "é1"]) + "\n" + json.dumps([0.5, "o", "2"]) + "\n"
    data = (lines + json.dumps([0.6, "r", "80x24"]) + "\n").encode()
    path.write_bytes(b"")
    reader = RecordingReader(path)
    seen = []
    for byte in range(len(data)):
        with path.open("ab") as file:
            file.write(data[byte : byte + 1])
        seen += reader.read()
    assert [event.data for event in seen] == ["é1", "2"]
    assert reader.read() == []


def test_times_are_on_the_monotonic_clock_and_never_in_the_future(tmp_path: Path) -> None:
    path = tmp_path / "x.cast"
    path.write_text('[0.0, "o", "a"]\n[1000.0, "o", "b"]\n')
    reader = RecordingReader(path)
    first, second = reader.read()
    assert second.time - first.time == pytest.approx(1000)
    assert second.time <= reader.now()


def knowing(secret: str) -> Redactor:
    redact = Redactor()
    redact.add(secret)
    return redact


@pytest.mark.parametrize("parts", [["the hunter22 key"], ["the hun", "ter22 key"], list("the hunter22 key")])
def test_secrets_are_masked_also_when_they_come_in_pieces(tmp_path: Path, parts: list[str]) -> None:
    path = tmp_path / "x.cast"
    events = [json.dumps([index / 10, "o", part]) for index, part in enumerate(parts)]
    path.write_text("\n".join([json.dumps({"version": 2}), *events]) + "\n")
    redact_recording(path, knowing("hunter22"))
    assert "".join(event.data for event in RecordingReader(path).read()) == "the *** key"


def test_secrets_are_masked_also_when_their_colour_changes_and_times_stay(tmp_path: Path) -> None:
    path = tmp_path / "x.cast"
    events = [
        [0.1, "o", "hunter22, hun\x1b[3"],
        [0.2, "o", "1mter\x1b[0m22"],
        [0.3, "o", ", hunter2"],
        [0.4, "o", "2\r\n"],
    ]
    path.write_text("\n".join(['{"version": 2}', *map(json.dumps, events)]) + "\n")
    redact_recording(path, knowing("hunter22"))
    masked = [[0.1, "o", "***, ***\x1b[3"], [0.2, "o", "1m\x1b[0m"], [0.3, "o", ", ***"], [0.4, "o", "\r\n"]]
    assert [json.loads(line) for line in path.read_text().splitlines()[1:]] == masked


def test_what_looks_like_a_secret_is_masked_in_pieces_too(tmp_path: Path) -> None:
    path = tmp_path / "x.cast"
    events = [[0.1, "o", "Bearer "], [0.2, "o", "abcdefgh.123"]]
    path.write_text("\n".join(['{"version": 2}', *map(json.dumps, events)]) + "\n")
    redact_recording(path, Redactor())
    assert [event.data for event in RecordingReader(path).read()] == ["Bearer ***"]


def test_a_recording_without_secrets_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "x.cast"
    path.write_text('{"version": 2}\n[0.1, "o", "a"]\n[0.2, "r", "80x24"]\n')
    redact_recording(path, knowing("hunter22"))
    assert path.read_text() == '{"version": 2}\n[0.1, "o", "a"]\n[0.2, "r", "80x24"]\n'
