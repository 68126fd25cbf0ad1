"""The event-stream decoder against the WHATWG rules, at every way to cut the bytes."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from InferenceLibrary.protocol.sse import Event, Note, Oddity, SSEDecoder


def decode(*pieces: bytes) -> tuple[list[Event], list[Note]]:
    decoder = SSEDecoder()
    events = [event for piece in pieces for event in decoder.feed(piece)]
    decoder.close()
    return events, decoder.notes


def data_of(raw: bytes) -> list[str]:
    return [event.data for event in decode(raw)[0]]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"data: one\n\ndata: two\n\n", ["one", "two"]),
        (b"data: one\r\n\r\ndata: two\r\n\r\n", ["one", "two"]),
        (b"data: one\r\rdata: two\r\r", ["one", "two"]),
        (b"data: mixed\r\n\ndata: ends\n\r\n", ["mixed", "ends"]),
        (b"data:no space\n\n", ["no space"]),
        (b"data:  two spaces\n\n", [" two spaces"]),
        (b"data: YHOO\ndata: +2\ndata: 10\n\n", ["YHOO\n+2\n10"]),
        (b"data\n\ndata\ndata\n\n", ["", "\n"]),
        (b"data:\n\n", [""]),
        (b"\xef\xbb\xbfdata: after a byte order mark\n\n", ["after a byte order mark"]),
        (b"data: \xef\xbb\xbfmark inside\n\n", ["\ufeffmark inside"]),
        (b"data: not closed\n", []),
        (b"data: not closed", []),
        (b": comment\n\n: another\n\n", []),
        (b": comment\ndata: x\n: inside\ndata: y\n\n", ["x\ny"]),
        (b"id: 7\n\n", []),
        (b"retry: 10\n\n", []),
        (b"Data: names are case-sensitive\n\n", []),
        (b" data: leading space is another name\n\n", []),
        ("data: Größe 漢字 👩‍🚀\n\n".encode(), ["Größe 漢字 👩‍🚀"]),
        (
            b"data: line separators \xe2\x80\xa8 \x0b\x0c \x85 stay\n\n".replace(b"\x85", b"\xc2\x85"),
            ["line separators \u2028 \x0b\x0c \x85 stay"],
        ),
        (b"", []),
        (b"\n\n\n", []),
    ],
)
def test_data_follows_the_standard(raw: bytes, expected: list[str]) -> None:
    assert data_of(raw) == expected


def test_event_name_and_last_id_follow_the_standard() -> None:
    events, _ = decode(b"event: add\nid: 1\ndata: a\n\ndata: b\n\nid\ndata: c\n\nevent:\ndata: d\n\n")
    assert [(e.event, e.id, e.data) for e in events] == [
        ("add", "1", "a"),
        ("message", "1", "b"),
        ("message", "", "c"),
        ("message", "", "d"),
    ]


def test_an_id_without_data_stays_in_force_and_dispatches_nothing() -> None:
    events, notes = decode(b"id: 9\n\ndata: x\n\n")
    assert [(e.data, e.id) for e in events] == [("x", "9")]
    assert [n.oddity for n in notes] == [Oddity.NO_DATA]


def test_retry_takes_digits_only() -> None:
    events, notes = decode("retry: 1500\ndata: a\n\nretry: 1.5\ndata: b\n\nretry: ١\ndata: c\n\n".encode())
    assert [e.retry for e in events] == [1500, None, None]
    assert [n.oddity for n in notes] == [Oddity.BAD_RETRY, Oddity.BAD_RETRY]


@pytest.mark.parametrize(
    ("raw", "oddity", "text"),
    [
        (b": keep-alive\n\n", Oddity.COMMENT, ": keep-alive"),
        (b"foo: bar\ndata: x\n\n", Oddity.UNKNOWN_FIELD, "foo: bar"),
        (b"data: \xff\n\n", Oddity.INVALID_UTF8, "data: \ufffd"),
        (b"id: a\0b\ndata: x\n\n", Oddity.NULL_IN_ID, "id: a\0b"),
        (b"data: x\n", Oddity.TRUNCATED, "x"),
        (b"data: x", Oddity.TRUNCATED, "data: x"),
        (b"data: x\n\ndat", Oddity.TRUNCATED, "dat"),
        (b"event: lonely\n\n", Oddity.NO_DATA, ""),
    ],
)
def test_what_a_browser_hides_is_noted(raw: bytes, oddity: Oddity, text: str) -> None:
    notes = decode(raw)[1]
    assert [(n.oddity, n.text) for n in notes] == [(oddity, text)]


def test_events_know_where_they_stood() -> None:
    raw = b": hi\n\ndata: a\n\nevent: e\ndata: b\r\n\r\n"
    events, _ = decode(raw)
    assert [raw[e.start : e.end] for e in events] == [b"data: a\n\n", b"event: e\ndata: b\r\n\r"]


def test_a_lone_carriage_return_completes_the_event_at_once() -> None:
    decoder = SSEDecoder()
    assert [e.data for e in decoder.feed(b"data: x\r\r")] == ["x"]
    assert decoder.feed(b"\ndata: y\n") == []
    assert [e.data for e in decoder.feed(b"\n")] == ["y"]


def test_a_closed_decoder_takes_no_more() -> None:
    decoder = SSEDecoder()
    decoder.close()
    with pytest.raises(ValueError, match="closed"):
        decoder.feed(b"data: x\n\n")


EVERYTHING = (
    "\ufeff: hello\r\n\r\nevent: add\rdata: ä漢👩‍🚀\rdata:\n\nid: 1\0\nretry: 5\nfoo\ndata: two\r\n\r\n\r\n"
    'retry: x\n\ndata: {"a": "b"}\n\ndata: [DONE]\n\ndata: cut'
).encode() + b"\xff"


def test_the_result_does_not_depend_on_one_cut() -> None:
    whole = decode(EVERYTHING)
    assert len(whole[0]) == 4
    for cut in range(len(EVERYTHING) + 1):
        assert decode(EVERYTHING[:cut], EVERYTHING[cut:]) == whole, f"cut at byte {cut}"


def test_the_result_does_not_depend_on_two_cuts() -> None:
    raw = EVERYTHING[:60]
    whole = decode(raw)
    for first in range(len(raw)):
        for second in range(first, len(raw)):
            assert decode(raw[:first], raw[first:second], raw[second:]) == whole, f"cuts at {first} and {second}"


def test_byte_by_byte_is_the_same() -> None:
    assert decode(*[bytes([byte]) for byte in EVERYTHING]) == decode(EVERYTHING)


LINES = st.sampled_from(
    [b"data: x", b"data", b"event: e", b"id: 3", b": c", b"", b"", b"retry: 1", b"\xc3\xa4: b", b"data: \xe6\xbc\xa2"]
)
ENDS = st.sampled_from([b"\n", b"\r", b"\r\n"])


@given(st.lists(st.tuples(LINES, ENDS), max_size=20), st.binary(max_size=4), st.lists(st.integers(0, 400), max_size=6))
def test_any_stream_at_any_cuts_gives_the_same(lines: list[tuple[bytes, bytes]], tail: bytes, cuts: list[int]) -> None:
    raw = b"".join(line + end for line, end in lines) + tail
    places = sorted({min(cut, len(raw)) for cut in cuts} | {0, len(raw)})
    pieces = [raw[a:b] for a, b in itertools.pairwise(places)]
    assert decode(*pieces) == decode(raw)


@given(st.binary(max_size=200))
def test_no_bytes_make_it_fail(raw: bytes) -> None:
    events, notes = decode(raw)
    lines = raw.count(b"\n") + raw.count(b"\r") + 1
    assert len(events) + len(notes) <= 2 * lines + 1, "at most two notes a line, and one about the end"


def test_a_retry_of_thousands_of_digits_is_no_number() -> None:
    events, notes = decode(b"retry: " + b"9" * 5000 + b"\ndata: a\n\n")
    assert [event.retry for event in events] == [None]
    assert [note.oddity for note in notes] == [Oddity.BAD_RETRY]


def as_the_standard_says(raw: bytes) -> list[tuple[str, str, str]]:
    """The standard's algorithm, written down plainly on the whole text, as an oracle."""
    text = raw.decode("utf-8", "replace").removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    data, kind, last_id, out = "", "", "", []
    for line in text.split("\n")[:-1]:
        if line == "":
            if data != "":
                out.append((data[:-1], kind or "message", last_id))
            data, kind = "", ""
        elif not line.startswith(":"):
            name, _, value = line.partition(":")
            value = value[1:] if value.startswith(" ") else value
            if name == "data":
                data += value + "\n"
            elif name == "event":
                kind = value
            elif name == "id" and "\0" not in value:
                last_id = value
    return out


@given(st.lists(st.tuples(LINES, ENDS), max_size=20))
def test_agrees_with_the_standard_on_any_lines(lines: list[tuple[bytes, bytes]]) -> None:
    raw = b"".join(line + end for line, end in lines)
    assert [(e.data, e.event, e.id) for e in decode(raw)[0]] == as_the_standard_says(raw)


def test_a_byte_order_mark_counts_at_the_beginning_alone() -> None:
    raw = b"data: x\n\n\xef\xbb\xbfdata: b\n\n"
    assert data_of(raw) == ["x"]
    assert [decode(raw[:9], raw[9:]), decode(*(bytes([one]) for one in raw))] == [decode(raw)] * 2


def test_notes_are_counted_and_the_first_thousand_of_each_oddity_kept() -> None:
    decoder = SSEDecoder()
    for _ in range(20):
        decoder.feed(b":\n" * 1000 + b"foo\n\n")
    decoder.feed(b"data: x")
    decoder.close()
    counts = {Oddity.COMMENT: 20_000, Oddity.UNKNOWN_FIELD: 20, Oddity.NO_DATA: 20, Oddity.TRUNCATED: 1}
    assert decoder.counts == counts
    assert [sum(note.oddity is oddity for note in decoder.notes) for oddity in counts] == [1000, 20, 20, 1]


def test_comments_without_end_cost_no_memory() -> None:
    import tracemalloc

    tracemalloc.start()
    decoder = SSEDecoder()
    for _ in range(50):
        decoder.feed(b":\n" * 2000)
    decoder.close()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert decoder.counts == {Oddity.COMMENT: 100_000}
    assert peak < 1_000_000, "a thousand notes, not a hundred thousand"


def test_the_id_of_a_block_that_did_not_close_is_not_in_force() -> None:
    decoder = SSEDecoder()
    decoder.feed(b"id: 1\ndata: x\n\nid: 2\ndata: y\n")
    decoder.close()
    assert decoder.last_id == "1"


def test_a_long_line_in_small_pieces_takes_no_time_that_grows_with_its_square() -> None:
    """Each piece is looked at once, however busy the machine is."""
    import time

    def seconds(size: int) -> float:
        decoder, piece = SSEDecoder(), b"x" * 4096
        start = time.process_time()
        decoder.feed(b"data: ")
        for _ in range(size // len(piece)):
            decoder.feed(piece)
        assert len(decoder.feed(b"\n\n")) == 1
        return time.process_time() - start

    # 16 times the line: 16 x the time, where each byte is looked at once; 256 x, where it grows with the square.
    small = min(seconds(1_000_000) for _ in range(5))
    assert min(seconds(16_000_000) for _ in range(5)) < small * 96
