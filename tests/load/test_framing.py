"""Where answers end, at every cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from InferenceLibrary.load.framing import ChunkWalk, Head, read_head


@pytest.mark.parametrize(
    ("data", "head"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n", Head(200, 12, False, True)),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding:chunked\r\nContent-Length: 12\r\n", Head(200, None, True, True)),
        (b"HTTP/1.1 503 No\r\nCONNECTION: Close\r\ncontent-length: 0\r\n", Head(503, 0, False, False)),
        (b"HTTP/1.0 200 OK\r\ncontent-length: 1\r\n", Head(200, 1, False, False)),
        (b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 1\r\n", Head(200, 1, False, True)),
        (b"HTTP/1.1 200 OK\r\nServer: x\r\n", Head(200, None, False, False)),
        (b"HTTP/1.1 204 None\r\n", Head(204, 0, False, True)),
        (b"SSH-2.0-x\r\n", None),
    ],
)
def test_a_head_says_where_the_body_ends(data: bytes, head: Head | None) -> None:
    assert read_head(data) == head


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=6), st.data(), st.sampled_from([b"", b"A: b\r\n"]))
def test_chunks_are_found_however_they_are_cut(chunks: list[bytes], data: st.DataObject, trailer: bytes) -> None:
    wire = b"".join(b"%x;x=1\r\n%s\r\n" % (len(one), one) for one in chunks) + b"0\r\n" + trailer + b"\r\n"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=5)))
    walk = ChunkWalk()
    ended = [walk.feed(wire[low:high]) for low, high in zip([0, *cuts], [*cuts, len(wire)], strict=True)]
    assert ended[-1]
    assert not any(ended[:-1]) or cuts[-1] == len(wire)
    body, marks = walk.body()
    assert body == b"".join(chunks)
    assert [length for _, length in marks] == [len(b"".join(chunks[: place + 1])) for place in range(len(chunks))]
    assert walk.left_over == b""


def test_what_is_not_a_size_is_seen_and_what_follows_the_end_is_kept() -> None:
    walk = ChunkWalk()
    assert not walk.feed(b"5\r\nhello\r\nzz\r\n")
    assert walk.broken
    walk = ChunkWalk()
    assert walk.feed(b"1\r\na\r\n0\r\n\r\nmore")
    assert walk.left_over == b"more"


def test_a_text_that_looks_like_the_end_is_not_it() -> None:
    walk = ChunkWalk()
    assert not walk.feed(b"7\r\nx0\r\n\r\n!\r\n"[:9])
    assert walk.feed(b"7\r\nx0\r\n\r\n!\r\n"[9:] + b"0\r\n\r\n")
    assert walk.body()[0] == b"x0\r\n\r\n!"
