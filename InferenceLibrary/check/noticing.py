"""What a fault shows: the rules that break with it and not without it, and what is missing in its proof.

`check --prove` asks the calls of a check, and the proof of the rulebook asks keywords; both say here what they saw.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from InferenceLibrary.protocol.rules.rule import REGISTRY

LEGAL = "legal"
"""The nature of a fault that is none: nothing may break."""


class Shown(NamedTuple):
    """What one call showed of a fault."""

    rules: tuple[str, ...]
    """Rules that break with it, and do not without it."""
    failed: str = ""
    """Why the call fails whatever the rules say; empty when it does not, or does so without the fault too."""


def seen_of(rules: Collection[str], failed: str, clean_rules: Collection[str], clean_failed: str = "") -> Shown:
    """Return what a call with a fault shows that the same call without it does not."""
    return Shown(tuple(sorted(set(rules) - set(clean_rules))), failed if failed != clean_failed else "")


def rules_of(seen: Iterable[Shown]) -> set[str]:
    """The rules that broke in any call."""
    return {rule for one in seen for rule in one.rules}


def is_noticed(seen: Sequence[Shown]) -> bool:
    """Whether a rule broke, or a call failed."""
    return any(one.rules or one.failed for one in seen)


def gaps_of(nature: str, breaks: Iterable[str], seen: Sequence[Shown]) -> list[str]:
    """What is missing in the proof of one fault.

    Args:
        nature: Its nature: `wire`, or `legal` for what must raise no alarm.
        breaks: The rules that it is said to break.
        seen: What the calls showed that it struck.
    """
    if not seen:
        return ["strikes none of the calls"]
    noticed = rules_of(seen)
    if nature == LEGAL:
        # A keyword may fail on it all the same: a stream may end with an error event.
        return [f"{rule} alarms on what is legal" for rule in sorted(noticed)]
    gaps = [] if is_noticed(seen) else ["noticed by no call"]
    return gaps + [
        f"{rule} does not notice it" for rule in sorted({one for one in breaks if one in REGISTRY} - noticed)
    ]


class ProofTally:
    """What all faults showed, by rule."""

    def __init__(self) -> None:
        self.by_rule: dict[str, set[str]] = {}
        """Rule to the faults that break it."""
        self.alone: dict[str, set[str]] = {}
        """Rule to the faults that break it alone in some call."""

    def add(self, fault: str, seen: Iterable[Shown]) -> None:
        """Add what a fault of the wire showed."""
        for one in seen:
            for rule in one.rules:
                self.by_rule.setdefault(rule, set()).add(fault)
            if len(one.rules) == 1:
                self.alone.setdefault(one.rules[0], set()).add(fault)
