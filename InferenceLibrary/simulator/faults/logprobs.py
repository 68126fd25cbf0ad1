"""Faults of log probabilities, of chats and of text completions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from InferenceLibrary.simulator.faults.kinds import Values, define
from InferenceLibrary.simulator.faults.objects import choices_of

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.draft import Draft
    from InferenceLibrary.simulator.core.turn import Turn

Change = Callable[[Any], None]


def _holders(draft: Draft) -> list[dict[str, Any]]:
    """Return the objects that hold log probabilities, one a choice and chunk."""
    found = [choice.get("logprobs") for choice in choices_of(draft)]
    return [holder for holder in found if isinstance(holder, dict)]


def _fault(name: str, text: str, rule: str, of_chat: Change, of_text: Change | None = None) -> None:
    """Define a fault that changes the tokens of a chat, and what holds those of a text completion."""
    kind = define(name, text, breaks=(rule,))

    @kind.draft
    def change(draft: Draft, _values: Values, _turn: Turn) -> None:
        for holder in _holders(draft):
            if "content" in holder:
                for entry in holder["content"] or ():
                    of_chat(entry)
            elif of_text is not None:
                of_text(holder)


def _set(key: str, value: Callable[[Any], Any]) -> Change:
    def change(holder: Any) -> None:
        holder[key] = value(holder.get(key))

    return change


def _repeat_alternative(entry: Any) -> None:
    if entry["top_logprobs"]:
        entry["top_logprobs"].append(dict(entry["top_logprobs"][0]))


def _spoil_alternatives(entry: Any) -> None:
    for other in entry["top_logprobs"][1:]:
        other["bytes"] = [*other["bytes"], 33]


def _raise_alternatives(entry: Any) -> None:
    for number, other in enumerate(entry["top_logprobs"]):
        other["logprob"] = -0.1 - number / 1000


def _raise_texts(holder: Any) -> None:
    for tops in holder["top_logprobs"] or ():
        for number, token in enumerate(tops):
            tops[token] = -0.1 - number / 1000


def _more(entry: Any) -> None:
    place = len(entry["top_logprobs"])
    for number in range(place, place + 5):
        token = f" more{number}"
        entry["top_logprobs"].append({"token": token, "logprob": -20.0 - number, "bytes": list(token.encode())})


def _more_texts(holder: Any) -> None:
    for tops in holder["top_logprobs"] or ():
        tops.update({f" more{number}": -20.0 - number for number in range(5)})


_fault(
    "wrong-logprobs",
    "gives log probabilities above zero",
    "C23",
    _set("logprob", lambda _: 0.5),
    _set("token_logprobs", lambda old: [0.5 for _ in old]),
)
_fault(
    "logprobs-token-number",
    "gives a number where the text of a token belongs",
    "C23",
    _set("token", lambda _: 17),
    _set("tokens", lambda old: [17 for _ in old]),
)
_fault(
    "logprobs-bytes-text",
    "gives a text where the list of a token's bytes belongs",
    "C23",
    _set("bytes", lambda _: "61"),
)
_fault(
    "logprobs-bytes-wrong",
    "gives bytes that are not those of the token",
    "L3",
    _set("bytes", lambda old: [*old, 33]),
)
_fault(
    "alternative-bytes-wrong",
    "gives an alternative bytes that are not those of its text",
    "L3",
    _spoil_alternatives,
)
_fault("logprobs-alternative-twice", "names an alternative twice", "L2", _repeat_alternative)
_fault(
    "logprobs-over-one", "gives alternatives whose probabilities add up to more than one", "L2",
    _raise_alternatives, _raise_texts,
)  # fmt: skip
_fault("logprobs-too-many", "gives more alternatives than were asked for", "L1", _more, _more_texts)

logprobs_missing = define("logprobs-missing", "gives no log probabilities though asked", breaks=("L1",))


@logprobs_missing.draft
def logprobs_missing_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    for choice in choices_of(draft):
        if choice.get("logprobs"):
            choice["logprobs"] = None


logprobs_token_lost = define("logprobs-token-lost", "leaves out the log probability of a token", breaks=("L4",))


@logprobs_token_lost.draft
def logprobs_token_lost_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    holders = [holder for holder in _holders(draft) if holder.get("content") or holder.get("tokens")]
    for holder in holders[-1:]:
        for key, values in holder.items():
            if isinstance(values, list):
                holder[key] = values[:-1]
