"""Chunks known at sight are judged as those that are read: the same verdict, whatever comes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from protocol.rules.exchanges import (
    ASKED,
    CHAT,
    COMPLETIONS,
    DONE,
    ROLE,
    STOP,
    chat_stream,
    chunk,
    completion,
    stream,
    text,
)

from InferenceLibrary.protocol.exchange import Exchange
from InferenceLibrary.protocol.rules.book import judge
from InferenceLibrary.protocol.rules.builders import views_of
from InferenceLibrary.protocol.rules.choices import ChoicesStream
from InferenceLibrary.protocol.rules.templates import Templates

PLAIN = chunk({"content": "Hello"})


def seen(call: Exchange) -> Any:
    """What the rules say, and what the view holds."""
    (view,) = (one for one in views_of(call) if isinstance(one, ChoicesStream))
    tracks = {
        index: (
            track.text.text,
            track.text.count,
            track.reasoning.text,
            track.deltas,
            track.roles.count,
            track.finish.count,
        )
        for index, track in view.tracks.items()
    }
    found = [(one.rule.id, one.kind, one.got) for one in judge(call).violations]
    counts = (view.objects, view.usage_missing.count, view.created.changes.count, view.id.changes.count)
    return found, tracks, counts, view.events.count


def slowly(call: Exchange) -> Any:
    """The same, every chunk read."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Templates, "take", lambda self, data: False)
        return seen(call)


def written(data: Any, **more: Any) -> str:
    return json.dumps(data, **more)


VARIANTS: list[str] = [
    *(
        written(chunk({"content": said}))
        for said in ("a", " b", "", "漢字", 'with "quotes"', "line\n", "\x00", "\ud83d")
    ),
    *(written(chunk({"content": said}), ensure_ascii=False) for said in ("漢字", "\u200b", "\u2028")),
    *(written(chunk({"content": said}), separators=(",", ":")) for said in ("a", "b\\", "c")),
    *(written({**chunk({"content": said}), "obfuscation": pad}) for said, pad in (("a", "xx"), ("b", ""), ("c", '"}'))),
    written(chunk({"content": "a"}, index=1)),
    written(chunk({"content": "b"}, index=1)),
    written(chunk({"reasoning_content": "hm"})),
    written(chunk({"reasoning_content": "ah"})),
    written(chunk({"role": "assistant", "content": "a"})),
    written(chunk({"role": "assistant", "content": "b"})),
    written(chunk({"content": "a", "reasoning": "b"})),
    written(chunk({"content": "a"}, created=1)),
    written(chunk({"content": "b"}, created=1)),
    written(chunk({"content": "a"}, id="other")),
    written(chunk({"content": "a"}, usage=None)),
    written(chunk({"content": "b"}, usage=None)),
    written({**PLAIN, "error": None}),
    written(PLAIN).replace('"Hello"', '"a", "content": "b"'),
    written(PLAIN).replace('"Hello"', '"a\tb"'),
    written(PLAIN).replace('"Hello"', '"a", "x": NaN, "y": "b"'),
    written(PLAIN).replace('"content"', '"cont\\u0065nt"'),
    written({"content": "Hello", **PLAIN}),
    written(STOP),
    written(chunk({}, "stop", 1)),
    "[DONE]",
    "{",
    '{"error": {"message": "x"}}',
]


@given(st.lists(st.sampled_from(VARIANTS), max_size=25))
def test_the_verdict_is_the_same(events: list[str]) -> None:
    call = chat_stream([ROLE, *events, DONE])
    assert seen(call) == slowly(call)


@given(st.lists(st.text(max_size=6), max_size=12), st.booleans())
def test_any_texts_are_joined(said: list[str], escaped: bool) -> None:
    events = [written(completion(text(one, None)), ensure_ascii=escaped) for one in said]
    call = stream(COMPLETIONS, ASKED, [one.encode("utf-8", "replace").decode() for one in events])
    assert seen(call) == slowly(call)


@pytest.mark.parametrize(
    "make",
    [
        lambda number: chunk({"content": f" token{number}"}),
        lambda number: chunk({"content": f'\n"{number}"'}),
        lambda number: {**chunk({"content": f" token{number}"}), "obfuscation": "x" * (number % 7)},
        lambda number: chunk({"role": "assistant", "content": f" token{number}"}),
        lambda number: chunk({"content": f" token{number}"}, created=1700000000 + number // 100),
        lambda number: chunk({"content": f" token{number}"}, index=number % 3),
        lambda number: chunk({"reasoning_content": f" token{number}"}),
    ],
)
def test_ordinary_chunks_are_known_at_sight(make: Any) -> None:
    """Nine of ten are not read as JSON."""
    from InferenceLibrary.protocol.rules import event_stream

    reads = 0

    def read(data: str) -> Any:
        nonlocal reads
        reads += 1
        return original(data)

    original = event_stream.read_json
    call = stream(CHAT, ASKED, [make(number) for number in range(1000)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(event_stream, "read_json", read)
        views_of(call)
    assert reads < 100
