"""What the metadata of suites tell of a whole run: the lives of servers, what became of rules, what servers offer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from InferenceLibrary.report import run_facts
from InferenceLibrary.report.run_results import OfferedCapability, RuleOutcome, RuleState, ServerLife, TestResult

_STATES: tuple[tuple[str, RuleState], ...] = (
    (run_facts.RULES_KEPT, "kept"),
    (run_facts.RULES_WAIVED, "waived"),
    (run_facts.RULES, "broken"),
)
"""Metadata and what they tell, the better state first."""
_ORDER = [state for _, state in _STATES]


class SuiteFacts:
    """Collects them, suite by suite."""

    def __init__(self) -> None:
        self.library = ""
        """Version of the library; empty where no suite tells it."""
        self._servers: list[ServerLife] = []
        self._rules: dict[str, RuleState] = {}
        self._capabilities: dict[tuple[str, str], OfferedCapability] = {}

    def add(self, path: str, metadata: Mapping[str, str]) -> None:
        """Take what a suite tells."""
        worker = metadata.get(run_facts.WORKER, "")
        for life in run_facts.lives(metadata.get(run_facts.LIVES, "")):
            self._servers.append(ServerLife(**life._asdict(), suite=path, worker=worker))
        for name, state in _STATES:
            for rule in run_facts.listed_words(metadata.get(name, "")):
                self._rules[rule] = max(state, self._rules.get(rule, state), key=_ORDER.index)
        for offered in run_facts.capabilities(metadata.get(run_facts.CAPABILITIES, "")):
            self._capabilities[offered.server, offered.capability] = OfferedCapability(*offered)
        self.library = metadata.get(run_facts.LIBRARY, self.library)

    @property
    def servers(self) -> list[ServerLife]:
        """The lives of servers, in the order of their starts."""
        return sorted(self._servers, key=lambda life: (life.started, life.name))

    @property
    def capabilities(self) -> list[OfferedCapability]:
        """What servers offer, each once."""
        return list(self._capabilities.values())

    def rules(self, tests: Sequence[TestResult]) -> list[RuleOutcome]:
        """Return what became of each rule; a test tells itself what it broke, whatever its suite could tell."""
        where: dict[str, list[str]] = {}
        for test in tests:
            for name in test.rules_broken:
                where.setdefault(name, []).append(f"{test.suite}.{test.name}")
        states: dict[str, RuleState] = self._rules | dict.fromkeys(where, _ORDER[-1])
        return [RuleOutcome(name, states[name], where.get(name, [])) for name in run_facts.ordered(states)]
