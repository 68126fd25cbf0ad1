"""The player of recordings notices each way in which a stand-in is unlike the recorded server."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from dialect_proof import unlike
from likeness import compared, served, told_otherwise
from recordings import Recorded, recording

from InferenceLibrary.dialects.files import load_dialect
from InferenceLibrary.protocol.exchange import Exchange

RECORDS = {one.label: one for one in recording("llm-d-inference-sim-0.10.2")}
CHAT = RECORDS["base/chat: plain"]
STREAM = RECORDS["base/chat stream usage"]
LLM_D = ("--as", "llm-d", "--model", "tiny")


def answered(one: Recorded, body: str | None = None, status: int | None = None, **headers: str) -> Exchange:
    """The recorded answer, changed."""
    told = {**one.answer["headers"], **headers}
    text = body or one.answer["body"]
    return Exchange(one.exchange().request, status or one.answer["status"], tuple(told.items()), text.encode())


def changed(one: Recorded, change: dict[str, Any]) -> str:
    return json.dumps({**json.loads(one.answer["body"]), **change})


@pytest.mark.parametrize("one", [CHAT, STREAM, RECORDS["base/GET /metrics"]], ids=lambda one: one.label)
def test_the_recorded_answer_is_like_itself(one: Recorded) -> None:
    assert compared(one, answered(one)) == []


@pytest.mark.parametrize(
    ("one", "got", "place"),
    [
        (CHAT, answered(CHAT, status=201), "status"),
        (CHAT, answered(CHAT, **{"x-own": "1"}), "header x-own"),
        (CHAT, answered(CHAT, changed(CHAT, {"model": "other"})), "body.model"),
        (CHAT, answered(CHAT, changed(CHAT, {"choices": []})), "body.choices"),
        (CHAT, answered(CHAT, changed(CHAT, {"more": None})), "body.more"),
        (CHAT, answered(CHAT, "no JSON"), "body"),
        (STREAM, answered(STREAM, STREAM.answer["body"].replace("data: [DONE]\n\n", "")), "frames"),
        (STREAM, answered(STREAM, STREAM.answer["body"].replace("big ", " big")), "delta.content"),
    ],
)
def test_a_difference_is_told_with_its_place(one: Recorded, got: Exchange, place: str) -> None:
    assert any(place in line for line in compared(one, got))


SAID = CHAT._replace(flags=())
"""An answer as a model gives it: its words and numbers are its own."""


@pytest.mark.parametrize(
    "change", [{"model": None}, {"model": 5}, {"choices": "x"}, {"usage": {}}, {"more": True}], ids=str
)
def test_of_what_a_model_says_the_kinds_are_compared(change: dict[str, Any]) -> None:
    assert compared(SAID, answered(SAID, changed(SAID, change))) != []
    assert compared(SAID, answered(SAID, changed(SAID, {"model": "another"}))) == []


@pytest.mark.parametrize("change", [{"id": "chatcmpl-00000000-1111-2222-3333-444444444444"}, {"created": 1}])
def test_ids_and_times_are_not_compared(change: dict[str, Any]) -> None:
    assert compared(CHAT, answered(CHAT, changed(CHAT, change))) == []


def asked(*labels: str) -> Sequence[Recorded]:
    return [RECORDS[label] for label in labels]


def test_a_stand_in_is_proven_in_its_answers_and_by_the_judge() -> None:
    dialect = load_dialect("llm-d").dialect
    records = asked("base/chat: plain", "base/http no host", "base/chat stream tools required")
    assert unlike(dialect, records, LLM_D, whole=False) == []
    # The reference is another server, and does not do what the dialect says.
    found = unlike(dialect, records, ("--as", "openai", "--model", "tiny"), whole=True)
    assert any(line.startswith("base/chat: plain differs: ") for line in found)
    assert any(line.startswith("the stand-in does not do so: T3 (again; ") for line in found)
    narrow = msgspec.structs.replace(dialect, deviations=[])
    strays = unlike(narrow, asked("base/chat stream tools required"), LLM_D, whole=False)
    assert any("of the stand-in: T3: " in line for line in strays)
    assert "allowed, but nothing differs: base/http no host" in strays


def test_a_stand_in_that_does_not_start_is_told() -> None:
    with pytest.raises(ValueError, match=r"--as nobody does not start: .*nobody"), served(["--as", "nobody"], {}):
        pass


REFUSED = next(one for one in RECORDS.values() if one.answer["status"] == 400 and "message" in one.answer["body"])


def test_a_refusal_in_other_words_is_told_with_both() -> None:
    other = REFUSED.answer["body"].replace('"message":"', '"message":"Alas. ')
    assert told_otherwise(REFUSED, answered(REFUSED)) == ""
    assert ", here 'Alas. " in told_otherwise(REFUSED, answered(REFUSED, other))
    assert told_otherwise(CHAT, answered(CHAT, '{"error": {"message": "no"}}')) == ""


def test_more_refusals_in_other_words_than_may_be_are_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    dialect = load_dialect("llm-d").dialect
    records = asked("base/chat: body trailing")
    assert not any("worded otherwise" in line for line in unlike(dialect, records, LLM_D, whole=False))
    monkeypatch.setattr("dialect_proof.OTHER_WORDS", {})
    found = unlike(dialect, records, LLM_D, whole=False)
    assert "refusals worded otherwise: 1, where 0 may be:" in found
