"""A text of a grammar: what it is, which way of several is taken, and what is told of a grammar that is wrong."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from InferenceLibrary.simulator.personalities.likeness.grammar_text import text_of_grammar


@pytest.mark.parametrize(
    ("grammar", "pick", "text"),
    [
        ('root ::= "yes" | "no"', 0, "yes"),
        ('root ::= "yes" | "no"', 1, "no"),
        ('root ::= "yes" | "no"', 2, "yes"),
        ('root ::= "a"{5,5} "b"? "c"+ "d"*', 0, "aaaaac"),
        ('root ::= ("x" | "y") item\nitem ::= [0-9]{2} # two digits', 1, "y00"),
        ('root ::= root "a" | "b"', 1, "b"),
        ('root ::= "a" item\nitem ::= none | "b"\nnone ::= none', 0, "ab"),
        ('start: "a" "\\n" other\nother: "c" .', 0, "a\nca"),
    ],
)
def test_a_grammar_has_a_text(grammar: str, pick: int, text: str) -> None:
    assert text_of_grammar(grammar, pick) == text


@pytest.mark.parametrize(
    ("grammar", "told"),
    [
        ("root ::= other", "the rule other is not there"),
        ('other ::= "a"', "no rule root or start"),
        ('root ::= ("a"', "a parenthesis is not closed"),
        ('root ::= "a" )', "unexpected '\\)' in the rule root"),
        ('"a" root ::= "b"', "does not begin with a rule"),
        ("root ::= %", "unexpected '%' at character 9"),
        ('root ::= "a" root', "no text of it was found"),
        ("root ::= [z-a]", "no character is in"),
        ('root ::= "a"{9999} "a"{19999}', "each text of it is too long"),
    ],
)
def test_what_is_wrong_with_a_grammar_is_told(grammar: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        text_of_grammar(grammar)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(['"a"', "[0-9]", "root", "b", "(", ")", "|", "*", "{2}", ":", "\n", "?", "."])))
def test_any_grammar_has_a_text_or_is_told_to_be_wrong(words: list[str]) -> None:
    told = ""
    text = None
    try:
        text = text_of_grammar("root ::= " + " ".join(words))
    except ValueError as error:
        told = str(error)
    assert isinstance(text, str) or told
