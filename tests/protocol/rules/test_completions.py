"""Rules of text completions: each kind fails for its own reason; good answers keep all."""

from __future__ import annotations

from typing import Any

import pytest
from protocol.rules.exchanges import COMPLETIONS, DONE, PROMPT, USAGE, answer, completion, found, stream, text, without

from InferenceLibrary.protocol.exchange import Exchange


def whole(*choices: dict[str, Any], asked: Any = PROMPT, **more: Any) -> Exchange:
    return answer(COMPLETIONS, asked, completion(*choices, **more))


def streamed(*events: Any, asked: Any = PROMPT) -> Exchange:
    return stream(COMPLETIONS, asked, events)


HELLO = completion(text("Hello", None))
END = completion(text(" you.", "stop"))
TWO = {**PROMPT, "prompt": ["One", "Two"], "n": 2}
WITH_USAGE = {**PROMPT, "stream_options": {"include_usage": True}}
COUNT = {**completion(), "usage": USAGE}
NONE = {"usage": None}
NO_PROMPT = {**USAGE, "prompt_tokens": 0, "total_tokens": USAGE["completion_tokens"]}


@pytest.mark.parametrize(
    ("call", "breach"),
    [
        (whole(text("Hi"), object="chat.completion"), ("X1", "value")),
        (streamed({**HELLO, "object": "text_completion.chunk"}, END, DONE), ("X1", "value")),
        (streamed(without(HELLO, "model"), END, DONE), ("X1", "missing")),
        (streamed({**HELLO, "choices": None}, END, DONE), ("X1", "null")),
        (whole(text("Hi"), created="now"), ("X1", "type")),
        (whole(), ("X1", "no choice")),
        (whole(without(text("Hi"), "text")), ("X2", "missing")),
        (streamed(HELLO, without(END, "choices", 0, "finish_reason"), DONE), ("X2", "no key finish_reason")),
        (streamed(completion(text("Hi", None, index="0")), END, DONE), ("X2", "type")),  # type: ignore[arg-type]
        (whole({**text("Hi"), "text": None}), ("X2", "null")),
        (whole(text("Hi"), asked={**PROMPT, "n": 2}), ("X4", "too few")),
        (streamed(HELLO, END, DONE, asked=TWO), ("X4", "too few")),
        (whole(text("Hi"), text("Ho")), ("X4", "too many")),
        (whole(text("Hi", index=7)), ("X4", "index")),
        (whole(text("Hi"), asked={**PROMPT, "echo": True}), ("X5", "no prompt")),
        (streamed(HELLO, END, DONE, asked=WITH_USAGE), ("X6", "missing")),
        (streamed({**HELLO, **NONE}, {**END, "usage": USAGE}, DONE, asked=WITH_USAGE), ("X6", "with choices")),
        (streamed({**HELLO, **NONE}, COUNT, {**END, **NONE}, DONE, asked=WITH_USAGE), ("X6", "before the end")),
        (streamed({**END, **NONE}, COUNT, COUNT, DONE, asked=WITH_USAGE), ("X6", "twice")),
        (streamed({**END, **NONE}, COUNT, {**completion(), **NONE}, DONE, asked=WITH_USAGE), ("X6", "not last")),
        (streamed(HELLO, END, COUNT, DONE, asked=WITH_USAGE), ("C15", "missing")),
        (streamed(HELLO, END, END, DONE), ("C9", "twice")),
        (whole(text("Hi"), usage=NO_PROMPT), ("U2", "prompt")),
        (whole(text("Hi"), asked={**PROMPT, "prompt": [1, 2]}, usage=NO_PROMPT), ("U2", "prompt")),
        (streamed(HELLO, DONE), ("C9", "missing")),
        (whole(text("Hi", "tool_calls")), ("C9", "unknown")),
        (streamed(END, HELLO, DONE), ("C11", "more")),
        (streamed(END), ("F8", "missing")),
        (whole(text("Hi you"), asked={**PROMPT, "stop": ["you"]}), ("C20", "whole")),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else "",
)
def test_each_kind_is_found(call: Exchange, breach: tuple[str, str]) -> None:
    assert breach in found(call)


@pytest.mark.parametrize(
    "call",
    [
        whole(text("Hi")),
        whole(text("Hi"), usage=USAGE),
        streamed(HELLO, END, DONE),
        streamed({**HELLO, **NONE}, {**END, **NONE}, COUNT, DONE, asked=WITH_USAGE),
        whole(*(text("Hi", index=index) for index in range(4)), asked=TWO),
        whole(text("Say hello. Hi"), asked={**PROMPT, "echo": True, "stop": "Say"}),
        whole(text("One Hi"), text("Two Hi", index=1), asked={**PROMPT, "prompt": ["One", "Two"], "echo": True}),
        whole(text("Hi"), asked={**PROMPT, "prompt": [1, 2, 3]}),
        whole(text("Hi"), text("Hi", index=1), asked={**PROMPT, "prompt": [[1, 2], [3]]}),
    ],
)
def test_good_completions_keep_all_rules(call: Exchange) -> None:
    assert found(call) == set()


def test_the_path_of_another_api_is_left_alone() -> None:
    assert found(answer("/completions", {}, {"content": "Hi", "stop": True})) == set()
    assert ("X1", "missing") in found(answer("/completions", {}, without(completion(text("Hi")), "id")))
