"""Secrets that a server says in pieces are masked in the bytes of its stream and in the data of its events."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from InferenceLibrary.protocol.masking import mask_pieces, mask_stream
from InferenceLibrary.protocol.sse import SSEDecoder
from InferenceLibrary.redaction import Redactor

KEY = "sk-planted-7f3a9c"
REDACT = Redactor()
REDACT.add(KEY)


def delta(content: str, index: int = 0, name: str = "content") -> str:
    return json.dumps({"id": "1", "choices": [{"index": index, "delta": {name: content}}]})


def texts(raw: bytes) -> list[str]:
    return [event.data for event in SSEDecoder().feed(raw)]


def stream(datas: list[str], end: str = "\n") -> bytes:
    return "".join(f"event: x{end}data: {data}{end}: note{end}{end}" for data in datas).encode()


def joined(datas: list[str], index: int = 0, name: str = "content") -> str:
    choices = [choice for data in datas for choice in json.loads(data)["choices"] if choice["index"] == index]
    return "".join(choice["delta"].get(name, "") for choice in choices)


@given(st.lists(st.integers(0, len(KEY) + 8), max_size=6), st.sampled_from(["\n", "\r\n"]))
def test_a_secret_in_pieces_is_masked_wherever_it_is_cut(cuts: list[int], end: str) -> None:
    said = f"key {KEY} end"
    edges = [0, *sorted(cuts), len(said)]
    datas = [delta(said[begin:until]) for begin, until in itertools.pairwise(edges)]
    raw = stream(datas, end)
    masked = texts(mask_stream(raw, SSEDecoder().feed(raw), REDACT))
    assert len(masked) == len(datas)
    assert joined(masked) == "key *** end"


def test_choices_and_fields_are_told_apart() -> None:
    datas = [delta(KEY[:5]), delta("other", 1), delta(KEY[5:9], name="reasoning"), delta(KEY[5:]), "[DONE]"]
    masked = mask_pieces(datas, REDACT)
    assert sorted(masked) == [0, 3]
    assert [json.loads(masked[at])["choices"][0]["delta"]["content"] for at in (0, 3)] == ["***", ""]


def test_two_secrets_that_share_a_piece_are_both_masked() -> None:
    said = f"a{KEY}b{KEY}c"
    cut = len(KEY)
    datas = [delta(said[:5]), delta(said[5 : cut + 6]), delta(said[cut + 6 :])]
    masked = mask_pieces(datas, REDACT)
    assert joined([masked.get(at, data) for at, data in enumerate(datas)]) == "a***b***c"


def test_arguments_of_tool_calls_and_plain_data_are_looked_at_too() -> None:
    def call(text: str) -> str:
        return json.dumps({"choices": [{"delta": {"tool_calls": [{"index": 3, "function": {"arguments": text}}]}}]})

    masked = mask_pieces([call(f'{{"key": "{KEY[:7]}'), call(f'{KEY[7:]}"}}')], REDACT)
    assert '"***' in json.loads(masked[0])["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"]
    assert mask_pieces([KEY[:7], KEY[7:] + "!"], REDACT) == {0: "***", 1: "!"}


def test_a_secret_in_one_piece_is_masked_in_the_bytes() -> None:
    raw = stream([delta(KEY)]) + b"\xff"
    assert mask_stream(raw, SSEDecoder().feed(raw), REDACT) == stream([delta("***")]) + b"\xff"


@pytest.mark.parametrize("datas", [[], ["{}", "5", "[1]", '"a"', "no json"]])
def test_without_pieces_nothing_changes(datas: list[str]) -> None:
    raw = stream(datas)
    assert mask_pieces(datas, REDACT) == {}
    assert mask_stream(raw, SSEDecoder().feed(raw), REDACT) == raw
    cut = stream([delta(KEY[:5]), delta(KEY[5:])])
    assert mask_stream(cut, SSEDecoder().feed(cut), Redactor()) == cut, "what is not known is not masked"
