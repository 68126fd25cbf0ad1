"""Prove the rulebook: play the faults of the catalogue against plain calls of keywords, and tell what notices which.

    rulebook.py            a seventh of the catalogue, another one each day
    ALL=1 rulebook.py      the whole catalogue
    rulebook.py NAME ...   these faults

Nothing is checked: a call fails by itself under `rules=fail`, and its failure names the rules. What is legal, and a
fault that breaks a rule which only should be kept, or in a way that is tolerated, is played under `rules=fail-should`.

A gap fails: a fault of the wire that no call notices, a rule that a fault is said to break and does not, a fault that
strikes no call, an alarm on what is legal or faultless; with ALL=1 also a rule that no fault breaks.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterable, Sequence
from datetime import date
from pathlib import Path
from zlib import crc32

sys.path.insert(0, str(Path(__file__).resolve().parent))
from keyword_calls import Caller, Outcome
from plain_calls import CALLS, MODEL, SERVERS, PlainCall
from recorded_calls import LIMIT, record

from InferenceLibrary.check.noticing import ProofTally, Shown, gaps_of, seen_of
from InferenceLibrary.protocol.rules.rule import REGISTRY, Level
from InferenceLibrary.protocol.rules.verdicts import Severity
from InferenceLibrary.simulator.faults.catalogue import KINDS, header_faults, reach
from InferenceLibrary.simulator.faults.kinds import FaultKind

DAYS = 7
# What is said of several calls, or is not seen in the answer to a plain one.
ELSEWHERE = {"refuse-connection": "acts on connections, before there is a request"}
# Faults that would make most calls last as long as they may: the calls that they are shown on, and how long these last.
SHOWN_ON = {"stuck-after-error": (("chat of another model", "message"), 1.0)}


# Other forms of a fault than that of its defaults, which break other rules.
VARIANTS = {
    "missing-choice-key": ("key=message", "key=text", "key=index"),
    "null-value": ("key=choices", "key=usage"),
    "wrong-type": ("key=created",),
    "unknown-field": ("kind=retry", "kind=id"),
    "json-not-a-number": ("value=Infinity", "value=1e999"),
    "tool-index-wrong": ("kind=same",),
    "usage-zero": ("of=completion",),
}


class Server:
    """A simulator of its own for the time of the proof."""

    def __init__(self, name: str) -> None:
        command = [sys.executable, "-m", "InferenceLibrary.simulator", "--port", "0", "--control-port", "0"]
        command += ["--record-requests", "1000"]
        self.name = name
        self.personality = name if name in {"worker", "service"} else "openai"
        self.process = subprocess.Popen([*command, *SERVERS[name]], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.control = self.port = 0
        for line in self.process.stdout:
            found = re.search(r":(\d+)\s*$", line)
            assert found is not None, line
            if "listening" in line:
                self.port = int(found[1])
                break
            self.control = int(found[1])

    def can_be_struck(self, kind: FaultKind, call: PlainCall) -> bool:
        try:
            header_faults(kind.name, self.personality, call.path)
        except ValueError:
            return False
        forms = reach().get(kind.name)
        return forms is None or call.form in forms.get(self.personality, ())

    def struck(self) -> set[str]:
        """Names of the calls that a fault changed since this was asked last."""
        found = json.loads(record(self.control, "GET", "/requests?limit=1000").body)["requests"]
        record(self.control, "DELETE", "/requests")
        return {item["headers"].get("x-request-id", "") for item in found if item["struck"]}

    def close(self) -> None:
        self.process.terminate()
        self.process.communicate()


class Proof:
    """The servers, the library that calls them, and what their faultless answers show."""

    def __init__(self, output: Path) -> None:
        self._caller = Caller(LIMIT, output)
        self._servers = [Server(name) for name in SERVERS]
        self.clean: dict[str, Outcome] = {}

    def ask_clean(self) -> None:
        """Make all calls without a fault."""
        for server in self._servers:
            self._caller.connect(server.name, server.port, MODEL)
            self.clean |= self._make(server, _calls_of(server), (), "", "fail-should", None)
            server.struck()

    def play(self, kind: FaultKind, rules: Severity) -> list[Shown]:
        """Make the calls that a fault can change, and those beside them; return what they show."""
        names, limit = SHOWN_ON.get(kind.name, (None, None))
        seen: list[Shown] = []
        for form in (kind.name, *(f"{kind.name}:{variant}" for variant in VARIANTS.get(kind.name, ()))):
            for server in self._servers:
                calls = [call for call in _calls_of(server) if names is None or call.name in names]
                aims = {call.name for call in calls if server.can_be_struck(kind, call)}
                if not aims:
                    continue
                played = _with_neighbours(calls, aims)
                outcomes = self._make(server, played, aims, form, rules, limit)
                if server.struck():
                    seen += [self._seen(name, outcome) for name, outcome in outcomes.items()]
        if kind.name in SHOWN_ON:
            for server in self._servers:
                record(server.control, "DELETE", "/faults")
        return seen

    def close(self) -> None:
        self._caller.close()
        for server in self._servers:
            server.close()

    def _seen(self, name: str, outcome: Outcome) -> Shown:
        clean = self.clean[name]
        return seen_of(outcome.rules, outcome.failed, clean.rules, clean.failed)

    def _make(
        self,
        server: Server,
        calls: Iterable[PlainCall],
        aims: Collection[str],
        fault: str,
        rules: Severity,
        limit: float | None,
    ) -> dict[str, Outcome]:
        """Make calls in their order, those of `aims` with the fault."""
        found: dict[str, Outcome] = {}
        last = "none"
        for call in calls:
            outcome = self._caller.make(call, MODEL, rules, fault if call.name in aims else "", last, limit)
            if server.name != "slow":
                # A lump that a busy machine made of quick events is not one of the server.
                outcome = outcome._replace(rules=outcome.rules - {"F11"})
            found[call.name] = outcome
            last = outcome.id or "none"
        return found


def _calls_of(server: Server) -> list[PlainCall]:
    return [call for call in CALLS if call.server == server.name]


def _with_neighbours(calls: Sequence[PlainCall], aims: Collection[str]) -> list[PlainCall]:
    """The calls of these names, and the ones before and after each, for the rules about two calls."""
    near = {place + step for place, call in enumerate(calls) if call.name in aims for step in (-1, 0, 1)}
    return [call for place, call in enumerate(calls) if place in near]


def severity_of(kind: FaultKind) -> Severity:
    """How much broken rules count where a fault is played."""
    if kind.nature == "legal" or any(name in REGISTRY and not is_must(name) for name in kind.breaks):
        return "fail-should"
    return "fail"


def sampled(names: list[str]) -> list[FaultKind]:
    """The faults that are played today."""
    if names:
        return [KINDS[name] for name in names]
    today = date.today().toordinal() % DAYS
    wanted = (kind for kind in KINDS.values() if kind.nature in {"wire", "legal"} and kind.name not in ELSEWHERE)
    return [kind for kind in wanted if os.environ.get("ALL") == "1" or crc32(kind.name.encode()) % DAYS == today]


def main(names: list[str]) -> int:
    """Print one line for each rule and fault; return 1 when there is a gap."""
    with tempfile.TemporaryDirectory() as output:
        proof = Proof(Path(output))
        try:
            return _prove(proof, names)
        finally:
            proof.close()


def _prove(proof: Proof, names: list[str]) -> int:
    tally = ProofTally()
    milder: list[str] = []
    proof.ask_clean()
    gaps = [
        f"{name}, without a fault: {rule}"
        for name, outcome in proof.clean.items()
        for rule in sorted(outcome.rules)
        if is_must(rule) or REGISTRY[rule].several
    ]
    print(f"{'fault':<28} {'rule':<6} {'calls':>5}  only it")
    kinds = sampled(names)
    for kind in kinds:
        rules = severity_of(kind)
        seen = proof.play(kind, rules)
        if rules == "fail" and seen and gaps_of(kind.nature, kind.breaks, seen):
            # Some ways of breaking a rule that must be kept are tolerated.
            rules = "fail-should"
            seen += proof.play(kind, rules)
        if rules == "fail-should" and kind.nature == "wire":
            milder.append(kind.name)
        tell(kind, seen)
        tally.add(kind.name, seen)
        gaps += [f"{kind.name}: {gap}" for gap in gaps_of(kind.nature, kind.breaks, seen)]
    if os.environ.get("ALL") == "1" and not names:
        gaps += [f"{rule}: no fault breaks it" for rule in REGISTRY if rule not in tally.by_rule]
        print(
            f"\nBroken alone by no fault: {', '.join(rule for rule in REGISTRY if rule not in tally.alone) or 'none'}"
        )
    print(f"\n{len(kinds)} of {len(KINDS)} faults, {len(tally.by_rule)} of {len(REGISTRY)} rules, {len(CALLS)} calls")
    print(f"Played under rules=fail-should: {', '.join(milder) or 'none'}")
    for gap in gaps:
        print(f"GAP  {gap}")
    return 1 if gaps else 0


def is_must(rule: str) -> bool:
    return REGISTRY[rule].level is Level.MUST


def tell(kind: FaultKind, seen: Iterable[Shown]) -> None:
    """Print what noticed a fault."""
    counts: dict[str, list[int]] = {}
    failed: dict[str, int] = {}
    for one in seen:
        for rule in one.rules:
            count = counts.setdefault(rule, [0, 0])
            count[0] += 1
            count[1] += len(one.rules) == 1
        if one.failed and not one.rules:
            failed[one.failed] = failed.get(one.failed, 0) + 1
    for rule, (calls, only) in sorted(counts.items()):
        print(f"{kind.name:<28} {rule:<6} {calls:>5}  {only or ''}")
    for reason, calls in failed.items():
        print(f"{kind.name:<28} {'call':<6} {calls:>5}  {reason}")
    if not counts and not failed:
        print(f"{kind.name:<28} {'-':<6}")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
