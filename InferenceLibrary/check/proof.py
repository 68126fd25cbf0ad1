"""`--prove`: the simulator does wrong by each fault that it knows, and the calls of a check must show it.

Each fault of the wire is played against the calls whose answers it can change; a rule must break, or the call fail,
that does not without it. Legal oddities are played as well: nothing may break.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

from InferenceLibrary.check.noticing import LEGAL, ProofTally, Shown, is_noticed, rules_of, seen_of
from InferenceLibrary.check.targets import CheckTarget, opened
from InferenceLibrary.client.http import Client
from InferenceLibrary.protocol.exchange import Exchange
from InferenceLibrary.protocol.rules.apis import api_of
from InferenceLibrary.protocol.rules.book import judge, judge_several
from InferenceLibrary.protocol.rules.rule import REGISTRY, Known
from InferenceLibrary.redaction import Redactor
from InferenceLibrary.report.check_results import ProofResult
from InferenceLibrary.report.document import Cell, Section, Tone, row, table
from InferenceLibrary.servers.probing.call import CheckCall
from InferenceLibrary.servers.probing.calls import CALLS, REACH
from InferenceLibrary.servers.probing.making import made

_FAULT_HEADER = "x-inference-fault"
_LIMIT = 2.0
"""Seconds of one call: some faults never end."""
_LASTING = {"stuck-after-error"}
"""Faults that outlive their request: they would strike the calls of the next fault."""
_HERE = "openai"
"""The personality that is asked."""


def prove(names: Sequence[str] = (), tell: Callable[[str], None] = lambda line: None) -> ProofResult:
    """Play the faults; return what was noticed.

    Args:
        names: The faults that are played; all that can strike the calls of a check by default.
        tell: Takes the lines of the progress.
    """
    known = [one for one in catalogue() if one["nature"] in {"wire", "legal"}]
    faults = [one for one in known if _can_be_played(one) and (not names or one["name"] in names)]
    with opened(CheckTarget("simulator", options={"mode": "echo"}, timeout=_LIMIT), Redactor(), tell) as target:
        playing = _Playing(target.server.client, target.server.client.model or "")
        tally = ProofTally()
        played: list[tuple[str, str, list[Shown]]] = []
        for number, fault in enumerate(faults, start=1):
            name, seen = fault["name"], playing.play(fault["name"], set(fault["strikes"][_HERE]))
            played.append((name, fault["nature"], seen))
            if fault["nature"] != LEGAL:
                tally.add(name, seen)
            told = ", ".join(sorted(rules_of(seen))) or ("the call fails" if is_noticed(seen) else "not noticed")
            tell(f"[{number}/{len(faults)}] {name}: {told}")
    wire = [(name, seen) for name, nature, seen in played if nature != LEGAL]
    legal = [(name, seen) for name, nature, seen in played if nature == LEGAL]
    return ProofResult(
        faults=len(wire),
        missed=[name for name, seen in wire if not is_noticed(seen)],
        oddities=len(legal),
        alarms=[
            f"{name}: {', '.join(sorted(rules_of(seen))) or 'the call fails'}"
            for name, seen in legal
            if is_noticed(seen)
        ],
        rules=len(REGISTRY),
        red=[name for name in REGISTRY if name in tally.by_rule],
        alone=[name for name in REGISTRY if name in tally.alone],
        not_played=[one["name"] for one in known if not _can_be_played(one)],
    )


def catalogue() -> list[dict[str, Any]]:
    """What the simulator can do wrong, as it tells itself."""
    words = [sys.executable, "-m", "InferenceLibrary.simulator", "--list-faults", "--json"]
    told = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
    found: list[dict[str, Any]] = json.loads(told.stdout)
    return found


def _can_be_played(fault: dict[str, Any]) -> bool:
    return fault["name"] not in _LASTING and _HERE in (fault["strikes"] or {})


class _Playing:
    def __init__(self, client: Client, model: str) -> None:
        self._client = client
        self._model = model
        # Without a fault its answers repeat: that those with one differ is what is looked for.
        self._known = Known(models=(model,), chance="")
        self._calls = [*REACH[1:], *CALLS]
        self._clean = {call.name: made(client, call, model) for call in self._calls}
        self._forms = {call.name: _form(call, self._clean[call.name]) for call in self._calls}
        # Asked twice, so that what changes from call to call by itself is not taken for the work of a fault.
        again = [made(client, call, model) for call in self._calls]
        self._broken = {name: self._rules(one) for name, one in self._clean.items()}
        self._together = set(judge_several([*self._clean.values(), *again], self._known).broken)

    def play(self, fault: str, strikes: set[str]) -> list[Shown]:
        """Return what each call showed that the fault can strike, and all of them together."""
        seen: list[Shown] = []
        answers: list[Exchange] = []
        for call in self._calls:
            if self._forms[call.name] not in strikes:
                continue
            exchange = made(self._client, call, self._model, {_FAULT_HEADER: fault})
            if exchange.status == 400 and b"X-Inference-Fault" in exchange.body:
                continue
            answers.append(exchange)
            failed = "the call fails" if self._fails(exchange, self._clean[call.name]) else ""
            seen.append(seen_of(self._rules(exchange), failed, self._broken[call.name]))
        together = judge_several([*self._clean.values(), *answers], self._known).broken
        return [*seen, seen_of(together, "", self._together)]

    def _rules(self, exchange: Exchange) -> set[str]:
        return set(judge(exchange, self._known).broken) if exchange.status is not None else set()

    @staticmethod
    def _fails(exchange: Exchange, clean: Exchange) -> bool:
        if exchange.status is None or exchange.problem is not None:
            return True
        return (clean.status or 0) < 300 <= exchange.status


def _form(call: CheckCall, exchange: Exchange) -> str:
    """The form of an answer, as the catalogue names it: `chat`, `chat stream`."""
    return f"{api_of(exchange)} stream" if call.streamed else str(api_of(exchange))


def proof_section(proof: ProofResult) -> Section:
    """Return the proof as a section of the report."""
    noticed = proof.faults - len(proof.missed)
    text = [
        f"{noticed} of {proof.faults} faults of the simulator are noticed.",
        f"{len(proof.alarms)} of {proof.oddities} legal oddities raise an alarm.",
        f"{len(proof.red)} of {proof.rules} rules were shown broken, {len(proof.alone)} of them alone in a call.",
    ]
    if proof.not_played:
        text.append(f"{len(proof.not_played)} faults were not played: they strike none of these calls.")
    rows = [row(Cell(name, Tone.ODD), "is noticed by no call") for name in proof.missed]
    rows += [row(Cell(alarm, Tone.BAD), "is legal") for alarm in proof.alarms]
    return Section("Proof: this check can fail", tuple(text), table(("fault", "what is wrong"), rows) if rows else None)
