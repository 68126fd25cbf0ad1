"""Every call is judged by the rules of the wire: what they say is logged, counted, and may fail the call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from InferenceLibrary.errors import CheckFailure
from InferenceLibrary.keywords.shared.test_facts import note_call
from InferenceLibrary.log import Log

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from InferenceLibrary.context import Context, EarlierCalls
    from InferenceLibrary.protocol.exchange import Exchange
    from InferenceLibrary.protocol.rules.rule import Judgement, Known, Violation
    from InferenceLibrary.protocol.rules.verdicts import Severity, Verdict
    from InferenceLibrary.servers.server import Server

_OURS = "fault injection"
"""What only the servers of this project offer: they are held to the rules in every test."""
_LARGEST_KEPT = 2**20
"""Bytes of an answer that is kept for the rules on several calls."""


def judged(context: Context, server: Server, exchange: Exchange, severity: Severity) -> Verdict:
    """Judge a call, alone and with those before it on the same server; count what is broken."""
    from InferenceLibrary.protocol.rules.book import judge
    from InferenceLibrary.protocol.rules.rule import Known
    from InferenceLibrary.protocol.rules.verdicts import Verdict, Waiver, verdict_of

    note_call(context, server, exchange)
    if severity == "off":
        return Verdict((), ())
    earlier = context.earlier_calls[server.name]
    # A refusal by 401 where nobody has a key says nothing of keys.
    key = earlier.wants_key(exchange) if server.client.api_key else None
    chance = _chance(context, server)
    known = Known(models=server.client.listed, key=key, reference=server.profile.reference, chance=chance)
    judgements = [judge(exchange, known), *_judged_together(earlier, exchange, known)]
    if len(exchange.body) <= _LARGEST_KEPT:
        earlier.add(exchange)
    left_out = [Waiver(rule, "left out by the suite") for rule in context.rules_left_out]
    # A server is asked for its version only where something is to be waived.
    waivers = server.known.waivers if any(judgement.violations for judgement in judgements) else ()
    verdict = verdict_of(judgements, (*waivers, *left_out))
    context.notes.broken.update(dict.fromkeys(verdict.broken))
    kept = [name for judgement in judgements for name in judgement.kept]
    context.tally.add(verdict, context.current_test or context.owner, kept)
    _tell(context, server, verdict, severity)
    return verdict


def _chance(context: Context, server: Server) -> str | None:
    """Why its answers do not repeat; empty where they do; None where nobody asked and its profile says nothing."""
    from InferenceLibrary.protocol.capabilities import State
    from InferenceLibrary.servers.stated import REPEATS, chance_stated

    asked = context.known_servers.servers.get(server.likeness) if context.capabilities_asked else None
    offer = asked[1].get(REPEATS) if asked is not None else None
    if offer is None or offer.state is State.UNKNOWN:
        return chance_stated(server.profile)
    return "" if offer.state is State.OFFERED else offer.evidence


def _judged_together(earlier: EarlierCalls, exchange: Exchange, known: Known) -> Iterator[Judgement]:
    """Judge a call with those before it; each is told once what it breaks."""
    from InferenceLibrary.protocol.rules.book import judge_several

    if earlier.calls:
        found = judge_several([*earlier.calls, exchange], known)
        broken = {(one.rule.id, one.exchange): one.call for one in found.violations}
        news = {key for key, call in broken.items() if earlier.is_news(key[0], call)}
        yield found._replace(violations=tuple(one for one in found.violations if (one.rule.id, one.exchange) in news))


def _failing(context: Context, server: Server, verdict: Verdict, severity: Severity) -> tuple[Violation, ...]:
    """The violations that fail the call."""
    ours = _OURS in server.profile.offers
    return verdict.failing(severity, context.current_tags, ours=ours)


def _tell(context: Context, server: Server, verdict: Verdict, severity: Severity) -> None:
    """Warn of each must rule that does not fail the call, once a run for each server; the log has them all."""
    from InferenceLibrary.protocol.rules.rule import Level
    from InferenceLibrary.protocol.rules.verdicts import listed

    failing = _failing(context, server, verdict, severity)
    broken = [violation for violation in verdict.of_level(Level.MUST) if violation not in failing]
    new = {name for name in {violation.rule.id for violation in broken} if context.tally.is_news(server.name, name)}
    must = [violation for violation in broken if violation.rule.id in new]
    if must:
        Log(context).warn(f"{server.name} breaks rules of the wire:\n{listed(must)}")


def joined(verdicts: Iterable[Verdict]) -> Verdict:
    """Return several verdicts as one."""
    from InferenceLibrary.protocol.rules.verdicts import Verdict

    every = list(verdicts)
    held = tuple(violation for verdict in every for violation in verdict.held)
    return Verdict(held, tuple(violation for verdict in every for violation in verdict.waived))


def refuse_broken(context: Context, what: str, server: Server, verdict: Verdict, severity: Severity) -> None:
    """Fail a call whose broken rules count.

    Raises:
        CheckFailure: There are such; each is named with its place.
    """
    from InferenceLibrary.protocol.rules.verdicts import listed

    failing = _failing(context, server, verdict, severity)
    if failing:
        lines = listed(failing).splitlines()
        more = "".join(f"\n    {line}" for line in lines[1:])
        raise CheckFailure(f"{what} on {server.name} broke rules of the wire: {lines[0]}{more}")
