"""Every keyword keeps to docs/grammar.md: names, and what arguments are called and how they are given."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from robot.libdocpkg import LibraryDocumentation

HANDLES = {"server", "terminal", "monitor", "measurement", "benchmark", "call"}
"""Arguments that say where: by name only."""
SWITCHES = {"Switch Server"}
OLD_WORDS = {"code", "param", "category", "error_contains", "mention", "instructions", "expect_graceful"}
"""Arguments for which there is another word."""
RUNS_SOMETHING = re.compile(r"^(Body|Program|Model|Onnx Model|Providers|Generation Engines) ")
"""Checks that make a call, or run a program or a model take the time limit of that action."""
OF_OTHERS = {
    name.lower()
    for name in Path(__file__).with_name("names_of_others.txt").read_text(encoding="utf-8").splitlines()
    if not name.startswith("#")
}
"""All keywords of Browser and SeleniumLibrary: names are compared as Robot does, without regard to case."""


class Given:
    """One keyword as libdoc shows it."""

    def __init__(self, name: str, arguments: dict[str, bool]) -> None:
        self.name = name
        self.arguments = arguments
        """Names, and whether each is taken by name only."""


def breaches(keyword: Given) -> Iterator[str]:
    names = set(keyword.arguments)
    if keyword.name.lower() in OF_OTHERS:
        yield "the name is that of a keyword of Browser or SeleniumLibrary"
    if re.search(r"\d|\$\{", keyword.name):
        yield "numbers are arguments"
    if not re.fullmatch(r"(?:(?:[A-Z][a-z]*|\d+)(?: |$))+", re.sub(r"\$\{.*?\} ", "", keyword.name)):
        yield "words begin with a capital"
    for name in sorted(HANDLES & names):
        if not keyword.arguments[name] and keyword.name not in SWITCHES:
            yield f"{name} is given by name only"
    for name in sorted(OLD_WORDS & names):
        yield f"{name} has another word"
    if keyword.name.startswith("Wait Until") and "timeout" in names:
        yield "what waits until something holds takes within"
    if " Should " in keyword.name and "timeout" in names and not RUNS_SOMETHING.match(keyword.name):
        yield "a check that is tried again takes within"
    if "within" in names and not re.search(r"(^Wait Until | Should |^Get )", keyword.name):
        yield "an action takes timeout"


def ours() -> list[Given]:
    return [
        Given(found.name, {argument.name: argument.kind == "NAMED_ONLY" for argument in found.args})
        for found in LibraryDocumentation("InferenceLibrary").keywords
    ]


def test_every_keyword_keeps_to_the_grammar() -> None:
    keywords = ours()
    assert len(OF_OTHERS) > 250
    assert len(keywords) > 150
    assert [f"{one.name}: {why}" for one in keywords for why in breaches(one)] == []
    assert {one.name for one in keywords} >= SWITCHES


@pytest.mark.parametrize(
    ("name", "arguments", "why"),
    [
        ("Get Text", {}, "the name is that of a keyword of Browser or SeleniumLibrary"),
        ("At Least 5 Should Do", {}, "numbers are arguments"),
        ("Stop server", {}, "words begin with a capital"),
        ("Stop Server", {"server": False}, "server is given by name only"),
        ("Error Should Be", {"code": True}, "code has another word"),
        ("Wait Until It Is There", {"timeout": True}, "what waits until something holds takes within"),
        ("Server Should Be Idle", {"timeout": True}, "a check that is tried again takes within"),
        ("Chat", {"within": True}, "an action takes timeout"),
    ],
)
def test_each_clause_is_held(name: str, arguments: dict[str, bool], why: str) -> None:
    assert list(breaches(Given(name, arguments))) == [why]
