"""Prove the rulebook: play the faults of the catalogue against plain calls, and tell which rule notices which.

    rulebook.py            a seventh of the catalogue, another one each day
    ALL=1 rulebook.py      the whole catalogue
    rulebook.py NAME ...   these faults

A gap fails: a fault of the wire that no call notices, a rule that a fault is said to break and does not, a fault that
strikes no call, an alarm on what is legal or faultless; with ALL=1 also a rule of one exchange that no fault breaks.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

sys.path.insert(0, str(Path(__file__).resolve().parent))
from plain_calls import CALLS, SERVERS, PlainCall, bytes_of
from recorded_calls import record

from InferenceLibrary.protocol.exchange import Ending, Exchange
from InferenceLibrary.protocol.rules.book import judge
from InferenceLibrary.protocol.rules.rule import REGISTRY, Known, Level
from InferenceLibrary.simulator.faults.catalogue import KINDS
from InferenceLibrary.simulator.faults.kinds import FaultKind

DAYS = 7
MODEL = "fake-model"
KEY = "key-of-the-house"
KNOWN = {
    name: Known(models=(MODEL,) if name in {"llm-d", "keyed", "slow"} else None, key=name == "keyed")
    for name in SERVERS
}
# What is said of several calls, or is not seen in the answer to a plain one.
ELSEWHERE = {
    "refuse-connection": "acts on connections, before there is a request",
    "stuck-after-error": "hangs on the request after one that was wrong",
    "accepts-empty-input": "strikes where the input is empty",
}


# Other forms of a fault than that of its defaults, which break other rules.
VARIANTS = {
    "missing-choice-key": ("key=message", "key=text", "key=index"),
    "null-value": ("key=choices", "key=usage"),
    "wrong-type": ("key=created",),
    "unknown-field": ("kind=retry", "kind=id"),
    "json-not-a-number": ("value=Infinity", "value=1e999"),
    "tool-index-wrong": ("kind=same",),
}


class Seen(NamedTuple):
    """What one call showed of a fault."""

    call: PlainCall
    rules: tuple[str, ...]
    """Rules that the answer breaks, and the faultless one does not."""
    failed: str
    """Why the call fails whatever the rules say; empty when it does not."""


class Server:
    """A simulator of its own for the time of the proof."""

    def __init__(self, name: str) -> None:
        command = [sys.executable, "-m", "InferenceLibrary.simulator", "--port", "0", "--control-port", "0"]
        self.name = name
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

    def call(self, call: PlainCall, fault: str = "") -> Exchange:
        headers = {"content-type": call.content_type, "x-request-id": call.name}
        if fault:
            headers["x-inference-fault"] = fault
        return record(self.port, call.method, call.path, bytes_of(call, MODEL), headers)

    def struck(self) -> set[str]:
        """Names of the calls that a fault changed since this was asked last."""
        found = json.loads(record(self.control, "GET", "/requests?limit=1000").body)["requests"]
        record(self.control, "DELETE", "/requests")
        return {item["headers"].get("x-request-id", "") for item in found if item["struck"]}

    def close(self) -> None:
        self.process.terminate()
        self.process.wait()


def broken(call: PlainCall, exchange: Exchange) -> set[str]:
    return set(judge(exchange, KNOWN[call.server]).broken)


def failure(exchange: Exchange, clean: Exchange) -> str:
    """Why a call fails by itself, whatever the rules say."""
    if exchange.status is None:
        return exchange.problem or "no answer"
    if exchange.ending is Ending.LIMIT:
        return exchange.problem or "it does not end"
    if exchange.status != clean.status and (exchange.status >= 300 or (clean.status or 0) < 300):
        return f"status {exchange.status}"
    if exchange.status < 300 and not exchange.body and clean.body:
        return "no body"
    return ""


def sampled(names: list[str]) -> list[FaultKind]:
    """The faults that are played today."""
    if names:
        return [KINDS[name] for name in names]
    today = date.today().toordinal() % DAYS
    wanted = (kind for kind in KINDS.values() if kind.nature in {"wire", "legal"} and kind.name not in ELSEWHERE)
    return [kind for kind in wanted if os.environ.get("ALL") == "1" or crc32(kind.name.encode()) % DAYS == today]


def play(kind: FaultKind, servers: dict[str, Server], clean: dict[str, tuple[Exchange, set[str]]]) -> list[Seen]:
    """Make every call with a fault; return what those show that it changed."""
    seen = []
    for form in (kind.name, *(f"{kind.name}:{variant}" for variant in VARIANTS.get(kind.name, ()))):
        answers = {call.name: servers[call.server].call(call, form) for call in CALLS}
        struck = set().union(*(server.struck() for server in servers.values()))
        for call in CALLS:
            if call.name in struck:
                exchange, (before, rules) = answers[call.name], clean[call.name]
                seen.append(Seen(call, tuple(sorted(broken(call, exchange) - rules)), failure(exchange, before)))
    return seen


def gaps_of(kind: FaultKind, seen: list[Seen]) -> list[str]:
    """What is missing in the proof of one fault."""
    if not seen:
        return ["strikes none of the calls"]
    noticed = {rule for one in seen for rule in one.rules}
    if kind.nature == "legal":
        return [f"{rule} alarms on what is legal" for rule in sorted(noticed)]
    gaps = [] if noticed or any(one.failed for one in seen) else ["noticed by no call"]
    wanted = {rule for rule in kind.breaks if rule in REGISTRY and not REGISTRY[rule].several}
    return gaps + [f"{rule} does not notice it" for rule in sorted(wanted - noticed)]


def main(names: list[str]) -> int:
    """Print one line for each rule and fault; return 1 when there is a gap."""
    servers = {name: Server(name) for name in SERVERS}
    gaps: list[str] = []
    by_rule: dict[str, set[str]] = {}
    alone: dict[str, set[str]] = {}
    try:
        clean = {}
        for call in CALLS:
            exchange = servers[call.server].call(call)
            rules = broken(call, exchange)
            clean[call.name] = exchange, rules
            gaps += [f"{call.name}, without a fault: {rule}" for rule in sorted(rules) if is_must(rule)]
        for server in servers.values():
            server.struck()
        print(f"{'fault':<28} {'rule':<6} {'calls':>5}  only it")
        kinds = sampled(names)
        for kind in kinds:
            seen = play(kind, servers, clean)
            tell(kind, seen)
            for one in seen:
                for rule in one.rules:
                    by_rule.setdefault(rule, set()).add(kind.name)
                if len(one.rules) == 1:
                    alone.setdefault(one.rules[0], set()).add(kind.name)
            gaps += [f"{kind.name}: {gap}" for gap in gaps_of(kind, seen)]
    finally:
        for server in servers.values():
            server.close()
    if os.environ.get("ALL") == "1" and not names:
        single = [rule.id for rule in REGISTRY.values() if not rule.several]
        gaps += [f"{rule}: no fault breaks it" for rule in single if rule not in by_rule]
        print(f"\nBroken alone by no fault: {', '.join(rule for rule in single if rule not in alone) or 'none'}")
    print(f"\n{len(kinds)} of {len(KINDS)} faults, {len(by_rule)} of {len(REGISTRY)} rules, {len(CALLS)} calls")
    for gap in gaps:
        print(f"GAP  {gap}")
    return 1 if gaps else 0


def is_must(rule: str) -> bool:
    return REGISTRY[rule].level is Level.MUST


def tell(kind: FaultKind, seen: Iterable[Seen]) -> None:
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
