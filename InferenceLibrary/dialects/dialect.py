"""Dialects: what one server, in a range of versions, does otherwise than the references, and what it offers.

One file a server. The judge waives its deviations, the stand-in does them, profiles take its capabilities, and the
table of the docs is made from it.
"""

from __future__ import annotations

import difflib
import re
from datetime import date
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from InferenceLibrary.dialects.choices import OpenChoices
from InferenceLibrary.dialects.standing import standing
from InferenceLibrary.dialects.templates import joined
from InferenceLibrary.dialects.words import wrong_word
from InferenceLibrary.errors import ProfileError
from InferenceLibrary.protocol.capabilities import CAPABILITIES, unknown_capability
from InferenceLibrary.protocol.rules.rule import Api, Reference
from InferenceLibrary.protocol.rules.verdicts import Waiver
from InferenceLibrary.typed_yaml import locator, parse_yaml

if TYPE_CHECKING:
    from collections.abc import Callable

    from InferenceLibrary.protocol.exchange import Exchange


_NO_PATTERN = (re.error, OverflowError, RecursionError)
"""What a text fails with that is not a regular expression, or too large a one."""


class DialectPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of all parts of a dialect."""


class Circumstances(DialectPart, frozen=True):
    """When a server does it: what is given here must all hold. Nothing given: always."""

    streamed: bool | None = None
    """Whether the request asks for a stream."""
    several_choices: bool | None = None
    """Whether it asks for more than one choice: `n` above 1."""
    statuses: list[int] = []
    """Statuses of the answer, one of which it has."""
    path: str | None = None
    """Pattern that is found in the path of the request."""
    model: str | None = None
    """Pattern that is found in the model that is asked for."""
    asks_for: list[str] = []
    """Fields that the request has, and not as null."""
    answer: str | None = None
    """Pattern that is found in the text of the answer."""

    def hold(self, exchange: Exchange) -> bool:
        """Whether a call is one of them; what its record does not hold is not true of it."""
        asked: Any = exchange.asked if isinstance(exchange.asked, dict) else {}
        n = asked.get("n")
        several = isinstance(n, int) and n > 1
        return (
            self.streamed in {None, asked.get("stream") is True}
            and self.several_choices in {None, several}
            and (not self.statuses or exchange.status in self.statuses)
            and (self.path is None or re.search(self.path, exchange.request.path) is not None)
            and (self.model is None or re.search(self.model, str(asked.get("model", ""))) is not None)
            and all(asked.get(name) is not None for name in self.asks_for)
            and (self.answer is None or re.search(self.answer, exchange.text) is not None)
        )

    def __str__(self) -> str:
        said = [] if self.streamed is None else ["streamed" if self.streamed else "not streamed"]
        said += [] if self.several_choices is None else ["n above 1" if self.several_choices else "one choice"]
        said += [f"status {' or '.join(map(str, self.statuses))}"] if self.statuses else []
        said += [f"path {self.path}"] if self.path else []
        said += [f"model {self.model}"] if self.model else []
        said += [f"with {', '.join(self.asks_for)}"] if self.asks_for else []
        said += [f"answer with {self.answer}"] if self.answer else []
        return ", ".join(said)


class WaivedRule(DialectPart, frozen=True):
    """A rule of the wire that is not held against a server."""

    rule: str
    """Its id: `C7`."""
    reason: str
    """What the server does instead, one sentence."""
    kind: str | None = None
    """The way of breaking it, as failures name it; None: every way."""
    apis: list[Api] = []
    """The APIs where it does so; none: all."""
    when: Circumstances = Circumstances()
    """When it does so."""
    got: str | None = None
    """Pattern that is found in what failures say that they got; None: whatever it is."""
    until: date | None = None
    """The last day on which this is to be waived. One's own waiver ends then; a shipped one is told to be checked."""

    def waiver(self, *, unproven: bool = False) -> Waiver:
        """Return it as the judge uses it."""
        when = None if self.when == Circumstances() else self.when
        return Waiver(self.rule, self.reason, self.kind, frozenset(self.apis), when, unproven, self.until, self.got)


class Deviation(WaivedRule, frozen=True):
    """How a server breaks a rule."""

    quirk: str | None = None
    """The faults of the simulator that do the same, each as `--fault` takes it, with `;` between."""
    not_imitated: str = ""
    """Why the personality that stands in for the server does not do so."""
    evidence: str = ""
    """What shows it: a source with its date. Empty: the recording of the dialect."""
    noticed_by: str = ""
    """Who notices it."""
    unproven: bool = False
    """Whether no recording shows it."""

    @property
    def quirks(self) -> list[str]:
        """The faults that do the same."""
        return [one.strip() for one in (self.quirk or "").split(";") if one.strip()]


class Inherited(DialectPart, frozen=True):
    """A deviation of the dialect that this one extends."""

    rule: str
    kind: str | None = None
    """None: every way of breaking the rule."""


class VersionProbe(DialectPart, frozen=True):
    """How the version is found out."""

    path: str
    """The route that tells it, by GET."""
    header: str | None = None
    """The header that holds it; None: it stands in the body."""
    pattern: str = r"(\d[\w.]*)"
    """The version is its first group."""


class Dialect(DialectPart, frozen=True):
    """What one server, in a range of versions, does otherwise than the references, and what it offers."""

    filled_in: ClassVar[tuple[str, ...]] = ("file",)  # Keys that no file holds: set when it is read.
    name: str
    """How it is called: `vllm`. Several files may have one name, each for its versions."""
    title: str
    version: str
    """The version that was recorded, or read: the newest of them."""
    first: str = "0"
    """The oldest version that it is for."""
    before: str | None = None
    """The first version that it is not for any more; None: there is none yet."""
    probe: VersionProbe | None = None
    """How the version is found out; None: it cannot be."""
    evidence: str = ""
    """What shows its deviations, with the date."""
    recording: str | None = None
    """Name of the recording that proves them; None: they are unproven."""
    extends: str | None = None
    """Another file, by its name without suffix: what stands there holds, but for what stands here."""
    without: list[Inherited] = []
    """Deviations of the other file that this one does not have."""
    shown: list[Inherited] = []
    """Deviations of the other file that are unproven there and that the recording of this one shows."""
    reference: Reference = Reference.OPENAI
    """The text that decides where two references differ."""
    deviations: list[Deviation] = []
    """Rules that it breaks."""
    choices: OpenChoices | None = None
    """What the references leave open, as the stand-in does it; None: the stand-in is the reference with the quirks."""
    offers: list[str] = []
    """Capabilities that it has."""
    lacks: dict[str, str] = {}
    """Capability to the reason why it does not have it."""
    file: str = ""  # The file's name without suffix.

    @property
    def proven(self) -> bool:
        """Whether a recording shows what stands here."""
        return self.recording is not None

    @property
    def waivers(self) -> tuple[Waiver, ...]:
        """Its deviations, as the judge uses them."""
        return tuple(one.waiver(unproven=one.unproven or not self.proven) for one in self.deviations)

    def is_for(self, version: str) -> bool:
        """Whether a version is one of its range."""
        key = version_key(version)
        return version_key(self.first) <= key and (self.before is None or key < version_key(self.before))


def version_key(version: str) -> tuple[int, ...]:
    """Return what versions are compared by: their numbers. `b11434` is 11434, `0.5.0-dev` is 0, 5, 0."""
    found = re.match(r"\D*(\d{1,18}(?:\.\d{1,18})*)(?!\d)", version)
    return tuple(int(part) for part in found[1].split(".")) if found else ()


def parse_dialect(
    text: str, source: str, below: Callable[[str, str], Dialect], behind: OpenChoices | None = None
) -> Dialect:
    """Return the dialect that a YAML text holds.

    Args:
        text: The YAML text.
        source: Where it came from, for errors: a file name.
        below: Returns the dialect of a file's name, and takes the place where it is named, for errors.
        behind: The choices that those of a gateway stand on, in place of those that its file names.

    Raises:
        ProfileError: It is malformed; the message gives file, line and key.
    """
    dialect = parse_yaml(text, source, Dialect)
    place = locator(text, source)
    check_waived(dialect.deviations, "deviations", place)
    _check_evidence(dialect, place)
    check_capabilities(dialect.offers, dialect.lacks, place)
    _check_names(dialect, place)
    _check_versions(dialect, place)
    if dialect.probe is not None:
        _check_probe(dialect.probe, place)
    if behind is None and dialect.choices is not None and dialect.choices.stands_on:
        behind = below(dialect.choices.stands_on, place("choices.stands_on")).choices
    if dialect.choices is not None and behind is not None:
        dialect = msgspec.structs.replace(dialect, choices=standing(behind, dialect.choices))
    if dialect.choices is not None and dialect.extends is None:
        check_choices(dialect.choices, place)
    if dialect.extends is None:
        choices = dialect.choices
        dropped = [f"choices.{key}" for key in ("without_routes", "without_refuses") if getattr(choices, key, None)]
        for key in [*(key for key in ("without", "shown") if getattr(dialect, key)), *dropped]:
            raise ProfileError(f"{place(key)}: there is nothing to take over without `extends`.")
        return dialect
    return _joined(dialect, below(dialect.extends, place("extends")), place)


def check_waived(entries: list[Any], key: str, place: Callable[[str], str]) -> None:
    """Refuse rules, kinds and patterns that do not exist.

    Raises:
        ProfileError: One of them is wrong; the message names the nearest.
    """
    from InferenceLibrary.protocol.rules.book import rules_of

    rules = {rule.id: rule for rule in rules_of()}
    for number, one in enumerate(entries):
        if one.rule not in rules:
            raise ProfileError(
                f"{place(f'{key}[{number}].rule')}: '{one.rule}' is not a rule.{_nearest(one.rule, rules)} "
                "docs/rules.md lists them."
            )
        kinds = rules[one.rule].kinds
        if one.kind is not None and one.kind not in kinds:
            raise ProfileError(
                f"{place(f'{key}[{number}].kind')}: rule {one.rule} cannot be broken by '{one.kind}': expected one of "
                f"{', '.join(kinds)}.{_nearest(one.kind, kinds)}"
            )
        if not one.reason.strip():
            raise ProfileError(f"{place(f'{key}[{number}].reason')}: expected what the server does, got an empty text.")
        odd = next((status for status in one.when.statuses if not 100 <= status <= 599), None)
        if odd is not None:
            raise ProfileError(
                f"{place(f'{key}[{number}].when.statuses')}: expected statuses of HTTP, 100 to 599, got {odd}."
            )
        patterns = {f"when.{name}": getattr(one.when, name) for name in ("path", "model", "answer")}
        for name, pattern in {**patterns, "got": one.got}.items():
            try:
                re.compile(pattern or "")
            except _NO_PATTERN as error:
                raise ProfileError(f"{place(f'{key}[{number}].{name}')}: not a regular expression: {error}.") from None


def _nearest(word: str, words: Any) -> str:
    close = difflib.get_close_matches(word, words, n=1, cutoff=0.4)
    return f" Did you mean '{close[0]}'?" if close else ""


def _check_evidence(dialect: Dialect, place: Callable[[str], str]) -> None:
    elsewhere = dialect.recording is None and dialect.evidence.strip()
    for number, one in enumerate(dialect.deviations):
        if one.unproven and not one.evidence.strip() and not elsewhere:
            raise ProfileError(
                f"{place(f'deviations[{number}].unproven')}: expected `evidence` beside it, a source with its date, "
                "where no recording shows it."
            )


def check_capabilities(offers: list[str], lacks: dict[str, str], place: Callable[[str], str]) -> None:
    """Refuse words that are not of the list, and those that are said to be there and not to be there.

    Raises:
        ProfileError: One of them; the message names the nearest.
    """
    words = [(f"offers[{index}]", word) for index, word in enumerate(offers)]
    for key, word in [*words, *((f"lacks.{word}", word) for word in lacks)]:
        if word not in CAPABILITIES:
            raise ProfileError(f"{place(key)}: {unknown_capability(word)}")
    for word in offers:
        if word in lacks:
            raise ProfileError(f"{place(f'lacks.{word}')}: '{word}' stands under offers, too: expected one of both.")
    for word, reason in lacks.items():
        if not reason.strip():
            raise ProfileError(f"{place(f'lacks.{word}')}: expected the reason, got an empty text.")


def _check_names(dialect: Dialect, place: Callable[[str], str]) -> None:
    if not re.fullmatch(r"[\w.-]+", dialect.name):
        raise ProfileError(f"{place('name')}: expected letters, digits, '.', '_' and '-', got '{dialect.name}'.")
    if not dialect.title.strip():
        raise ProfileError(f"{place('title')}: expected what the server is called, got an empty text.")


def _check_versions(dialect: Dialect, place: Callable[[str], str]) -> None:
    for key, version in (("version", dialect.version), ("first", dialect.first), ("before", dialect.before)):
        if version is not None and not version_key(version):
            raise ProfileError(f"{place(key)}: expected a version such as 0.32.0 or b11434, got '{version[:80]}'.")
    if not dialect.is_for(dialect.version):
        raise ProfileError(
            f"{place('version')}: {dialect.version} is not one of its own range: expected {_range(dialect)}."
        )


def _check_probe(probe: VersionProbe, place: Callable[[str], str]) -> None:
    if not re.fullmatch(r"/\S*", probe.path):
        raise ProfileError(f"{place('probe.path')}: expected a path such as /version, got '{probe.path}'.")
    try:
        groups = re.compile(probe.pattern).groups
    except _NO_PATTERN as error:
        raise ProfileError(f"{place('probe.pattern')}: not a regular expression: {error}.") from None
    if not groups:
        such = f"({probe.pattern or '.+'})"
        raise ProfileError(f"{place('probe.pattern')}: expected a group for the version, such as '{such}', got none.")


def _range(dialect: Dialect) -> str:
    return f"{dialect.first} or later" + (f", before {dialect.before}" if dialect.before else "")


def check_choices(choices: OpenChoices, place: Callable[[str], str]) -> None:
    """Refuse words of choices that do not exist.

    Raises:
        ProfileError: One of them; the message names the nearest.
    """
    wrong = wrong_word(choices)
    if wrong is not None:
        raise ProfileError(f"{place(f'choices.{wrong[0]}')}: {wrong[1]}")


def _joined_choices(
    below: OpenChoices | None, above: OpenChoices | None, place: Callable[[str], str]
) -> OpenChoices | None:
    if below is None or above is None:
        return above or below
    names = {one.name for one in below.refuses if one.name}
    for key, what, wanted, known in (
        ("without_routes", "route", above.without_routes, below.routes),
        ("without_refuses", "refusal", above.without_refuses, names),
    ):
        unknown = next((name for name in wanted if name not in known), None)
        if unknown is not None:
            raise ProfileError(
                f"{place(f'choices.{key}')}: expected a {what} that the extended dialect has, got "
                f"'{unknown}'.{_nearest(unknown, known)}"
            )
    kept = [one for one in below.refuses if one.name not in above.without_refuses]
    both = msgspec.structs.replace(joined(below, above), refuses=[*above.refuses, *kept], without_refuses=[])
    check_choices(both, place)
    return both


def _joined(dialect: Dialect, below: Dialect, place: Callable[[str], str]) -> Dialect:
    """Return a dialect with what it takes over from the one that it extends."""
    kept = list(below.deviations)
    for number, dropped in enumerate(dialect.without):
        meant = _meant(dropped, kept, below, place(f"without[{number}]"))
        kept = [one for one in kept if one not in meant]
    if dialect.shown and not dialect.proven:
        raise ProfileError(f"{place('shown')}: expected `recording` beside it, the name of what shows them.")
    for number, shown in enumerate(dialect.shown):
        where = place(f"shown[{number}]")
        meant = [one for one in _meant(shown, kept, below, where) if one.unproven]
        if not meant:
            raise ProfileError(f"{where}: {below.file} has no unproven deviation from rule {shown.rule} of that kind.")
        kept = [msgspec.structs.replace(one, unproven=False, evidence="") if one in meant else one for one in kept]
    return msgspec.structs.replace(
        dialect,
        deviations=[*kept, *dialect.deviations],
        choices=_joined_choices(below.choices, dialect.choices, place),
        probe=dialect.probe or below.probe,
        **capabilities_over(dialect, below),
    )


def _meant(named: Inherited, among: list[Deviation], below: Dialect, where: str) -> list[Deviation]:
    found = [one for one in among if one.rule == named.rule and named.kind in {None, one.kind}]
    if not found:
        rules = sorted({one.rule for one in among})
        wrong = " of that kind" if named.rule in rules else f": expected one of {', '.join(rules) or 'none'}"
        raise ProfileError(f"{where}: {below.file} has no deviation from rule {named.rule}{wrong}.")
    return found


def capabilities_over(upper: Dialect, lower: Dialect) -> dict[str, Any]:
    """Return `offers` and `lacks` of one dialect over another: what the upper one says of a word decides."""
    return {
        "offers": [*(word for word in lower.offers if word not in upper.lacks), *upper.offers],
        "lacks": {**{word: why for word, why in lower.lacks.items() if word not in upper.offers}, **upper.lacks},
    }
