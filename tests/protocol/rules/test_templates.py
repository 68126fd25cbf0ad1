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
            (track.logprobs.count, track.logprobs.joined, track.logprobs.most, track.logprobs.joinable),
            list(track.logprobs.odd),
        )
        for index, track in view.tracks.items()
    }
    found = [(one.rule.id, one.kind, one.got) for one in judge(call).violations]
    counts = (view.objects, view.usage_missing.count, view.created.changes.count, view.id.changes.count)
    counts += (view.usages.count, tuple((place, str(usage)) for place, usage in view.usages.first_and_last))
    return found, tracks, counts, view.events.count


def slowly(call: Exchange) -> Any:
    """The same, every chunk read."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Templates, "take", lambda self, data, number, start: False)
        return seen(call)


def written(data: Any, **more: Any) -> str:
    return json.dumps(data, **more)


def token(text: str, logprob: Any = -0.5, **more: Any) -> dict[str, Any]:
    return {"token": text, "logprob": logprob, "bytes": list(text.encode()), **more}


def with_logprobs(text: str, *top: dict[str, Any], more: dict[str, Any] | None = None, **own: Any) -> dict[str, Any]:
    """A chunk of one token with its log probability and these alternatives."""
    made = chunk({"content": text})
    made["choices"][0]["logprobs"] = {"content": [{**token(text), "top_logprobs": list(top), **own}], **(more or {})}
    return made


def usage(prompt: int, completion: int, **more: Any) -> dict[str, Any]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion, **more}


LOGPROBS = [
    with_logprobs("a", token("a"), token("b", -2.0)),
    with_logprobs("b", token("b"), token("c", -2.0)),
    with_logprobs("c"),
    with_logprobs("d", token("d"), token("d", -3.0)),
    with_logprobs("e", token("e", -0.1), token("f", -0.1)),
    with_logprobs("f", logprob=0.5),
    with_logprobs("g", logprob=-1),
    with_logprobs("h", logprob="-1"),
    with_logprobs("i", bytes=[300]),
    with_logprobs("j", bytes=[0x41]),
    with_logprobs("k", bytes=None),
    with_logprobs("l:", token("l:"), token("\ufffd", -4, bytes=[0xC3]), token("", -5)),
    with_logprobs("m", token("m"), more={"refusal": None}),
    with_logprobs("n", token("n"), more={"refusal": []}),
    with_logprobs("o", {**token("o"), "id": 7}, id=7),
    with_logprobs("p", token=7),
    chunk({"content": "q"}, usage=usage(5, 1)),
    chunk({"content": "r"}, usage=usage(5, 2)),
    chunk({"content": "s"}, usage={"prompt_tokens": 5}),
    chunk({"content": "t"}, usage=usage(5, 2, prompt_tokens_details={"cached_tokens": 9})),
    chunk({"content": "u"}, usage=7),
    {**with_logprobs("v", token("v")), "usage": usage(5, 2), "obfuscation": "x"},
    {**with_logprobs("w", token("w")), "usage": usage(5, 3), "obfuscation": "xyz"},
]

VARIANTS: list[str] = [
    *map(written, LOGPROBS),
    *(written(one, separators=(",", ":")) for one in LOGPROBS),
    written(LOGPROBS[0]).replace('"logprob": -0.5', '"logprob": -0.5, "logprob": -0.6'),
    written(LOGPROBS[0]).replace('"logprob": -0.5', '"logprob" : -0.5, "logprob": -0.6'),
    written(LOGPROBS[0]).replace("-0.5", "NaN"),
    written(LOGPROBS[16]).replace('"prompt_tokens": 5', '"prompt_tokens": 5, "prompt_tokens": 6'),
    written(LOGPROBS[16]).replace('"prompt_tokens": 5', '"prompt_tokens" : 5, "prompt_tokens": 6'),
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
        lambda number: with_logprobs(f" token{number}", token(f" token{number}", -0.01 * number), token("b", -9.5)),
        lambda number: chunk({"content": f" token{number}"}, usage=usage(5, number)),
        lambda number: chunk({"content": f" token{number}"}, usage=usage(5, number, details={"cached": number})),
        lambda number: {**with_logprobs(f" token{number}"), "usage": usage(5, number), "obfuscation": "x" * number},
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


def test_the_last_usage_counts_however_many_came_before() -> None:
    """Some servers tell the usage so far in each chunk."""
    asked = {**ASKED, "stream_options": {"include_usage": True, "continuous_usage_stats": True}}
    events = [chunk({"content": "a"}, usage=usage(5, number)) for number in range(1500)]
    wrong = {**chunk({}, "stop"), "choices": [], "usage": {**usage(5, 1500), "total_tokens": 7}}
    found = judge(stream(CHAT, asked, [ROLE, *events, STOP, wrong, DONE]), only=["C14", "C16"]).violations
    assert [(one.rule.id, one.kind, one.event) for one in found] == [("C16", "sum", 1503)]
    cut = judge(stream(CHAT, asked, [ROLE, *events, DONE]), only=["C14"]).violations
    assert [(one.kind, one.event) for one in cut] == [("with choices", 1501), ("before the end", 1501)]
