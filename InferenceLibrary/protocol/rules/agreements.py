"""Rules over several exchanges: equal questions get equal answers, streamed or whole, in either coding."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from InferenceLibrary.protocol.exchange import Exchange, Held
from InferenceLibrary.protocol.rules.choices import Choices
from InferenceLibrary.protocol.rules.embeddings import EmbeddingList
from InferenceLibrary.protocol.rules.forms import difference, inside, is_number, listed, same_text
from InferenceLibrary.protocol.rules.messages_views import Message
from InferenceLibrary.protocol.rules.responses_views import ResponseObject
from InferenceLibrary.protocol.rules.rule import Api, Found, Known, Level, NotJudged, rule
from InferenceLibrary.protocol.rules.views import View
from InferenceLibrary.protocol.strict_json import show
from InferenceLibrary.protocol.vectors import cosine, is_finite

_TESTS = "Stream tests of llama.cpp and vLLM, read 2026-11"
_LONG = 1 << 30
"""Requests are compared whole."""
_EITHER = ("stream", "stream_options")
"""Keys of a request that decide how an answer comes, and not what it says."""
_ALIKE = 0.9999
"""The least cosine of two embeddings of one text; below 1, for sums differ in their order from batch to batch."""
_CLOSE = 1e-6
"""The largest difference of one number in the two codings, as a part of it where it is above 1."""


class _Said(NamedTuple):
    """What one exchange said, and which of the exchanges it is."""

    number: int
    streamed: bool
    texts: dict[Any, str]


def _is_certain(asked: Any) -> bool:
    """Whether a request leaves nothing to chance: by a temperature of 0, or by a seed."""
    temperature = inside(asked, "temperature")
    return (is_number(temperature) and temperature == 0) or inside(asked, "seed") is not None


def _question(exchange: Exchange) -> str | None:
    """What was asked, however it was to come; None where chance decides the answer."""
    asked = exchange.asked
    if not isinstance(asked, dict) or not _is_certain(asked):
        return None
    return show([exchange.request.path, {key: asked[key] for key in sorted(asked) if key not in _EITHER}], _LONG)


def _choice_texts(view: Choices) -> dict[Any, str]:
    return {index: track.text.text for index, track in view.tracks.items()}


def _text(view: ResponseObject | Message) -> dict[Any, str]:
    return {"": view.text}


_READERS: dict[type[View], Callable[[Any], dict[Any, str]]] = {
    Choices: _choice_texts, ResponseObject: _text, Message: _text,
}  # fmt: skip
"""What reads the texts of an answer, by its view."""


def chance_seen(views: Iterable[View]) -> str | None:
    """Return how two whole answers to one question at temperature 0 differ; None where none do.

    What a seed repeats is not looked at: a server that ignores seeds may repeat itself at temperature 0.
    """
    said: dict[str, dict[Any, str]] = {}
    for view in views:
        read = next((one for kind, one in _READERS.items() if isinstance(view, kind)), None)
        if read is None or view.exchange.is_event_stream or inside(view.exchange.asked, "temperature") != 0:
            continue
        question = _question(view.exchange) if view.ran_to_its_end else None
        if question is None:
            continue
        texts = read(view)
        before = said.setdefault(question, texts)
        for key in {**before, **texts}:
            first, second = before.get(key, ""), texts.get(key, "")
            if not same_text(first, second):
                return f"{difference(first, second)}, whole both times"
    return None


def _agree(views: Sequence[View], known: Known) -> Iterator[Found]:
    """Compare each streamed answer with the whole one to the same question."""
    if known.chance:
        raise NotJudged(f"answers are not repeatable: {known.chance}")
    read = next(one for kind, one in _READERS.items() if isinstance(views[0], kind))
    said: dict[str, list[_Said]] = {}
    for number, view in enumerate(views):
        question = _question(view.exchange) if view.ran_to_its_end else None
        if question is not None:
            said.setdefault(question, []).append(_Said(number, view.exchange.is_event_stream, read(view)))
    compared = False
    for answers in said.values():
        whole = next((one for one in answers if not one.streamed), None)
        for one in answers:
            if whole is None or not one.streamed:
                continue
            compared = True
            for key in {**whole.texts, **one.texts}:
                first, second = whole.texts.get(key, ""), one.texts.get(key, "")
                if not same_text(first, second):
                    yield Found("text", f"{difference(second, first)}, streamed and whole", exchange=one.number)
    if not compared:
        raise NotJudged("no question without chance was answered both streamed and whole")


@rule(
    "C19",
    Level.SHOULD,
    "The joined texts of a stream are those of the whole answer to the same question, where nothing is left to chance.",
    source=_TESTS,
    kinds=("text",),
    view=Choices,
    apis=(Api.CHAT, Api.COMPLETIONS),
    needs=(Held.REQUEST,),
    several=True,
)
def choices(views: list[Choices], known: Known) -> Iterator[Found]:
    return _agree(views, known)


@rule(
    "RS22",
    Level.SHOULD,
    "A streamed response says what the whole one to the same question says, where nothing is left to chance.",
    source=_TESTS,
    kinds=("text",),
    view=ResponseObject,
    apis=(Api.RESPONSES,),
    needs=(Held.REQUEST,),
    several=True,
)
def responses(views: list[ResponseObject], known: Known) -> Iterator[Found]:
    return _agree(views, known)


@rule(
    "A19",
    Level.SHOULD,
    "A streamed message says what the whole one to the same question says, where nothing is left to chance.",
    source=_TESTS,
    kinds=("text",),
    view=Message,
    apis=(Api.MESSAGES,),
    needs=(Held.REQUEST,),
    several=True,
)
def messages(views: list[Message], known: Known) -> Iterator[Found]:
    return _agree(views, known)


class _Vector(NamedTuple):
    """One embedding of one input."""

    exchange: int
    place: int
    coded: bool
    numbers: Sequence[float]


def _settings(asked: Any) -> Any:
    """What else was asked, that may change an embedding; how it is coded does not."""
    return {key: asked[key] for key in sorted(asked) if key not in {"input", "encoding_format"}}


def _vectors(views: list[EmbeddingList]) -> Iterator[list[_Vector]]:
    """Yield the embeddings of each input that was asked for at least twice, of one model and length."""
    found: dict[str, list[_Vector]] = {}
    for number, view in enumerate(views):
        inputs = view.inputs
        if inputs is None or len(inputs) != len(view.items):
            continue
        for place, (text, vector) in enumerate(zip(inputs, view.vectors, strict=True)):
            if vector is not None:
                key = show([text, _settings(view.exchange.asked), len(vector)], _LONG)
                coded = isinstance(inside(listed(view.items)[place], "embedding"), str)
                found.setdefault(key, []).append(_Vector(number, place, coded, vector))
    for same in found.values():
        if len(same) > 1:
            yield same


@rule(
    "E4",
    Level.SHOULD,
    f"One text has one embedding, alone or among others: a cosine of at least {_ALIKE}.",
    source="llama.cpp's tests of embeddings, read 2026-11",
    kinds=("differs",),
    view=EmbeddingList,
    apis=(Api.EMBEDDINGS,),
    needs=(Held.REQUEST,),
    several=True,
)
def alike(views: list[EmbeddingList], known: Known) -> Iterator[Found]:
    compared = False
    for same in _vectors(views):
        # What is not finite is told of each by itself.
        finite = [one for one in same if is_finite(one.numbers)]
        for first, other in ((finite[0], other) for other in finite[1:]):
            compared = True
            try:
                likeness = cosine(first.numbers, other.numbers)
            except ValueError as error:
                yield Found("differs", f"{error} for embedding {other.place}", exchange=other.exchange)
                continue
            if not likeness >= _ALIKE:
                yield Found(
                    "differs", f"a cosine of {likeness:.4f} for embedding {other.place}", exchange=other.exchange
                )
    if not compared:
        raise NotJudged("no text was asked for twice")


@rule(
    "E7",
    Level.MUST,
    "Base64 and list of one text hold the same numbers.",
    source="OpenAI's API description (openai-openapi f85dbe2), createEmbedding: encoding_format, read 2026-11",
    kinds=("differs",),
    view=EmbeddingList,
    apis=(Api.EMBEDDINGS,),
    needs=(Held.REQUEST,),
    several=True,
)
def codings(views: list[EmbeddingList], known: Known) -> Iterator[Found]:
    compared = False
    for same in _vectors(views):
        plain = next((one for one in same if not one.coded), None)
        for coded in same:
            if plain is None or not coded.coded:
                continue
            compared = True
            pairs = zip(plain.numbers, coded.numbers, strict=True)
            wrong = next(((a, b) for a, b in pairs if not abs(a - b) <= _CLOSE * max(1.0, abs(a))), None)
            if wrong is not None:
                got = f"{wrong[1]:.6g} in base64 and {wrong[0]:.6g} in the list, in embedding {coded.place}"
                yield Found("differs", got, exchange=coded.exchange)
    if not compared:
        raise NotJudged("no text was asked for in both codings")
