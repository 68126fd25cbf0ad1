"""Makes the calls of a check, in their order, and finds out what they tell of the server."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from InferenceLibrary.check.abilities import ABILITIES
from InferenceLibrary.client.answers import ModelListReply, Reply
from InferenceLibrary.client.http import Client
from InferenceLibrary.protocol.exchange import Exchange
from InferenceLibrary.report.check_results import AbilityResult, CoverageResult, CoverageState
from InferenceLibrary.servers.probing.answering import Answered, sorted_answer, words
from InferenceLibrary.servers.probing.call import CheckCall
from InferenceLibrary.servers.probing.calls import KEYLESS, REACH, calls_for
from InferenceLibrary.servers.probing.making import made
from InferenceLibrary.servers.probing.probes import PROBES
from InferenceLibrary.servers.probing.shown import SHOWN

_STATES: dict[str, CoverageState] = {
    "good": "offered",
    "missing": "not offered",
    "refused": "refused",
    "failed": "unknown",
    "busy": "unknown",
}


class AskedCall(NamedTuple):
    """One call of a check."""

    call: CheckCall
    exchange: Exchange | None
    """None: it was not asked."""
    answered: Answered | None
    reason: str = ""
    """Why it was not asked."""


class CutShort(Exception):
    """The check cannot go on. Its text is the reason, one line."""


@dataclass
class Findings:
    """What the calls told so far."""

    done: list[AskedCall] = field(default_factory=list)
    models: tuple[str, ...] | None = None
    """The ids of the model list; None when there is none."""
    model: str = ""
    key: bool | None = None
    """Whether the server wants a key."""
    coverage: dict[str, CoverageResult] = field(default_factory=dict)
    abilities: dict[str, AbilityResult] = field(default_factory=dict)
    refused: list[CoverageResult] = field(default_factory=list)
    """Right questions to offered routes that were refused."""
    cut_short: str = ""
    """Why the check did not come to its end; empty where it did."""
    judged: bool = False
    """Whether a route that does something was offered."""


def ask(
    client: Client,
    keyless: Client | None,
    model: str | None,
    tell: Callable[[int, AskedCall], None],
    most: float = 10.0,
) -> Findings:
    """Make all calls that make sense.

    Args:
        client: Calls the server.
        keyless: Calls it without the key; None where there is no key.
        model: The model to ask for; the first of the list by default.
        tell: Is told of each call, with its number.
        most: Seconds that one look whether the server lives may take.
    """
    asking = _Asking(client, keyless, tell, most)
    try:
        asking.reach(model)
        asking.all(calls_for(key=keyless is not None)[len(REACH) :])
    except CutShort as error:
        asking.findings.cut_short = str(error)
    return asking.findings


class _Asking:
    def __init__(
        self, client: Client, keyless: Client | None, tell: Callable[[int, AskedCall], None], most: float
    ) -> None:
        self.findings = Findings()
        self._client = client
        self._keyless = keyless
        self._tell = tell
        self._most = most
        self._nowhere: Exchange | None = None
        self._taken: set[str] = set()
        """Capabilities whose first question was answered: what needs them is asked, though they may not be shown."""

    def reach(self, model: str | None) -> None:
        """Ask what tells whether somebody is there, and which model to ask for.

        Raises:
            CutShort: Nobody answers, or there is no model to ask for.
        """
        nowhere, listing = REACH
        self._nowhere = self._made(self._client, nowhere)
        if self._nowhere.status is None:
            raise CutShort(f"it does not answer: {self._nowhere.problem}")
        self._note(AskedCall(nowhere, self._nowhere, None))
        done = self._asked(listing)
        assert done.exchange is not None
        assert done.answered is not None
        if done.exchange.status in (401, 403):
            key = "the key is refused" if self._client.api_key else "it wants a key: name its variable, --api-key-env"
            raise CutShort(f"{key} ({words(done.exchange)})")
        found = ModelListReply(done.exchange).models_or_none if done.answered.sort == "good" else None
        self.findings.models = None if found is None else tuple(found)
        if not model and not found:
            seen = (
                "its model list is empty"
                if found == []
                else f"it has no model list ({done.answered.reason or words(done.exchange)})"
            )
            raise CutShort(f"{seen}, and no model is given: name one with --model")
        self.findings.model = model or (found or [""])[0]

    def all(self, calls: Sequence[CheckCall]) -> None:
        """Make the calls.

        Raises:
            CutShort: The server does not answer any more, or offers nothing.
        """
        for call in calls:
            why = self._why_not(call)
            if why:
                self._note(AskedCall(call, None, None, why))
            else:
                self._asked(call)
        if not self.findings.judged:
            routes = [one for done in self.findings.done if (one := done.answered) and not done.call.needs]
            seen = next((one.reason for one in reversed(routes) if one.reason), "nothing that could be judged")
            raise CutShort(f"it offers none of the routes; the last answer: {seen}")

    def _why_not(self, call: CheckCall) -> str:
        if not call.needs:
            return ""
        return "" if call.needs in self._taken else f"'{call.needs}' is not offered"

    def _asked(self, call: CheckCall) -> AskedCall:
        assert self._nowhere is not None
        client = self._keyless if call is KEYLESS and self._keyless is not None else self._client
        exchange = self._made(client, call)
        answered = sorted_answer(call, exchange, self._nowhere)
        done = AskedCall(call, exchange, answered)
        if call is KEYLESS:
            self.findings.key = answered.sort == "refused"
            state: CoverageState = "offered" if self.findings.key else "not offered"
            self.findings.coverage["keys"] = CoverageResult(capability="keys", state=state, reason=words(exchange))
        elif not call.refusal:
            self._learn(call, answered, exchange)
            self._judge_ability(call, done)
        self._note(done)
        if exchange.status is None and self._made(client, REACH[1], self._most).status is None:
            raise CutShort(f"it stopped answering at '{call.name}': {exchange.problem}")
        return done

    def _learn(self, call: CheckCall, answered: Answered, exchange: Exchange) -> None:
        """Keep what an answer to a right question tells; the first one of a capability decides, and what shows it."""
        name = call.capability
        state, reason = _STATES[answered.sort], answered.reason
        good = state == "offered"
        if good and name in SHOWN and PROBES[name] == (call,):
            # A field that is answered with 200 may still be ignored.
            reason = SHOWN[name]([exchange])
            state = "not offered" if reason else state
        found = CoverageResult(capability=name, state=state, reason=reason)
        if name not in self.findings.coverage:
            self.findings.coverage[name] = found
            self._taken |= {name} if good else set()
        elif good and state != "offered":
            self.findings.coverage[name] = found
        elif state != "offered":
            told = f"{call.name}: {reason}"
            self.findings.refused.append(CoverageResult(capability=name, state=state, reason=told))
        if good and name not in {"models", "model details"}:
            self.findings.judged = True

    def _judge_ability(self, call: CheckCall, done: AskedCall) -> None:
        if not call.ability or done.exchange is None or done.answered is None:
            return
        ability = ABILITIES[call.ability]
        if done.answered.sort != "good":
            found = AbilityResult(ability=call.ability, state="not asked", reason=done.answered.reason)
        else:
            reply = Reply(done.exchange, self._client.redact)
            shown = ability.shows(reply)
            reason = "" if shown else f"'{call.name}' was answered {reply}"
            found = AbilityResult(ability=call.ability, state="shown" if shown else "not shown", reason=reason)
        self.findings.abilities[call.ability] = found

    def _made(self, client: Client, call: CheckCall, most: float | None = None) -> Exchange:
        return made(client, call, self.findings.model, most=most)

    def _note(self, done: AskedCall) -> None:
        self.findings.done.append(done)
        self._tell(len(self.findings.done), done)
