"""What a rule is, what it may find, and what it may know."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from InferenceLibrary.protocol.exchange import Exchange, Held


class Level(StrEnum):
    """How much a breach of a rule matters, by what clients tolerate."""

    MUST = "must"
    """A client of the field fails, or shows something wrong."""
    SHOULD = "should"
    """The reference says so; the clients of the field tolerate it."""


class Api(StrEnum):
    """Which API an exchange speaks."""

    CHAT = "chat"
    COMPLETIONS = "completions"
    RESPONSES = "responses"
    MESSAGES = "messages"
    EMBEDDINGS = "embeddings"
    MODELS = "models"
    RERANK = "rerank"
    SCORE = "score"
    TOKENS = "tokens"
    WORKER = "worker"
    ORCHESTRATION = "orchestration"
    OTHER = "other"


class Reference(StrEnum):
    """The text that decides where two references differ."""

    OPENAI = "openai"
    OPEN_RESPONSES = "open-responses"
    ANTHROPIC = "anthropic"


@dataclass(frozen=True)
class Known:
    """What is known of the server beside the exchange."""

    models: tuple[str, ...] | None = None
    """The ids of its model list; None when it was not read."""
    key: bool | None = None
    """Whether it wants a key; None when that is not known."""
    reference: Reference = Reference.OPENAI
    chance: str | None = None
    """How its answers differ where nothing is left to chance; empty where they repeat; None when that is not known."""


class Found(NamedTuple):
    """What a rule found: one breach."""

    kind: str
    """A word of the rule's kinds."""
    got: str
    """What was found in place of what the rule asks for, short, as the server sent it."""
    event: int | None = None
    """Number of the event, from 1; None for a whole answer or the stream as a whole."""
    offset: int | None = None
    """Byte of the body where it is; None when it is in no single place."""
    exchange: int = 0
    """Which of the exchanges it is in, from 0, for a rule about several."""


class Violation(NamedTuple):
    """One breach of one rule, with its place."""

    rule: Rule
    kind: str
    got: str
    event: int | None
    offset: int | None
    excerpt: bytes
    """The offending bytes, at most some hundred of them."""
    call: Exchange
    """The call in which it is."""
    exchange: int = 0
    """Which of the exchanges it is in, from 0, where several were judged together."""

    @property
    def level(self) -> Level:
        """How much it matters: that of its rule, but for the kinds that clients tolerate."""
        return Level.SHOULD if self.kind in self.rule.tolerated else self.rule.level

    def __str__(self) -> str:
        place = f" in event {self.event}" if self.event is not None else ""
        place += f" at byte {self.offset}" if self.offset is not None else ""
        return f"{self.rule.id}: {self.rule.sentence} Got {self.got}{place}."


@dataclass(frozen=True, eq=False)
class Rule:
    """One numbered statement about the wire."""

    id: str
    """As `C2`, `RS5`."""
    level: Level
    apis: frozenset[Api]
    """The APIs that have the thing; empty: all."""
    sentence: str
    """What must hold, one sentence."""
    source: str
    """Where that is said: document, section, date of reading."""
    kinds: tuple[str, ...]
    """The ways to break it; a violation names one."""
    check: Callable[..., Iterable[Found]]
    """Takes a view of the exchange and what is known of the server; see `views`."""
    view: type[Any]
    """The view of the exchange that `check` takes; the rule is asked where the exchange has that view."""
    needs: frozenset[Held] = field(default_factory=frozenset)
    """What a record must hold, beside status and body, for the rule to be judged."""
    to_the_end: bool = False
    """Whether it is about answers that came to their own end: not one that we ended, nor one that an error ended."""
    several: bool = False
    """Whether it is about several exchanges of one server: `check` then takes the list of their views."""
    tolerated: frozenset[str] = field(default_factory=frozenset)
    """The kinds of a must rule that count as those of a should rule."""


class NotJudged(Exception):
    """Raised by the function of a rule: what it was given says nothing about the rule. Its text is the reason."""


Check = Callable[..., Iterable[Found]]

REGISTRY: dict[str, Rule] = {}
"""All rules that were written down, by id, in the order in which they were."""


def rule(
    name: str,
    level: Level,
    sentence: str,
    *,
    source: str,
    kinds: tuple[str, ...],
    view: type[Any],
    apis: Iterable[Api] = (),
    needs: Iterable[Held] = (),
    to_the_end: bool = False,
    several: bool = False,
    tolerated: Iterable[str] = (),
) -> Callable[[Check], Check]:
    """Write down a rule: the function below takes a view and what is known, and yields what it found.

    Args:
        name: The id, as `C2`; unique.
        level: How much a breach matters.
        sentence: What must hold, one sentence with a full stop.
        source: Document, section, date of reading.
        kinds: The ways to break it.
        view: The view that the function takes.
        apis: The APIs that have the thing; all by default.
        needs: What a record must hold for the rule to be judged.
        to_the_end: Not judged where we, or an error, ended the answer.
        several: The function takes the list of the views of several exchanges.
        tolerated: Kinds of a must rule that clients tolerate, or that chance may bring about: they count as those of a
            should rule.

    Raises:
        ValueError: There is such an id, the sentence, the source or the kinds are missing, or what is tolerated is not
            one of the kinds.
    """

    def write(check: Check) -> Check:
        if name in REGISTRY:
            raise ValueError(f"Rule '{name}' is written down twice.")
        if not sentence.endswith(".") or not source or not kinds:
            raise ValueError(f"Rule '{name}' needs a sentence with a full stop, a source and its kinds.")
        softer = frozenset(tolerated)
        if not softer <= set(kinds):
            raise ValueError(f"Rule '{name}' tolerates what is not one of its kinds: {sorted(softer - set(kinds))}.")
        REGISTRY[name] = Rule(
            id=name,
            level=level,
            apis=frozenset(apis),
            sentence=sentence,
            source=source,
            kinds=kinds,
            check=check,
            view=view,
            needs=frozenset(needs),
            to_the_end=to_the_end,
            several=several,
            tolerated=softer,
        )
        return check

    return write


class Judgement(NamedTuple):
    """What the rules say of an exchange."""

    violations: tuple[Violation, ...]
    kept: tuple[str, ...]
    """Ids of the rules that were asked and hold."""
    not_judged: dict[str, str]
    """Ids of rules that have something to say about such an exchange and could not be asked, with the reason."""

    @property
    def broken(self) -> tuple[str, ...]:
        """Ids of the broken rules, each once, in the order of the book."""
        return tuple(dict.fromkeys(violation.rule.id for violation in self.violations))
