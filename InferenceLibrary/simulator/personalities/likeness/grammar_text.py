"""A text that a grammar allows: GBNF, as llama.cpp and vLLM take it, and the plain rules of Lark."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any

_TOKEN = re.compile(
    r"""(?P<space>\s+|\#[^\n]*|//[^\n]*)|(?P<text>"(?:[^"\\]|\\.)*")|(?P<set>\[(?:[^\]\\]|\\.)*\])"""
    r"""|(?P<times>\{\d+(?:,\d*)?\})|(?P<name>\??[A-Za-z_][\w-]*)|(?P<sign>::=|[:|()*+?.])""",
    re.VERBOSE,
)
_MOST_RULES = 500
_ROOTS = ("root", "start", "?start")
_LONGEST = 20_000
"""Characters and steps of a text that is still written."""
_FREE_STEPS = 60
"""So many parts may be written before the shortest ways are taken, so that each grammar comes to an end."""
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}


@dataclass(slots=True)
class _Node:
    """One part of a rule: `text`, `set`, `rule`, `times`, `sequence` or `choice`."""

    kind: str
    value: Any = None
    parts: list[_Node] = field(default_factory=list)


def text_of_grammar(grammar: str, pick: int = 0) -> str:
    """Return a text of the grammar: the fewest repetitions, and of the ways of a choice that end that at place `pick`.

    Raises:
        ValueError: The grammar cannot be read, has no root, or no text of it was found.
    """
    rules = _rules(_tokens(grammar))
    if len(rules) > _MOST_RULES:
        raise ValueError(f"it has {len(rules)} rules, and at most {_MOST_RULES} are read")
    root = next((name for name in _ROOTS if name in rules), None)
    if root is None:
        raise ValueError("it has no rule root or start")
    return _Writer(rules, pick).text(rules[root])


def _tokens(grammar: str) -> list[tuple[str, str]]:
    found, place = [], 0
    while place < len(grammar):
        match = _TOKEN.match(grammar, place)
        if match is None:
            raise ValueError(f"unexpected {grammar[place]!r} at character {place}")
        place = match.end()
        if match.lastgroup != "space":
            found.append((str(match.lastgroup), match[0]))
    return found


def _rules(tokens: list[tuple[str, str]]) -> dict[str, _Node]:
    """Return what stands behind the name of each rule."""
    starts = [
        place
        for place, (kind, _) in enumerate(tokens[:-1])
        if kind == "name" and tokens[place + 1][0] == "sign" and tokens[place + 1][1] in {"::=", ":"}
    ]
    if not starts or starts[0]:
        raise ValueError("it does not begin with a rule")
    ends = [*starts[1:], len(tokens)]
    rules: dict[str, _Node] = {}
    for start, end in zip(starts, ends, strict=True):
        reader = _Reader(tokens[start + 2 : end])
        rules[tokens[start][1]] = reader.choice()
        if reader.rest():
            raise ValueError(f"unexpected {reader.rest()[0][1]!r} in the rule {tokens[start][1]}")
    return rules


class _Reader:
    """Reads the body of one rule."""

    def __init__(self, tokens: Sequence[tuple[str, str]]) -> None:
        self._tokens = tokens
        self._place = 0

    def rest(self) -> Sequence[tuple[str, str]]:
        """Return what is not read yet."""
        return self._tokens[self._place :]

    def _next(self) -> tuple[str, str]:
        return self._tokens[self._place] if self._place < len(self._tokens) else ("", "")

    def choice(self) -> _Node:
        """Read sequences with | between them."""
        ways = [self._sequence()]
        while self._next()[1] == "|":
            self._place += 1
            ways.append(self._sequence())
        return ways[0] if len(ways) == 1 else _Node("choice", parts=ways)

    def _sequence(self) -> _Node:
        parts = []
        while (kind := self._next()[0]) in {"text", "set", "name"} or self._next()[1] in {"(", "."}:
            value = self._next()[1]
            self._place += 1
            if value == "(":
                node = self.choice()
                if self._next()[1] != ")":
                    raise ValueError("a parenthesis is not closed")
                self._place += 1
            elif kind == "text":
                node = _Node("text", _plain(value[1:-1]))
            else:
                node = _Node("rule" if kind == "name" else "set", value)
            parts.append(self._repeated(node))
        return parts[0] if len(parts) == 1 else _Node("sequence", parts=parts)

    def _repeated(self, node: _Node) -> _Node:
        kind, value = self._next()
        if kind == "times":
            self._place += 1
            return _Node("times", min(int(re.findall(r"\d+", value)[0]), _LONGEST + 1), [node])
        if value in {"*", "+", "?"}:
            self._place += 1
            return _Node("times", int(value == "+"), [node])
        return node


def _plain(text: str) -> str:
    return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[1]), text)


class _Writer:
    """Writes a text, and knows the length of the shortest one of each rule."""

    def __init__(self, rules: dict[str, _Node], pick: int) -> None:
        self._rules = rules
        self._pick = pick
        self._steps = 0
        self._least = dict.fromkeys(rules, inf)
        while True:
            # Each round finds the rules that need one more step than those found before.
            least = {name: self._length(node) for name, node in rules.items()}
            if least == self._least:
                break
            self._least = least

    def _length(self, node: _Node) -> float:
        """Return how long the shortest text of a part is, as far as it is known; infinite: it has none."""
        match node.kind:
            case "text":
                return len(node.value)
            case "set":
                return 1
            case "rule":
                if node.value not in self._rules:
                    raise ValueError(f"the rule {node.value} is not there")
                return self._least[node.value] + 1
            case "times":
                return self._length(node.parts[0]) * node.value if node.value else 0
            case "choice":
                return min(map(self._length, node.parts))
        return sum(map(self._length, node.parts))

    def text(self, node: _Node) -> str:
        """Return a text of a part.

        Raises:
            ValueError: There is none, or it is too long.
        """
        if self._length(node) > _LONGEST:
            raise ValueError("no text of it was found" if self._length(node) == inf else "each text of it is too long")
        self._steps += 1
        match node.kind:
            case "text":
                return str(node.value)
            case "set":
                return _character(node.value)
            case "rule":
                return self.text(self._rules[node.value])
            case "times":
                return self.text(node.parts[0]) * node.value if node.value else ""
            case "choice":
                return self.text(self._way(node.parts))
        return "".join(self.text(part) for part in node.parts)

    def _way(self, ways: list[_Node]) -> _Node:
        """Return the way to take: that which was picked, the shortest one where many were taken."""
        if self._steps > _FREE_STEPS:
            return min(ways, key=self._length)
        ending = [way for way in ways if self._length(way) < inf]
        return ending[self._pick % len(ending)]


def _character(members: str) -> str:
    """Return the first printable character of a set."""
    if members == ".":
        return "a"
    try:
        return next(one for one in map(chr, range(32, 0x250)) if re.fullmatch(members, one))
    except (re.error, StopIteration):
        raise ValueError(f"no character is in {members}") from None
