"""Rules and readers are total: whatever stands in an answer, they say something about it or nothing."""

from __future__ import annotations

import itertools
import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from protocol.rules import mutants
from protocol.rules.exchanges import ASKED, CHAT, DONE, answer, stream
from protocol.rules.good_answers import GOOD_ANSWERS

from InferenceLibrary.protocol.exchange import EVERYTHING, Held
from InferenceLibrary.protocol.rules.book import judge

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["choices", "index", "delta", "message", "usage", "error", "type"]), inner)
    ),
    max_leaves=12,
)


@pytest.mark.parametrize("name", GOOD_ANSWERS)
def test_a_good_answer_keeps_all_rules(name: str) -> None:
    judgement = judge(GOOD_ANSWERS[name])
    assert [str(violation) for violation in judgement.violations] == []
    assert len(judgement.kept) >= 10


@pytest.mark.parametrize("name", GOOD_ANSWERS)
def test_no_mutant_ends_in_an_error(name: str) -> None:
    draw = random.Random(name)
    made = list(mutants.all_mutants(GOOD_ANSWERS[name]))
    for mutant in draw.sample(made, min(len(made), 150)):
        mutants.look(mutant)
        mutants.look(mutants.broken(mutant, draw))


def test_most_mutants_of_a_chat_are_noticed() -> None:
    """The mutants are changes that rules can see, not only ones that they survive."""
    good = GOOD_ANSWERS["chat"]
    made = list(itertools.islice(mutants.texts_of(good.json), 400))
    noticed = sum(bool(judge(answer(CHAT, ASKED, text.encode())).violations) for text in made)
    assert noticed > len(made) * 0.7


@given(JSON, JSON)
def test_any_json_may_come(first: object, second: object) -> None:
    mutants.look(answer(CHAT, first, json.dumps(second).encode("utf-8", "replace")))
    mutants.look(stream(CHAT, ASKED, [json.dumps(first), json.dumps(second), DONE]))


@given(st.binary(max_size=200), st.sampled_from(sorted(EVERYTHING)))
def test_any_bytes_may_come(body: bytes, lacking: Held) -> None:
    held = EVERYTHING - {lacking}
    for call in (answer(CHAT, ASKED, body, held=held), stream(CHAT, ASKED, [body], held=held)):
        mutants.look(call)
