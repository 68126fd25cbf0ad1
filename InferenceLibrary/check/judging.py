"""What the rulebook says of all calls of a check, and what follows from it: two verdicts, and the exit code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import NamedTuple

from InferenceLibrary.check.asking import AskedCall, Findings
from InferenceLibrary.protocol.exchange import Exchange
from InferenceLibrary.protocol.rules.book import judge, judge_several
from InferenceLibrary.protocol.rules.rule import REGISTRY, Api, Judgement, Known, Level, Reference, Rule, Violation
from InferenceLibrary.protocol.rules.verdicts import Waiver
from InferenceLibrary.report.check_results import (
    BreachResult,
    CallResult,
    CallState,
    CheckVerdict,
    CoverageResult,
    RuleResult,
    TargetCheck,
)

_NOT_PART = (Api.WORKER, Api.ORCHESTRATION, Api.SCORE, Api.OTHER)
"""APIs that a check does not ask for."""


class JudgedCall(NamedTuple):
    """A call and what breaks in it."""

    done: AskedCall
    judgement: Judgement | None
    """None where there was nothing to judge."""


class Breach(NamedTuple):
    """A violation, with its call and what stands against holding it against the server."""

    call: str
    violation: Violation
    waived: str


class Judged(NamedTuple):
    """What the rules say of all calls."""

    calls: tuple[JudgedCall, ...]
    together: Judgement
    breaches: tuple[Breach, ...]
    stale: tuple[str, ...]
    """Waivers that matched nothing, in words."""
    notices: tuple[str, ...]
    """Waivers that matched and are unproven, or past their date, in words."""

    def of_call(self, name: str, *, held: bool) -> list[str]:
        """Return the ids of the rules that a call breaks, each once."""
        return list(
            dict.fromkeys(
                one.violation.rule.id for one in self.breaches if one.call == name and held != bool(one.waived)
            )
        )


def judged(findings: Findings, reference: Reference, waivers: Sequence[Waiver], chance: str | None = None) -> Judged:
    """Ask the rulebook about each call, and about all of them together.

    Args:
        findings: The calls.
        reference: The text that decides where two differ.
        waivers: What is not held against the server.
        chance: Why its answers do not repeat; empty where they do; None: the calls tell.
    """
    known = Known(models=findings.models, key=findings.key, reference=reference, chance=chance)
    calls = [
        JudgedCall(done, judge(done.exchange, known) if done.exchange is not None and _can_be_judged(done) else None)
        for done in findings.done
    ]
    asked = [one.done for one in calls if one.judgement is not None]
    exchanges = [done.exchange for done in asked if done.exchange is not None]
    together = judge_several(exchanges, known)
    found = [
        (one.done.call.name, violation)
        for one in calls
        if one.judgement is not None
        for violation in one.judgement.violations
    ]
    found += [(asked[violation.exchange].call.name, violation) for violation in together.violations]
    breaches = tuple(Breach(call, violation, _waived(violation, waivers)) for call, violation in found)
    stale = tuple(str(waiver) for waiver in waivers if not any(waiver.covers(violation) for _, violation in found))
    used = [one for one in waivers if any(one.covers(violation) for _, violation in found)]
    notices = tuple(f"unproven waiver: {one}" for one in used if one.unproven)
    notices += tuple(f"waiver past its date, {one.until}: {one}" for one in used if one.has_ended(date.today()))
    return Judged(tuple(calls), together, breaches, stale, notices)


def _can_be_judged(done: AskedCall) -> bool:
    """Whether an answer says something of an API: not where there is no such route."""
    if done.exchange is None or done.answered is None or done.exchange.status is None:
        return False
    return done.answered.sort != "missing" or bool(done.call.refusal and done.call.needs)


def _waived(violation: Violation, waivers: Iterable[Waiver]) -> str:
    return next((waiver.reason for waiver in waivers if waiver.covers(violation)), "")


def rule_results(found: Judged) -> list[RuleResult]:
    """Return what became of each rule of the book, in its order."""
    judgements = [one.judgement for one in found.calls if one.judgement is not None] + [found.together]
    spoken = {api for one in found.calls if one.judgement is not None for api in _apis(one.done.exchange)}
    return [_rule_result(rule, judgements, found.breaches, spoken) for rule in REGISTRY.values()]


def _apis(exchange: Exchange | None) -> list[Api]:
    from InferenceLibrary.protocol.rules.apis import api_of

    return [] if exchange is None else [api_of(exchange)]


def _rule_result(rule: Rule, judgements: list[Judgement], breaches: Sequence[Breach], spoken: set[Api]) -> RuleResult:
    own = [breach for breach in breaches if breach.violation.rule is rule]
    held = [breach for breach in own if not breach.waived]
    kept = sum(rule.id in one.kept for one in judgements)
    calls = kept + len({breach.call for breach in own})
    reason = ""
    if held:
        state = "broken"
    elif own:
        state, reason = "waived", own[0].waived
    elif kept:
        state = "kept"
    else:
        state, reason = "not judged", _why_not(rule, judgements, spoken)
    # Of each call the first breach that is held against the server; what is waived only where nothing is.
    first: dict[str, Breach] = {}
    for breach in sorted(own, key=lambda one: bool(one.waived)):
        first.setdefault(breach.call, breach)
    return RuleResult(
        rule=rule.id,
        level=rule.level.value,
        state=state,  # type: ignore[arg-type]
        sentence=rule.sentence,
        source=rule.source,
        calls=calls,
        reason=reason,
        breaches=[_breach(breach) for breach in first.values()],
    )


def _breach(breach: Breach) -> BreachResult:
    one = breach.violation
    return BreachResult(
        call=breach.call, kind=one.kind, got=one.got, event=one.event, offset=one.offset, waived=breach.waived
    )


def _why_not(rule: Rule, judgements: Iterable[Judgement], spoken: set[Api]) -> str:
    told = next((one.not_judged[rule.id] for one in judgements if rule.id in one.not_judged), "")
    if told:
        return told
    if rule.apis and rule.apis <= set(_NOT_PART):
        return "a check does not ask for this API"
    if rule.apis and not rule.apis & spoken:
        return "the server does not offer this API"
    return "no answer had what it is about"


def call_results(found: Judged, evidence: dict[str, str]) -> list[CallResult]:
    """Return what became of each call."""
    return [_call_result(one, found, evidence.get(one.done.call.name, "")) for one in found.calls]


def _call_result(one: JudgedCall, found: Judged, evidence: str) -> CallResult:
    call, exchange, answered = one.done.call, one.done.exchange, one.done.answered
    held, waived = found.of_call(call.name, held=True), found.of_call(call.name, held=False)
    reason = one.done.reason or (answered.reason if answered is not None else "")
    state: CallState = "kept"
    if exchange is None:
        state = "not asked"
    elif _fails(one, found):
        state = "failed"
    elif held:
        state = "broken"
    elif answered is not None and answered.sort != "good" and not call.refusal:
        state = "refused"
    elif waived:
        state = "waived"
    return CallResult(
        name=call.name,
        capability=call.capability,
        method=call.method,
        path=exchange.request.path if exchange is not None else call.path_for(""),
        state=state,
        status=exchange.status if exchange is not None else None,
        milliseconds=round(exchange.elapsed * 1000) if exchange is not None else 0,
        broken=held,
        reason=reason,
        evidence=evidence,
    )


class Verdicts(NamedTuple):
    """The two verdicts, and why."""

    compat: CheckVerdict
    strict: CheckVerdict
    reason: str


def verdicts(findings: Findings, found: Judged) -> Verdicts:
    """Return the verdicts. What was cut short, or judged nothing, is not judged, whatever was seen until then."""
    if findings.cut_short:
        return Verdicts("not judged", "not judged", findings.cut_short)
    must = _ids(one for one in found.breaches if one.violation.rule.level is Level.MUST and not one.waived)
    every = _ids(found.breaches)
    failed = [one.done.call.name for one in found.calls if _fails(one, found)]
    parts = [f"breaks {len(must)} must {_rules(must)}: {', '.join(must)}"] if must else []
    parts += [f"{len(failed)} calls failed: {', '.join(failed)}"] if failed else []
    if not parts:
        kept = sum(result.state == "kept" for result in rule_results(found))
        parts = [f"{kept} rules are kept in {sum(one.judgement is not None for one in found.calls)} calls"]
    only = [name for name in every if name not in must]
    parts += [f"the reference also has {', '.join(only)}"] if only else []
    return Verdicts("fail" if must or failed else "pass", "fail" if every or failed else "pass", "; ".join(parts))


def _fails(one: JudgedCall, found: Judged) -> bool:
    """Whether a server failed at a call: not where it should have refused it, and that it fails instead is waived."""
    if one.done.answered is None or one.done.answered.sort != "failed":
        return False
    name = one.done.call.name
    return not (one.done.call.refusal and found.of_call(name, held=False) and not found.of_call(name, held=True))


def _ids(breaches: Iterable[Breach]) -> list[str]:
    broken = {breach.violation.rule.id for breach in breaches}
    return [name for name in REGISTRY if name in broken]


def _rules(names: Sequence[str]) -> str:
    return "rule" if len(names) == 1 else "rules"


def coverage_results(findings: Findings, stated: Mapping[str, str]) -> list[CoverageResult]:
    """Return what is offered; what only the profile tells stands last."""
    found = [*findings.coverage.values(), *findings.refused]
    names = {one.capability for one in found}
    told = [
        CoverageResult(capability=name, state="not offered", reason=f"{reason} (by its profile)")
        for name, reason in stated.items()
        if name not in names
    ]
    return [*found, *told]


def exit_code(targets: Iterable[TargetCheck], *, strict: bool, against_baseline: bool) -> int:
    """0: all was judged, and passed. 1: something is broken. 2: something was not judged; it wins."""
    code = 0
    for one in targets:
        verdict = one.strict if strict else one.compat
        if verdict == "not judged":
            return 2
        # Against a baseline only what got worse counts: what was broken before is known.
        if one.worse if against_baseline else verdict == "fail":
            code = 1
    return code
