"""Lines of JSON: decoded the same however they were cut, with what was odd about them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from InferenceLibrary.protocol.json_lines import JsonLinesDecoder
from InferenceLibrary.protocol.sse import Note, Oddity


def decoded(*pieces: bytes) -> tuple[list[str], list[Note]]:
    notes: list[Note] = []
    decoder = JsonLinesDecoder(notes)
    events = [event for piece in pieces for event in decoder.feed(piece)] + decoder.close()
    return [event.data for event in events], notes


@pytest.mark.parametrize(
    ("raw", "lines"),
    [
        (b'{"a": 1}\n{"b": 2}\n', ['{"a": 1}', '{"b": 2}']),
        (b'{"a": 1}\r\n\r\n{"b": 2}', ['{"a": 1}', '{"b": 2}']),
        (b"", []),
        (b" \n", []),
        (b"no json\n1\n", ["no json", "1"]),
    ],
)
def test_lines_are_events(raw: bytes, lines: list[str]) -> None:
    assert decoded(raw) == (lines, [])


def test_a_line_that_was_cut_is_noted_and_does_not_count() -> None:
    lines, notes = decoded(b'{"a": 1}\n{"b": ')
    assert lines == ['{"a": 1}']
    assert notes == [Note(Oddity.TRUNCATED, 9, '{"b": ')]


def test_bytes_that_are_not_utf8_are_noted() -> None:
    lines, notes = decoded(b'{"a": "\xff"}\n')
    assert lines == ['{"a": "\ufffd"}']
    assert [note.oddity for note in notes] == [Oddity.INVALID_UTF8]


@given(st.lists(st.sampled_from([b'{"a": "\xc3\xa9"}', b"\n", b"\r\n", b"{", b"\xff", b"1"])), st.integers(1, 5))
def test_the_result_does_not_depend_on_the_cuts(parts: list[bytes], size: int) -> None:
    raw = b"".join(parts)
    assert decoded(raw) == decoded(*(raw[start : start + size] for start in range(0, len(raw), size)))
