"""The book itself: who is asked, what is left out, rules of users, rules over several exchanges."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from protocol.rules.exchanges import DONE, GOOD, ROLE, STOP, chat_stream

from InferenceLibrary.protocol.rules import rule as rules
from InferenceLibrary.protocol.rules.book import judge, judge_several, load_rules, rules_of
from InferenceLibrary.protocol.rules.event_stream import EventStream
from InferenceLibrary.protocol.rules.rule import REGISTRY, Api, Found, Known, Level, rule

OWN = """
from InferenceLibrary.protocol.rules.rule import Found, Level, rule
from InferenceLibrary.protocol.rules.views import Answer

@rule("OWN1", Level.MUST, "An answer names its machine.", source="our handbook", kinds=("missing",), view=Answer)
def machine_named(view, known):
    if view.exchange.header("x-machine") is None:
        yield Found("missing", "no x-machine")
"""


@pytest.fixture(autouse=True)
def _the_book_stays_as_it_is() -> Iterator[None]:
    before = dict(REGISTRY)
    yield
    REGISTRY.clear()
    REGISTRY.update(before)


def test_every_rule_says_all_that_it_must() -> None:
    for name, one in REGISTRY.items():
        assert name == one.id
        assert one.sentence[0].isupper()
        assert one.sentence.endswith(".")
        assert "read 2026" in one.source, name
        assert len(set(one.kinds)) == len(one.kinds) > 0


def test_each_kind_of_each_rule_is_found_by_a_test() -> None:
    """Every kind stands in a table of these tests as what a bad answer must show."""
    sources = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    shown = set(re.findall(r'\("([A-Z]+\d+)", "([^"]+)"', sources))
    assert {(one.id, str(kind)) for one in REGISTRY.values() for kind in one.kinds} - shown == set()


def test_a_rule_that_is_left_out_is_not_asked() -> None:
    call = chat_stream([ROLE, STOP])
    assert "F8" in judge(call).broken
    judgement = judge(call, leave_out=["F8"])
    assert "F8" not in (*judgement.broken, *judgement.kept, *judgement.not_judged)
    assert judge(call, only=["F8"]).broken == ("F8",)
    with pytest.raises(ValueError, match=r"Expected the id of a rule, one of .*, F8, .*; got 'F99'"):
        judge(call, leave_out=["F99"])


def test_rules_of_an_api() -> None:
    assert "F8" in {one.id for one in rules_of(Api.CHAT)}
    assert "F8" not in {one.id for one in rules_of(Api.EMBEDDINGS)}
    assert "F10" in {one.id for one in rules_of(Api.EMBEDDINGS)}
    assert rules_of() == list(REGISTRY.values())


def test_rules_of_a_file_are_asked(tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text(OWN)
    assert [one.id for one in load_rules(file)] == ["OWN1"]
    assert judge(chat_stream(GOOD)).broken == ("OWN1",)
    file.write_text(OWN.replace("OWN1", "OWN2"))
    assert [one.id for one in load_rules(file)] == ["OWN2"]
    assert judge(chat_stream(GOOD)).broken == ("OWN2",)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = 1", "writes rules down by '@rule"),
        ("1 / 0", "ZeroDivisionError"),
        ("raise SystemExit(3)", "could not be read: SystemExit: 3"),
        (OWN.replace("OWN1", "F8"), "Rule 'F8' is written down twice"),
        (OWN.replace("machine.", "machine"), "needs a sentence with a full stop"),
    ],
)
def test_a_file_without_good_rules_is_refused(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "own.py"
    file.write_text(text)
    before = dict(REGISTRY)
    with pytest.raises(ValueError, match=words):
        load_rules(file)
    assert before == REGISTRY


@pytest.mark.parametrize("mistake", ["raise SystemExit(3)", "{}['a']", "None.a", "1 / 0", "no_such_name"])
def test_a_mistake_in_a_rule_of_ones_own_tells_where_it_is(tmp_path: Path, mistake: str) -> None:
    file = tmp_path / "own.py"
    begin, function, rest = OWN.partition("    yield")
    file.write_text(f"{begin}    {mistake}\n{function}{rest}")
    load_rules(file)
    with pytest.raises(ValueError, match=rf"^Rule 'OWN1' of {file} failed: [A-Z]\w+: "):
        judge(chat_stream(GOOD))


def test_a_file_that_breaks_when_loaded_again_leaves_its_former_rules(tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text(OWN)
    load_rules(file)
    file.write_text("1 / 0")
    with pytest.raises(ValueError, match="ZeroDivisionError"):
        load_rules(file)
    assert "OWN1" in REGISTRY


def test_a_kind_that_a_rule_does_not_have_is_an_error() -> None:
    @rule("OWN1", Level.MUST, "Nothing holds.", source="here", kinds=("one",), view=EventStream)
    def check(view: EventStream, known: Known) -> Iterator[Found]:
        yield Found("other", "")

    with pytest.raises(ValueError, match="not one of its kinds"):
        judge(chat_stream(GOOD))


def test_rules_over_several_exchanges() -> None:
    @rule("OWN1", Level.MUST, "All are as long.", source="here", kinds=("longer",), view=EventStream, several=True)
    def check(views: list[Any], known: Known) -> Iterator[Found]:
        for number, view in enumerate(views):
            if view.count != views[0].count:
                yield Found("longer", f"{view.count} events", exchange=number)

    short, long = chat_stream([ROLE, STOP, DONE]), chat_stream(GOOD)
    assert "OWN1" not in (*judge(long).kept, *judge(long).broken)
    assert judge_several([short]).kept == ()
    assert judge_several([short, short]).kept == ("OWN1",)
    (violation,) = judge_several([short, short, long]).violations
    assert (violation.exchange, violation.got) == (2, f"{len(GOOD)} events")
    assert violation.excerpt == long.body[:200]


def test_all_violations_of_a_rule_are_bounded() -> None:
    call = chat_stream([ROLE, *["5"] * 500, DONE])
    assert sum(one.rule.id == "F7" for one in judge(call).violations) == 100
    assert rules.Judgement(tuple(judge(call).violations), (), {}).broken.count("F7") == 1
