"""The rulebook: asks every rule that has something to say about an exchange."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from InferenceLibrary.protocol.exchange import Ending, Exchange, Held
from InferenceLibrary.protocol.rules import (  # noqa: F401  (they write their rules down)
    agreements,
    bodies,
    chats,
    choices_reader,
    completions,
    contents,
    embeddings,
    errors,
    framing,
    logprobs,
    messages,
    messages_stream,
    models,
    orchestration,
    rankings,
    responses,
    responses_stream,
    sequences,
    tokens,
    tools,
    usage,
    worker,
)
from InferenceLibrary.protocol.rules.apis import is_streamed
from InferenceLibrary.protocol.rules.builders import views_of
from InferenceLibrary.protocol.rules.rule import (
    REGISTRY,
    Api,
    Found,
    Judgement,
    Known,
    NotJudged,
    Reference,
    Rule,
    Violation,
)
from InferenceLibrary.protocol.rules.views import Answer, Called, View

NOTHING_KNOWN = Known()
_EXCERPT = 200
_MOST = 100
"""So many violations of one rule in one exchange are told."""


def judge(
    exchange: Exchange,
    known: Known = NOTHING_KNOWN,
    *,
    reference: Reference | None = None,
    leave_out: Collection[str] = (),
    only: Collection[str] | None = None,
) -> Judgement:
    """Ask the rules about one exchange.

    Args:
        exchange: The record of a call.
        known: What is known of its server.
        reference: The text that decides where two differ; that of `known` by default.
        leave_out: Ids of rules that are not asked.
        only: Ids of the rules that are asked; all by default.

    Raises:
        ValueError: There is no rule of such an id.
    """
    wanted = [rule for rule in _wanted(leave_out, only) if not rule.several]
    views = views_of(exchange)
    return _ask(wanted, [(exchange, views)], _with(known, reference))


def judge_several(
    exchanges: Sequence[Exchange],
    known: Known = NOTHING_KNOWN,
    *,
    reference: Reference | None = None,
    leave_out: Collection[str] = (),
    only: Collection[str] | None = None,
) -> Judgement:
    """Ask the rules about several exchanges of one server, in the order in which they were made.

    Where it is not known whether answers repeat, the exchanges tell.

    Raises:
        ValueError: There is no rule of such an id.
    """
    wanted = [rule for rule in _wanted(leave_out, only) if rule.several]
    calls = [(exchange, views_of(exchange)) for exchange in exchanges]
    known = _with(known, reference)
    if known.chance is None:
        known = replace(known, chance=agreements.chance_seen(view for _, views in calls for view in views))
    return _ask(wanted, calls, known)


def rules_of(api: Api | None = None) -> list[Rule]:
    """The rules of one API, those of all APIs included; without one the whole book, in its order."""
    return [rule for rule in REGISTRY.values() if api is None or not rule.apis or api in rule.apis]


def load_rules(path: str | Path) -> list[Rule]:
    """Add the rules that a Python file writes down by `@rule`; return them.

    A file that was loaded before is loaded again in place of its former rules.

    Raises:
        ValueError: The file cannot be run, writes no rule down, or uses the id of a rule of the book.
    """
    from InferenceLibrary.protocol.rules.own_rules import load

    return load(Path(path))


def check_ids(names: Iterable[str]) -> None:
    """Check that there are rules of these ids.

    Raises:
        ValueError: There is none of one of them.
    """
    for name in names:
        if name not in REGISTRY:
            raise ValueError(f"Expected the id of a rule, one of {', '.join(REGISTRY)}; got '{name}'.")


def _with(known: Known, reference: Reference | None) -> Known:
    return known if reference is None else replace(known, reference=reference)


def _wanted(leave_out: Collection[str], only: Collection[str] | None) -> list[Rule]:
    check_ids((*leave_out, *(only or ())))
    return [rule for name, rule in REGISTRY.items() if name not in leave_out and (only is None or name in only)]


def _ask(rules: Iterable[Rule], calls: Sequence[tuple[Exchange, list[View]]], known: Known) -> Judgement:
    violations: list[Violation] = []
    kept: list[str] = []
    not_judged: dict[str, str] = {}
    for rule in rules:
        found: list[tuple[int, View]] = []
        reason = None
        for number, (exchange, views) in enumerate(calls):
            view = next((view for view in views if isinstance(view, rule.view)), None)
            if view is None or (rule.apis and view.api not in rule.apis):
                continue
            missing = _missing(rule, exchange, view)
            if missing is None:
                found.append((number, view))
            reason = reason or missing
        if not found or (rule.several and len(found) < 2):
            if reason is not None:
                not_judged[rule.id] = reason
            continue
        given: Any = [view for _, view in found] if rule.several else found[0][1]
        try:
            broken = [
                _violation(rule, one, calls[found[one.exchange][0]][0], found[one.exchange][0])
                for one in _some(rule.check(given, known))
            ]
        except NotJudged as why:
            not_judged[rule.id] = str(why)
            continue
        violations += broken
        if not broken:
            kept.append(rule.id)
    return Judgement(tuple(violations), tuple(kept), not_judged)


def _missing(rule: Rule, exchange: Exchange, view: View) -> str | None:
    """Why a rule cannot be asked; None when it can."""
    lacks = [str(item) for item in Held if item in rule.needs and item not in exchange.held]
    if lacks:
        return f"the record holds no {' and no '.join(lacks)}"
    if type(view) not in (Called, Answer) and exchange.ending is not Ending.WHOLE and not is_streamed(exchange):
        return "the body did not come whole"
    if rule.to_the_end and not view.ran_to_its_end:
        return "the answer did not come to its own end"
    return None


def _some(found: Iterable[Found]) -> Iterable[Found]:
    for number, one in enumerate(found):
        if number >= _MOST:
            return
        yield one


def _violation(rule: Rule, found: Found, exchange: Exchange, number: int = 0) -> Violation:
    if found.kind not in rule.kinds:
        raise ValueError(f"Rule '{rule.id}' found '{found.kind}', which is not one of its kinds: {rule.kinds}.")
    start = found.offset or 0
    excerpt: Any = exchange.body[start : start + _EXCERPT]
    return Violation(rule, found.kind, found.got, found.event, found.offset, excerpt, exchange, number)
