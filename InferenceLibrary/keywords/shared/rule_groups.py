"""Groups of rules under the names of checks. What is right stands in the rules; a check says which of them it asks."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any, NamedTuple

from InferenceLibrary.errors import CheckFailure
from InferenceLibrary.log import seen

if TYPE_CHECKING:
    from InferenceLibrary.context import Context
    from InferenceLibrary.protocol.exchange import Exchange
    from InferenceLibrary.protocol.rules.rule import Judgement

DONE = ("F8",)
"""How a stream of chats or completions ends."""
ONE_ID = ("C2", "RS20")
"""All events of a stream belong to one answer."""
ORDER = (
    *("C1", "C6", "C9", "C11", "C14", "C24", "X1", "X6"),
    *("RS1", "RS4", "RS5", "RS6", "RS7", "RS8", "RS9", "RS20", "RS21", "RS23"),
    *("A1", "A3", "A4", "A9", "A10"),
    *("W1", "W4"),
)
"""What comes in a stream, and after what: also that what comes is a chunk or an answer at all."""
RANKING = ("RK1", "RK2", "RK3", "RK4")
"""Documents by their score."""
SCORES = ("SC1",)
"""A score for each pair of texts."""
EVENLY = ("F11",)
"""Events come as they are made."""
TYPED = ("RS3", "A2", "W2")
"""Events say their type."""
USAGE = ("C14", "C16", "N7", "U1", "X6", "RS2", "A4", "A10")
"""Tokens are counted, for all choices."""
TOOLS = ("T1", "T2", "T3", "T4", "T5", "T6", "T8", "N6", "A5", "A14", "RS9", "RS16", "RS18")
"""Tool calls, and how they come."""
LOGPROBS = ("C23", "L1", "L2", "L3", "L4")
"""Log probabilities of tokens."""


def exchange_of(answer: Any) -> Exchange:
    """Return the record of the call behind an answer, or behind the error of a failed one.

    Raises:
        ValueError: There is none.
    """
    from InferenceLibrary.protocol.exchange import Exchange

    exchange = getattr(answer, "exchange", None)
    if not isinstance(exchange, Exchange):
        raise ValueError(f"Expected a reply, a stream or the error of a call, got {type(answer).__name__} {answer!r}.")
    return exchange


def asked_besides(answer: Any, *, tools: Any = None, logprobs: int | None = None) -> Exchange:
    """Return the record of a call as if this had been asked too: for answers to requests that one did not make."""
    import json
    from dataclasses import replace

    from InferenceLibrary.protocol.paths import CHAT, MESSAGES, RESPONSES
    from InferenceLibrary.protocol.requests import Question, body_for

    exchange = exchange_of(answer)
    path = exchange.request.path
    form = next((one for one in (MESSAGES, RESPONSES) if path.endswith(one)), CHAT)
    added = body_for(form, Question(tools=tools, logprobs=logprobs))
    asked = exchange.asked if isinstance(exchange.asked, dict) else {}
    whole = {**asked, **{name: added[name] for name in ("tools", "logprobs", "top_logprobs") if name in added}}
    return replace(exchange, request=exchange.request._replace(body=json.dumps(whole).encode()))


class AnswerVerdict(NamedTuple):
    """What the rules say of an answer of a known server."""

    judgement: Judgement
    """Its violations are those that are held against the server."""
    waived: dict[str, str]
    """Ids of broken rules that its profile waives, with the reason."""


def judge_answer(
    context: Context,
    answer: Any,
    *,
    leave_out: Collection[str] = (),
    only: Collection[str] | None = None,
    exchange: Exchange | None = None,
) -> AnswerVerdict:
    """Judge an answer, or the record that is given of it; what its server's profile waives is not held against it."""
    from InferenceLibrary.protocol.rules.book import judge
    from InferenceLibrary.protocol.rules.rule import Known

    exchange = exchange or exchange_of(answer)
    # Of several connections to one address the last one says best what is known of the server.
    asked = [one for one in context.servers if exchange.request.url.startswith(one.client.base_url + "/")]
    server = asked[-1] if asked else None
    known = Known() if server is None else Known(models=server.client.listed, reference=server.profile.reference)
    judgement = judge(exchange, known, leave_out=leave_out, only=only)
    waivers = server.known.waivers if server is not None and judgement.violations else ()
    reasons = [
        (one, next((waiver.reason for waiver in waivers if waiver.covers(one)), "")) for one in judgement.violations
    ]
    held = tuple(one for one, reason in reasons if not reason)
    return AnswerVerdict(
        judgement._replace(violations=held), {one.rule.id: reason for one, reason in reasons if reason}
    )


def hold(context: Context, what: str, answer: Any, rules: Collection[str], exchange: Exchange | None = None) -> None:
    """Hold an answer, or the record that is given of it, to a group of rules.

    Raises:
        CheckFailure: One is broken; or none of them has something to say about such an answer, or could be asked.
    """
    from InferenceLibrary.protocol.rules.verdicts import listed

    judgement, waived = judge_answer(context, answer, only=rules, exchange=exchange)
    if judgement.violations:
        raise CheckFailure(f"{what}: {listed(judgement.violations)}")
    if not judgement.kept and not waived:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in judgement.not_judged.items())
        raise CheckFailure(
            f"{what}: expected an answer that has it, got {answer}" + (f" (not judged: {reasons})." if reasons else ".")
        )
    seen(f"{what}: {', '.join(sorted(judgement.kept)) or 'nothing'} kept by {answer}{told_waived(waived)}.")


def told_waived(waived: dict[str, str]) -> str:
    """Return what is waived, for the end of a line; empty where nothing is."""
    return "".join(f"; waived {name}: {reason}" for name, reason in waived.items())
