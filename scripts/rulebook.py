"""Prove the rulebook: play the faults of the catalogue against plain calls, and tell which rule notices which.

    rulebook.py            a seventh of the catalogue, another one each day
    ALL=1 rulebook.py      the whole catalogue
    rulebook.py NAME ...   these faults

A gap fails: a fault of the wire that no call notices, a rule that a fault is said to break and does not, a fault that
strikes no call, an alarm on what is legal or faultless; with ALL=1 also a rule that no fault breaks.
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
from recorded_calls import LIMIT, record

from InferenceLibrary.protocol.exchange import Ending, Exchange
from InferenceLibrary.protocol.rules.book import judge, judge_several
from InferenceLibrary.protocol.rules.rule import REGISTRY, Known, Level
from InferenceLibrary.simulator.faults.catalogue import KINDS
from InferenceLibrary.simulator.faults.kinds import FaultKind

DAYS = 7
MODEL = "fake-model"
KEY = "key-of-the-house"
KNOWN = {
    name: Known(models=(MODEL,) if name in {"openai", "keyed", "slow"} else None, key=name == "keyed")
    for name in SERVERS
}
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


class Seen(NamedTuple):
    """What one call showed of a fault, or all of them together."""

    call: PlainCall | None
    """None for all together."""
    rules: tuple[str, ...]
    """Rules that the answer breaks, and the faultless one does not."""
    failed: str
    """Why the call fails whatever the rules say; empty when it does not."""


class Server:
    """A simulator of its own for the time of the proof."""

    def __init__(self, name: str) -> None:
        command = [sys.executable, "-m", "InferenceLibrary.simulator", "--port", "0", "--control-port", "0"]
        command += ["--record-requests", "1000"]
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

    def play(self, calls: Iterable[PlainCall], fault: str = "", limit: float = LIMIT) -> dict[str, Exchange]:
        """Make the calls that are of this server, in their order."""
        found: dict[str, Exchange] = {}
        last = ""
        for call in calls:
            if call.server == self.name:
                headers = {"content-type": call.content_type, "x-request-id": call.name}
                if fault:
                    headers["x-inference-fault"] = fault
                path = call.path.replace("{id}", last)
                body = bytes_of(call, MODEL)
                exchange = record(self.port, call.method, path, body, headers, limit)
                if exchange.status == 400 and b"X-Inference-Fault" in exchange.body:
                    # The fault can never strike this call, which is made without it then.
                    del headers["x-inference-fault"]
                    exchange = record(self.port, call.method, path, body, headers, limit)
                found[call.name] = exchange
                given = exchange.json.get("id") if isinstance(exchange.json, dict) else None
                last = given if isinstance(given, str) and given.isascii() else "none"
        return found

    def struck(self) -> set[str]:
        """Names of the calls that a fault changed since this was asked last."""
        found = json.loads(record(self.control, "GET", "/requests?limit=1000").body)["requests"]
        record(self.control, "DELETE", "/requests")
        return {item["headers"].get("x-request-id", "") for item in found if item["struck"]}

    def close(self) -> None:
        self.process.terminate()
        self.process.communicate()


def broken(exchange: Exchange, server: str) -> set[str]:
    """Rules that an answer breaks. A lump that a busy machine made of quick events is not one of the server."""
    return set(judge(exchange, KNOWN[server], leave_out=() if server == "slow" else ("F11",)).broken)


class Clean(NamedTuple):
    """What a server answers without a fault."""

    answers: dict[str, Exchange]
    broken: dict[str, set[str]]
    """Rules that each answer breaks."""
    together: set[str]
    """Rules over several answers that they break."""


def clean_of(server: Server) -> Clean:
    answers = server.play(CALLS)
    rules = {name: broken(exchange, server.name) for name, exchange in answers.items()}
    again = [*answers.values(), *server.play(CALLS).values()]
    server.struck()
    return Clean(answers, rules, set(judge_several(again, KNOWN[server.name]).broken))


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


def play(kind: FaultKind, servers: dict[str, Server], clean: dict[str, Clean]) -> list[Seen]:
    """Make every call with a fault; return what those show that it changed."""
    names, limit = SHOWN_ON.get(kind.name, (tuple(call.name for call in CALLS), LIMIT))
    calls = [call for call in CALLS if call.name in names]
    seen: list[Seen] = []
    for form in (kind.name, *(f"{kind.name}:{variant}" for variant in VARIANTS.get(kind.name, ()))):
        for name, server in servers.items():
            answers = server.play(calls, form, limit)
            struck = server.struck()
            before = clean[name]
            for call in calls:
                if call.name in struck and call.name in answers:
                    exchange = answers[call.name]
                    rules = broken(exchange, name) - before.broken[call.name]
                    seen.append(Seen(call, tuple(sorted(rules)), failure(exchange, before.answers[call.name])))
            if struck:
                several = [*before.answers.values(), *answers.values()]
                rules = set(judge_several(several, KNOWN[name]).broken) - before.together
                seen.append(Seen(None, tuple(sorted(rules)), ""))
    if kind.name in SHOWN_ON:
        for server in servers.values():
            record(server.control, "DELETE", "/faults")
    return seen


def gaps_of(kind: FaultKind, seen: list[Seen]) -> list[str]:
    """What is missing in the proof of one fault."""
    if not seen:
        return ["strikes none of the calls"]
    noticed = {rule for one in seen for rule in one.rules}
    if kind.nature == "legal":
        return [f"{rule} alarms on what is legal" for rule in sorted(noticed)]
    gaps = [] if noticed or any(one.failed for one in seen) else ["noticed by no call"]
    wanted = {rule for rule in kind.breaks if rule in REGISTRY}
    return gaps + [f"{rule} does not notice it" for rule in sorted(wanted - noticed)]


def main(names: list[str]) -> int:
    """Print one line for each rule and fault; return 1 when there is a gap."""
    servers = {name: Server(name) for name in SERVERS}
    gaps: list[str] = []
    by_rule: dict[str, set[str]] = {}
    alone: dict[str, set[str]] = {}
    try:
        clean = {name: clean_of(server) for name, server in servers.items()}
        for found in clean.values():
            gaps += [
                f"{name}, without a fault: {rule}"
                for name, rules in found.broken.items()
                for rule in rules
                if is_must(rule)
            ]
            gaps += [f"all calls, without a fault: {rule}" for rule in found.together]
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
        gaps += [f"{rule}: no fault breaks it" for rule in REGISTRY if rule not in by_rule]
        print(f"\nBroken alone by no fault: {', '.join(rule for rule in REGISTRY if rule not in alone) or 'none'}")
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
