"""Deltas that are known at sight are judged as those that are read."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
from protocol.rules.typed_exchanges import JOB_EVENTS, MESSAGE_EVENTS, RESPONSE_EVENTS, STREAMED, at, typed

from InferenceLibrary.protocol.exchange import Exchange
from InferenceLibrary.protocol.rules.book import judge
from InferenceLibrary.protocol.rules.delta_pattern import DeltaPattern
from InferenceLibrary.protocol.rules.rule import Known, Reference
from InferenceLibrary.protocol.rules.typed_stream import TypedReader

TEXTS = ("a", " b", "", "ü", "日本", "😀", '"', "\\", "\n", "\u2028", "\ud83d", "x" * 50, "1", "{}", ",")
PLACES = {
    "/v1/responses": at(RESPONSE_EVENTS, "response.output_text.delta"),
    "/v1/messages": at(MESSAGE_EVENTS, "content_block_delta", 3),
    "/execute": at(JOB_EVENTS, "token"),
}
KNOWN = Known(reference=Reference.OPEN_RESPONSES)


def _written(event: Any) -> str:
    ascii_only = "\\ud83d" in json.dumps(event)
    return json.dumps(dict(sorted(event.items())), separators=(",", ":"), ensure_ascii=ascii_only)


def streams(path: str, asked: Any, events: list[Any], draw: random.Random) -> Iterator[Exchange]:
    """Streams with many more deltas, some of them odd."""
    place = PLACES[path]
    for _ in range(150):
        made = copy.deepcopy(events)
        delta = made.pop(place)
        more = []
        for number in range(draw.randint(2, 12)):
            one = copy.deepcopy(delta)
            holder, key = (one["delta"], "text") if path == "/v1/messages" else (one, "t" if "t" in one else "delta")
            holder[key] = draw.choice(TEXTS) if draw.random() < 0.5 else f" word{number}"
            if "i" in one:
                one["i"] = number
            more.append(one)
        made[place:place] = more
        for number, event in enumerate(made):
            if "sequence_number" in event:
                event["sequence_number"] = number
        for _ in range(draw.choice((0, 0, 1, 2))):
            odd = draw.choice(more)
            key = draw.choice(list(odd))
            if draw.random() < 0.5:
                odd.pop(key)
            else:
                odd[key] = draw.choice((5, None, "x", 7.0))
        parts: list[Any] = made
        if draw.random() < 0.3:
            # Other spacing, and keys in another order.
            parts = [_written(one) for one in made]
        yield typed(path, asked, parts, named=draw.random() < 0.7)


@pytest.mark.parametrize(("path", "events", "asked"), STREAMED)
def test_the_verdict_is_the_same(
    path: str, events: list[Any], asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = list(streams(path, asked, events, random.Random(path)))
    seen = 0
    taken = DeltaPattern.text_of

    def counted(self: DeltaPattern, *more: Any) -> str | None:
        nonlocal seen
        text = taken(self, *more)
        seen += text is not None
        return text

    monkeypatch.setattr(DeltaPattern, "text_of", counted)
    quick = [[str(one) for one in judge(call, KNOWN).violations] for call in calls]
    assert seen > 100
    monkeypatch.setattr(TypedReader, "at_sight", lambda self, event: False)
    assert quick == [[str(one) for one in judge(call, KNOWN).violations] for call in calls]
    assert any(quick)
