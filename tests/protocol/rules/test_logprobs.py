"""Rules of log probabilities: in streams and whole answers, in the forms of chats and completions."""

from __future__ import annotations

from typing import Any

import pytest
from protocol.rules.exchanges import (
    COMPLETIONS,
    DONE,
    LOGPROBS,
    PROMPT,
    ROLE,
    STOP,
    answer,
    chat,
    chat_stream,
    chunk,
    completion,
    found,
    text,
    token,
    whole,
    with_logprobs,
    without,
)

from InferenceLibrary.protocol.exchange import Exchange


def asked(*tokens: Any, content: str = "Hi", top: int = 1) -> Exchange:
    return chat(with_logprobs(*tokens, content=content), {**LOGPROBS, "top_logprobs": top})


def streamed(*parts: tuple[str, list[Any]]) -> Exchange:
    events = []
    for said, tokens in parts:
        event = chunk({"content": said})
        event["choices"][0]["logprobs"] = {"content": tokens}
        events.append(event)
    return chat_stream([ROLE, *events, STOP, DONE], LOGPROBS)


def lists(said: str, **logprobs: Any) -> Exchange:
    data = completion(text(said, logprobs=logprobs))
    return answer(COMPLETIONS, {**PROMPT, "logprobs": 1}, data)


HI = token("Hi")
OTHER = {"token": "Ho", "logprob": -3.0, "bytes": [72, 111]}
LISTS = {
    "tokens": ["H", "i"],
    "token_logprobs": [-0.1, -0.2],
    "top_logprobs": [{"H": -0.1}, {"i": -0.2}],
    "text_offset": [0, 1],
}


@pytest.mark.parametrize(
    ("call", "breach"),
    [
        (asked("Hi"), ("C23", "shape")),
        (asked({**HI, "token": 5}), ("C23", "shape")),
        (asked({**HI, "top_logprobs": ["Hi"]}), ("C23", "shape")),
        (chat(with_logprobs(HI, refusal="no"), LOGPROBS), ("C23", "shape")),
        (asked(token("Hi", 0.5)), ("C23", "logprob")),
        (asked(token("Hi", None)), ("C23", "logprob")),
        (asked(token("Hi", "low")), ("C23", "logprob")),
        (asked(without(HI, "top_logprobs", 0, "logprob")), ("C23", "logprob")),
        (streamed(("Hi", [token("Hi", 0.5)])), ("C23", "logprob")),
        (asked({**HI, "bytes": "Hi"}), ("C23", "bytes")),
        (asked({**HI, "bytes": [72, 300]}), ("C23", "bytes")),
        (asked(without(HI, "bytes")), ("C23", "bytes")),
        (asked(without(HI, "top_logprobs")), ("C23", "alternatives")),
        (chat(whole(), LOGPROBS), ("L1", "missing")),
        (asked({**HI, "top_logprobs": [HI, OTHER]}), ("L1", "too many alternatives")),
        (asked({**HI, "top_logprobs": [HI, HI]}, top=2), ("L2", "twice")),
        (asked({**HI, "top_logprobs": [HI, {**OTHER, "logprob": -0.1}]}, top=2), ("L2", "sum")),
        (asked({**HI, "bytes": [72, 111]}), ("L3", "other bytes")),
        (asked(token("Hi"), token("!")), ("L4", "other text")),
        (asked(token("H")), ("L4", "other text")),
        (asked(token("Hi there")), ("L4", "other text")),
        (asked(token("Hi"), token("<b> you")), ("L4", "other text")),
        (streamed(("Hi", [token("Ho")])), ("L4", "other text")),
        (lists("Hi", **{**LISTS, "tokens": "Hi"}), ("C23", "shape")),
        (lists("Hi", **{**LISTS, "token_logprobs": [-0.1]}), ("C23", "shape")),
        (lists("Hi", **{**LISTS, "tokens": ["H", 5]}), ("C23", "shape")),
        (lists("Hi", content=[HI]), ("C23", "shape")),
        (chat(with_logprobs(**LISTS), LOGPROBS), ("C23", "shape")),
        (lists("Hi", **{**LISTS, "token_logprobs": [-0.1, 3]}), ("C23", "logprob")),
        (lists("Hi", **{**LISTS, "top_logprobs": [{"H": 3}, None]}), ("C23", "logprob")),
        (lists("Hi", **{**LISTS, "top_logprobs": ["H", "i"]}), ("C23", "alternatives")),
        (lists("Hi", **{**LISTS, "top_logprobs": [{"H": -0.1, "J": -0.1}, None]}), ("L2", "sum")),
        (lists("Ho", **LISTS), ("L4", "other text")),
        (lists("Hi", **{**LISTS, "text_offset": [1, 0]}), ("X5", "text offset")),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else "",
)
def test_each_kind_is_found(call: Exchange, breach: tuple[str, str]) -> None:
    assert breach in found(call)


FRENCH = "é".encode()
HALVES = [
    token("bytes:\\xc3", bytes=[FRENCH[0]], top_logprobs=[]),
    token("bytes:\\xa9", bytes=[FRENCH[1]], top_logprobs=[]),
]
UNKNOWN = [token("\ufffd", bytes=[FRENCH[0]], top_logprobs=[]), token("\ufffd", bytes=[FRENCH[1]], top_logprobs=[])]
END = {"token": "", "logprob": -4.0, "bytes": []}


@pytest.mark.parametrize(
    "call",
    [
        asked(HI),
        asked(token("H"), token("i")),
        asked({**HI, "top_logprobs": [HI, OTHER]}, top=2),
        asked({**HI, "top_logprobs": [HI, END, END]}, top=3),
        asked(*HALVES, content="é"),
        asked(*UNKNOWN, content="é"),
        asked({**HI, "bytes": None}),
        streamed(("Hi", [token("H"), token("i")]), (" you", [token(" you")])),
        asked(HI, token("<|im_end|>")),
        asked(HI, token("</s>"), token("<eos>")),
        lists(
            "Hi",
            **{
                **{name: [*given, None] for name, given in LISTS.items()},
                "tokens": ["H", "i", "<|im_end|>"],
                "text_offset": None,
            },
        ),
        lists("Hi", **LISTS),
        lists("Hi", **{**LISTS, "top_logprobs": None, "text_offset": None}),
        chat(with_logprobs(HI, token(" there")), {**LOGPROBS, "stop": " there"}),
        chat(with_logprobs(token("token_id:5", bytes=[72, 105])), {**LOGPROBS, "return_tokens_as_token_ids": True}),
    ],
)
def test_sound_log_probabilities_keep_all_rules(call: Exchange) -> None:
    assert found(call) == set()


def test_the_message_speaks_of_bytes() -> None:
    from InferenceLibrary.protocol.rules.book import judge

    call = asked(*(token("\ufffd", top_logprobs=[]) for _ in FRENCH), content="é")
    (violation,) = judge(call).violations
    assert violation.rule.id == "L4"
    assert "bytes" in violation.got
