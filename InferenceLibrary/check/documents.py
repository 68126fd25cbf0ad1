"""The results of a check as a document: for one target its findings, for several a matrix before them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from InferenceLibrary.report.check_results import CheckResults, RuleResult, TargetCheck
from InferenceLibrary.report.document import Cell, Document, Section, Tone, row, table
from InferenceLibrary.report.junit import JUnitCase

TONES = {
    "pass": Tone.GOOD,
    "fail": Tone.BAD,
    "not judged": Tone.OPEN,
    "offered": Tone.GOOD,
    "not offered": Tone.PLAIN,
    "refused": Tone.ODD,
    "unknown": Tone.OPEN,
    "kept": Tone.GOOD,
    "broken": Tone.BAD,
    "failed": Tone.BAD,
    "waived": Tone.ODD,
    "shown": Tone.GOOD,
    "not shown": Tone.ODD,
    "not asked": Tone.OPEN,
}


def document(results: CheckResults, *, strict: bool = False, extra: Sequence[Section] = ()) -> Document:
    """Return the report of a check.

    Args:
        results: What was found.
        strict: Whether the strict verdict is the one that counts.
        extra: Sections of others: the proof, the suites.
    """
    several = len(results.targets) > 1
    names = ", ".join(one.target for one in results.targets)
    facts = [("Made", results.made), ("Library", f"InferenceLibrary {results.library}")]
    sections: list[Section] = []
    if several:
        sections += matrices(results.targets)
    for target in results.targets:
        if several:
            sections += [_named(section, target.target) for section in target_sections(target)]
        else:
            facts += target_facts(target)
            sections += target_sections(target)
    return Document(
        f"Check of {names}" if names else "Proof of the check",
        headline(results, strict=strict),
        tuple(facts),
        (*sections, *extra),
    )


def headline(results: CheckResults, *, strict: bool) -> Cell:
    """Return the verdict on all targets."""
    word = {0: "pass", 1: "fail", 2: "not judged"}[results.exit_code]
    which = "strict" if strict else "compat"
    if not results.targets:
        return Cell(word, TONES[word])
    if len(results.targets) == 1:
        one = results.targets[0]
        return Cell(f"compat {one.compat}, strict {one.strict}", TONES[word], one.reason)
    told = [f"{one.target}: {one.strict if strict else one.compat}" for one in results.targets]
    return Cell(f"{which} {word}", TONES[word], "; ".join(told))


def target_facts(target: TargetCheck) -> list[tuple[str, str]]:
    return [
        ("Target", target.url),
        ("Model", target.model or "unknown"),
        ("Reference", target.reference),
        ("Dialect", target.dialect or "none: nothing is waived"),
        ("Requests", f"{target.requests} in {target.seconds:.1f} s"),
    ]


def target_sections(target: TargetCheck) -> list[Section]:
    """Return what was found about one target: three results, and what stands behind them."""
    verdict = table(
        ("verdict", "result", "means"),
        [
            row(
                "compat", Cell(target.compat, TONES[target.compat]), "clients of the field work: no must rule is broken"
            ),
            row(
                "strict",
                Cell(target.strict, TONES[target.strict]),
                "the reference is kept: no rule is broken or waived",
            ),
        ],
    )
    sections = [Section("Verdict", (target.reason,), verdict)]
    if target.worse:
        sections.append(Section("Worse than the baseline", (), table(("what",), [row(one) for one in target.worse])))
    if target.coverage:
        sections.append(_coverage(target))
        sections.append(_conformance(target.rules))
        sections.append(_abilities(target))
    if target.notices:
        sections.append(Section("Dialect", (), table(("notice",), [row(one) for one in target.notices])))
    if target.stale:
        text = "These waivers of the dialect matched nothing in this check."
        sections.append(Section("Stale waivers", (text,), table(("waiver",), [row(one) for one in target.stale])))
    if target.coverage:
        sections.append(_all_rules(target.rules))
        sections.append(_calls(target))
    # What was not judged is told in one line; what was seen until then is detail.
    return [one._replace(folded=True) for one in sections] if target.compat == "not judged" else sections


def _coverage(target: TargetCheck) -> Section:
    states = [one.state for one in target.coverage]
    rows = [row(one.capability, Cell(one.state, TONES[one.state], one.reason)) for one in target.coverage]
    text = f"{states.count('offered')} of {len(states)} are offered."
    return Section("Coverage: what is offered", (text,), table(("capability", "state"), rows))


def _conformance(rules: Sequence[RuleResult]) -> Section:
    states = [one.state for one in rules]
    count = {state: states.count(state) for state in ("kept", "broken", "waived", "not judged")}
    text = ", ".join(f"{number} rules {state}" for state, number in count.items()) + "."
    rows = []
    for one in rules:
        if one.state in ("broken", "waived"):
            first = one.breaches[0]
            place = f" in event {first.event}" if first.event is not None else ""
            what = f"{one.sentence} Got {first.got}{place}"
            why = f"{what} (waived: {one.reason})" if one.state == "waived" else what
            calls = first.call + (f" and {len(one.breaches) - 1} more" if len(one.breaches) > 1 else "")
            rows.append(row(one.rule, one.level, Cell(one.state, TONES[one.state]), Cell(calls, why=why)))
    head = ("rule", "level", "state", "calls")
    return Section("Conformance: rules of the wire", (text,), table(head, rows) if rows else None)


def _abilities(target: TargetCheck) -> Section:
    text = "What the model can do is not a matter of the protocol: it decides nothing here, but what could be judged."
    rows = [row(one.ability, Cell(one.state, TONES[one.state], one.reason)) for one in target.abilities]
    return Section("Ability of the model", (text,), table(("ability", "state"), rows) if rows else None)


def _all_rules(rules: Iterable[RuleResult]) -> Section:
    rows = [
        row(
            one.rule, one.level, Cell(one.state, TONES[one.state], one.reason), str(one.calls), one.sentence, one.source
        )
        for one in rules
    ]
    head = ("rule", "level", "state", "calls", "what must hold", "source")
    return Section("All rules", (), table(head, rows), folded=True)


def _calls(target: TargetCheck) -> Section:
    rows = [
        row(
            Cell(one.name, link=one.evidence),
            f"{one.method} {one.path}",
            str(one.status or ""),
            f"{one.milliseconds} ms",
            Cell(one.state, TONES[one.state], one.reason),
            ", ".join(one.broken),
        )
        for one in target.calls
    ]
    return Section("Calls", (), table(("call", "request", "status", "time", "state", "breaks"), rows), folded=True)


def matrices(targets: Sequence[TargetCheck]) -> list[Section]:
    """Return what is offered and kept by each target, a column each, with the reasons."""
    names = [one.target for one in targets]
    verdict = [
        row("compat", *(Cell(one.compat, TONES[one.compat], one.reason) for one in targets)),
        row("strict", *(Cell(one.strict, TONES[one.strict]) for one in targets)),
    ]
    offered = _matrix(targets, lambda one: {each.capability: (each.state, each.reason) for each in one.coverage})
    broken = _matrix(
        targets,
        lambda one: {each.rule: (each.state, _reason_of(each)) for each in one.rules},
        only=lambda states: bool({"broken", "waived"} & set(states)),
    )
    return [
        Section("Verdicts", (), table(("verdict", *names), verdict)),
        Section("Coverage: what is offered", (), table(("capability", *names), offered)),
        Section("Conformance: rules that a target breaks", (), table(("rule", *names), broken) if broken else None),
    ]


def _reason_of(result: RuleResult) -> str:
    if result.breaches:
        first = result.breaches[0]
        return f"{first.call}: got {first.got}" + (f" (waived: {result.reason})" if result.state == "waived" else "")
    return result.reason


def _matrix(
    targets: Sequence[TargetCheck],
    states: Callable[[TargetCheck], dict[str, tuple[str, str]]],
    only: Callable[[Sequence[str]], bool] = lambda states: True,
) -> list[tuple[Cell, ...]]:
    columns = [states(one) for one in targets]
    names = dict.fromkeys(name for column in columns for name in column)
    rows = []
    for name in names:
        found = [
            column.get(name, ("not judged", target.reason)) for column, target in zip(columns, targets, strict=True)
        ]
        if only([state for state, _ in found]):
            rows.append(row(name, *(Cell(state, TONES[state], reason) for state, reason in found)))
    return rows


def _named(section: Section, target: str) -> Section:
    return section._replace(title=f"{target}: {section.title}", folded=True)


def junit_cases(results: CheckResults, *, strict: bool) -> list[JUnitCase]:
    """Return a case for each rule of each target, and one for each target as a whole."""
    cases: list[JUnitCase] = []
    for target in results.targets:
        verdict = target.strict if strict else target.compat
        outcomes = {"pass": "passed", "fail": "failed", "not judged": "error"}
        whole = JUnitCase(target.target, "verdict", outcomes[verdict], target.reason, seconds=target.seconds)  # type: ignore[arg-type]
        cases.append(whole)
        for one in target.rules:
            counts = one.state == "broken" and (strict or one.level == "must")
            if one.state == "broken" and not counts:
                cases.append(JUnitCase(target.target, one.rule, "skipped", f"should: {_reason_of(one)}"))
            elif one.state == "waived":
                outcome = "failed" if strict else "skipped"
                cases.append(JUnitCase(target.target, one.rule, outcome, _reason_of(one), one.sentence))  # type: ignore[arg-type]
            elif one.state == "not judged":
                cases.append(JUnitCase(target.target, one.rule, "skipped", one.reason))
            else:
                detail = "\n".join(f"{each.call}: {each.kind}, got {each.got}" for each in one.breaches)
                outcome = "failed" if one.state == "broken" else "passed"
                message = f"{one.sentence} {_reason_of(one)}" if one.breaches else ""
                cases.append(JUnitCase(target.target, one.rule, outcome, message, detail))  # type: ignore[arg-type]
    return cases
