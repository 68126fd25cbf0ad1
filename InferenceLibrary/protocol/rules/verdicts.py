"""What broken rules mean for a call and for a run."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Literal, NamedTuple, Protocol

from InferenceLibrary.protocol.exchange import Exchange, Held
from InferenceLibrary.protocol.rules.apis import api_of
from InferenceLibrary.protocol.rules.rule import Api, Judgement, Level, Rule, Violation

Severity = Literal["warn", "fail", "fail-should", "fail-tagged", "off"]
"""How much a broken rule counts.

`warn`: it is told, a broken must rule with a warning. `fail`: a broken must rule fails the call. `fail-should`: a
broken should rule fails it too. `fail-tagged`: a broken must rule fails the calls of tests with its tag, `rule:C6`;
elsewhere it is a warning. At a server that this project makes it is `fail-should`, but for should rules that rest on
times. `off`: calls are not judged.
"""

TAG = "rule:"
"""A test with this tag, and the id of a rule after it, is the one that fails when a server breaks the rule."""


class Condition(Protocol):
    """When a waiver holds."""

    def hold(self, exchange: Exchange) -> bool:
        """Whether a call is one for which it holds."""


class Waiver(NamedTuple):
    """A rule that is not held against a server."""

    rule: str
    reason: str
    kind: str | None = None
    """The way of breaking it that is waived; None: every way."""
    apis: frozenset[Api] = frozenset()
    """The APIs where it is waived; empty: all."""
    when: Condition | None = None
    """The calls for which it is waived; None: all."""
    unproven: bool = False
    """Whether no recording shows that the server does so."""
    until: date | None = None
    """The last day on which it is to be waived."""
    got: str | None = None
    """Pattern that is found in what the violation got; None: whatever it got."""

    def covers(self, violation: Violation) -> bool:
        return (
            self.rule == violation.rule.id
            and self.kind in {None, violation.kind}
            and (not self.apis or api_of(violation.call) in self.apis)
            and (self.when is None or self.when.hold(violation.call))
            and (self.got is None or re.search(self.got, violation.got) is not None)
        )

    def has_ended(self, today: date) -> bool:
        """Whether its last day is over."""
        return self.until is not None and self.until < today

    def __str__(self) -> str:
        """The rule, with all that makes it narrow, and the reason."""
        got = "" if self.got is None else f"got {self.got}"
        narrow = [self.kind or "", ", ".join(sorted(self.apis)), str(self.when or ""), got]
        said = "; ".join(filter(None, narrow))
        return f"{self.rule}{f' ({said})' if said else ''}: {self.reason}"


class Verdict(NamedTuple):
    """What the rules say of a call, seen by what its server is held to."""

    held: tuple[Violation, ...]
    """Violations that are held against the server."""
    waived: tuple[Violation, ...]

    @property
    def broken(self) -> tuple[str, ...]:
        """Ids of the rules that are held against the server, each once."""
        return tuple(dict.fromkeys(violation.rule.id for violation in self.held))

    def of_level(self, *levels: Level) -> tuple[Violation, ...]:
        return tuple(violation for violation in self.held if violation.level in levels)

    def failing(self, severity: Severity, tags: Iterable[str] = (), *, ours: bool = False) -> tuple[Violation, ...]:
        """The violations that fail the call.

        Args:
            severity: How much broken rules count.
            tags: The tags of the present test.
            ours: Whether the server is one that this project makes.
        """
        if severity == "fail-should":
            return self.held
        must = self.of_level(Level.MUST)
        if severity == "fail-tagged" and ours:
            # What rests on times breaks on a busy machine, too.
            return tuple(one for one in self.held if one in must or Held.TIMES not in one.rule.needs)
        if severity == "fail":
            return must
        if severity != "fail-tagged":
            return ()
        named = {tag.lower() for tag in tags}
        return tuple(violation for violation in must if f"{TAG}{violation.rule.id}".lower() in named)

    def __str__(self) -> str:
        """The end of a line on the call; empty when nothing is broken."""
        waived = dict.fromkeys(violation.rule.id for violation in self.waived)
        parts = [f"breaks {', '.join(self.broken)}"] if self.held else []
        parts += [f"waived {', '.join(waived)}"] if waived else []
        return f"; {'; '.join(parts)}" if parts else ""


def verdict_of(judgements: Iterable[Judgement], waivers: Sequence[Waiver] = ()) -> Verdict:
    """Return the verdict on a call from all that was judged of it."""
    violations = [violation for judgement in judgements for violation in judgement.violations]
    waived = [violation for violation in violations if any(waiver.covers(violation) for waiver in waivers)]
    return Verdict(tuple(one for one in violations if one not in waived), tuple(waived))


def listed(violations: Sequence[Violation], most: int = 10) -> str:
    """Return violations one a line, the first of each rule; the rest are counted."""
    first: dict[str, Violation] = {}
    counts: dict[str, int] = {}
    for violation in violations:
        first.setdefault(violation.rule.id, violation)
        counts[violation.rule.id] = counts.get(violation.rule.id, 0) + 1
    lines = []
    for name, violation in list(first.items())[:most]:
        more = f" ({counts[name]} times)" if counts[name] > 1 else ""
        lines.append(f"{violation}{more}")
    if len(first) > most:
        lines.append(f"and {len(first) - most} rules more")
    return "\n".join(lines)


class _Broken:
    """How often a rule was broken in a run, and where first."""

    def __init__(self, rule: Rule, place: str) -> None:
        self.rule = rule
        self.calls = 0
        self.place = place


class RuleOutcomes(NamedTuple):
    """Ids of the rules that calls were judged by; one rule may stand in several sets."""

    kept: set[str]
    waived: set[str]
    broken: set[str]


class Tally:
    """What the rules said of all calls of a run."""

    def __init__(self) -> None:
        self.judged = 0
        """Calls that were judged."""
        self._broken: dict[str, _Broken] = {}
        self._told: set[tuple[str, str]] = set()
        self._outcomes = RuleOutcomes(set(), set(), set())

    def add(self, verdict: Verdict, place: str, kept: Iterable[str] = ()) -> None:
        """Count a call, made at `place`, in which the rules `kept` were asked and hold."""
        self.judged += 1
        self._outcomes.kept.update(kept)
        self._outcomes.waived.update(violation.rule.id for violation in verdict.waived)
        self._outcomes.broken.update(verdict.broken)
        for violation in verdict.held:
            self._broken.setdefault(violation.rule.id, _Broken(violation.rule, place))
        for name in verdict.broken:
            self._broken[name].calls += 1

    def is_news(self, server: str, rule: str) -> bool:
        """Whether nobody was told yet that a server breaks a rule; from now on somebody was."""
        told = (server, rule) in self._told
        self._told.add((server, rule))
        return not told

    def take_outcomes(self) -> RuleOutcomes:
        """Return what became of the rules since this was asked last."""
        taken, self._outcomes = self._outcomes, RuleOutcomes(set(), set(), set())
        return taken

    def __str__(self) -> str:
        """One line, and a table of the broken rules."""
        calls = f"{self.judged} {'call' if self.judged == 1 else 'calls'} judged by the rules of the wire"
        if not self._broken:
            return f"{calls}: none is broken."
        rows = [
            (name, str(one.rule.level), str(one.calls), one.place, one.rule.sentence)
            for name, one in sorted(self._broken.items(), key=lambda item: -item[1].calls)
        ]
        head = ("rule", "level", "calls", "first", "what must hold")
        widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head) - 1)]
        lines = [
            "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]])
            for row in [head, *rows]
        ]
        return f"{calls}; broken rules: {len(rows)}\n" + "\n".join(lines)
