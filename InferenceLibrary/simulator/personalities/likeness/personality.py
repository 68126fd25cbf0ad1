"""The personality of a dialect with choices: what is answered."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from InferenceLibrary.dialects.files import load_dialect
from InferenceLibrary.simulator.answers.embeddings import embed
from InferenceLibrary.simulator.answers.engine import Output
from InferenceLibrary.simulator.core.api_errors import ApiError
from InferenceLibrary.simulator.core.delivery import deliver
from InferenceLibrary.simulator.core.draft import Draft, Event
from InferenceLibrary.simulator.core.settings import StartError
from InferenceLibrary.simulator.personalities.likeness.asks import (
    ask_of,
    demanded_schema,
    prompt_tokens,
    scored_prompts,
)
from InferenceLibrary.simulator.personalities.likeness.biases import forbidden_tokens
from InferenceLibrary.simulator.personalities.likeness.chats import Writer
from InferenceLibrary.simulator.personalities.likeness.generation import outputs, settle
from InferenceLibrary.simulator.personalities.likeness.refusals import Refusal
from InferenceLibrary.simulator.personalities.likeness.server import LikenessBase
from InferenceLibrary.simulator.personalities.likeness.templates import ABSENT, Names, fill, filled
from InferenceLibrary.simulator.personalities.likeness.typed import Message, Response

if TYPE_CHECKING:
    from InferenceLibrary.simulator.answers.openai_requests import Ask
    from InferenceLibrary.simulator.core.app import App
    from InferenceLibrary.simulator.core.turn import Handler, Turn
    from InferenceLibrary.simulator.personalities.likeness.kept_responses import KeptResponses

Adapted: TypeAlias = "Callable[[str, Ask, list[Output], dict[str, Any]], None]"
MoreNames: TypeAlias = "Callable[[str, Ask, list[Output], dict[str, Any]], dict[str, Any]]"
WithEvents: TypeAlias = "Callable[[Turn, str, Ask, dict[str, Any], list[Event]], list[Event]]"
_IDS = {"chat": "chatcmpl-", "completions": "cmpl-", "responses": "resp_", "messages": "msg_", "embeddings": "embd-",
        "rerank": "rerank-", "score": "score-"}  # fmt: skip


def _filled(headers: dict[str, str], names: Names) -> list[tuple[str, str]]:
    return [(name, str(fill(value, names))) for name, value in headers.items()]


class Likeness(LikenessBase):
    """A server of a dialect."""

    def __init__(self, app: App) -> None:
        dialect = load_dialect(app.settings.personality).dialect
        assert dialect.choices is not None
        super().__init__(app, dialect.choices, dialect.version)
        self._known: set[str] = set()
        app.chunks_for_all = "old clients" in dialect.lacks
        self._works_on = "left answers end" in dialect.lacks
        """Whether a whole answer is made to its end when its client has left."""
        self.serial = 1
        """The number of the next answer."""
        # What the module with a server's own routes may do in its own way.
        self.known_tokens: Callable[[Turn, Ask, dict[str, Any]], int] = self._known_prompt
        """Returns how many tokens of a prompt are known."""
        self.asked: Callable[[dict[str, Any], Ask], None] = lambda _data, _ask: None
        """Changes what a request asks for."""
        self.adapted: Adapted = lambda _api, _ask, _made, _data: None
        """Changes what the model says."""
        self.more_names: MoreNames = lambda _api, _ask, _made, _data: {}
        """Returns further names for the templates of an answer."""
        self.with_events: WithEvents = lambda _turn, _api, _ask, _data, events: events
        """Returns the events of a stream with what the request asks for besides."""
        self.read_input: Callable[[Any], Any] = lambda given: given
        """Returns the texts to make vectors of."""
        self.kept: KeptResponses | None = None
        """What keeps responses, on a server that does."""
        self.counters: dict[str, Callable[[], int]] = {}
        """What metrics may count besides, by its name."""
        words: dict[str, Handler] = {
            "health": self.healthy,
            "chat": lambda turn: self._generated(turn, "chat"),
            "completions": lambda turn: self._generated(turn, "completions"),
            "responses": lambda turn: self._generated(turn, "responses"),
            "messages": lambda turn: self._generated(turn, "messages"),
            "count_tokens": lambda turn: self._counts(turn, "count_tokens", "count_tokens"),
            "response_tokens": lambda turn: self._counts(turn, "responses", "response_tokens"),
            "embeddings": self.embedded,
            "rerank": self.ranked,
            "score": self.scored,
            "models": self.listed,
            "model": self.one_model,
            "tokenize": self.tokens,
            "detokenize": self.text_of_tokens,
            "metrics": self.told,
            "response": self.stored_response,
            "cancel": self.cancel,
        }
        if self.choices.native:
            module = importlib.import_module(f"InferenceLibrary.simulator.personalities.likeness.{self.choices.native}")
            native = module.words(self)
            self.native_words = frozenset(native)
            words |= native
        self.words |= words
        own = (self.choices.options, self.choices.preflight, self.choices.origin, self.choices.request_id)
        answers = (*self.choices.routes.values(), *self.choices.redirects.values(), *filter(None, own))
        unknown = sorted({one.does for one in answers if one.does} - set(self.words))
        if unknown:
            close = difflib.get_close_matches(unknown[0], self.words, n=1, cutoff=0.4)
            meant = f"; did you mean '{close[0]}'?" if close else ""
            raise StartError(f"dialect {dialect.file}: the stand-in cannot do '{unknown[0]}'{meant}")

    def healthy(self, turn: Turn) -> None:
        deliver(turn, Draft(content_type=""))

    # Generation

    def _generated(self, turn: Turn, api: str) -> None:
        data = self.read(turn, api)
        if api == "responses" and self.kept is not None:
            data = self.kept.chained(data)
        asked = data.get("model") or self.app.settings.names[0]
        ask = ask_of(api, data, str(asked), self.choices.prompt)
        turn.stays = turn.stays or (self._works_on and not ask.stream)
        ask.response_format = demanded_schema(data, self.choices) or ask.response_format
        settle(ask, self.choices, api)
        self.asked(data, ask)
        if self.choices.caches:
            ask.cached_tokens = self.known_tokens(turn, ask, data)
        forbidden = forbidden_tokens(data.get("logit_bias"), self.admin.vocabulary)
        made = outputs(self.generator, turn, ask, self.choices, forbidden)
        self.adapted(api, ask, made, data)
        self.generator.note(turn, ask, made[0], "")
        names = self.names(turn, model=self.shown(data), serial=str(self.serial))
        self.serial += 1
        names["id"] = turn.id = str(filled(self.choices.ids.get(api, _IDS[api] + "${hex24}"), names))
        names.update(self.more_names(api, ask, made, data))
        turn.finish_reason = made[0].finish
        if api == "responses" and self.kept is not None:
            body = Response(self.choices, names, ask, made[0], data).whole()
            if self.kept.keep(turn, data, body, ask, made[0]):
                return
        whole = Output([token for output in made for token in output.tokens])
        whole.tool_tokens = sum(output.tool_tokens for output in made)
        if self.choices.together:
            whole = max(made, key=lambda output: output.count)

        def timed(first: float, gaps: list[float]) -> None:
            rest = sum(gaps)
            names.update(first_seconds=round(first, 6), rest_seconds=round(rest, 6))
            names["total_seconds"] = round(first + rest, 6)

        self.generator.run(turn, ask, whole, self._builder(turn, api, names, ask, made, data), timed)

    def _known_prompt(self, _: Turn, ask: Ask, _data: dict[str, Any]) -> int:
        key = "\n".join(ask.prompts)
        known = max(0, ask.prompt_tokens - 1) if key in self._known else 0
        self._known.add(key)
        return known

    def shown(self, data: dict[str, Any]) -> Any:
        """Return the name of the model that the answer bears."""
        first = self.app.settings.names[0]
        name = data.get("model") or first
        if self.choices.reads_model == "first":
            return first
        return name if self.choices.reads_model == "asked" or name in self.admin.loras else first

    def _builder(
        self, turn: Turn, api: str, names: Names, ask: Ask, made: list[Output], data: dict[str, Any]
    ) -> Callable[[], Draft]:
        count = sum(output.count for output in made)

        def streamed(events: list[Event]) -> Draft:
            return self._streamed(api, self.with_events(turn, api, ask, data, events), names)

        def whole(body: Any) -> Draft:
            return self.json(body, tokens=count, headers=_filled(self.choices.api_headers.get(api, {}), names))

        def build() -> Draft:
            if api == "chat" and self._is_uncalled(ask, made):
                made[0].finish = "error"
                made[0].tool_calls = []
                partial = Writer(self.choices, api, names, ask, made[:1]).whole()
                refusal = Refusal(
                    self.choices.tools.uncalled, "No tool was called", streamed=ask.stream, partial=partial
                )
                return self.error(refusal, names["path"])
            if api in {"chat", "completions"}:
                writer = Writer(self.choices, api, names, ask, made, scored_prompts(ask, data, self.admin.vocabulary))
                return streamed(writer.events()) if ask.stream else whole(writer.whole())
            if api == "responses":
                response = Response(self.choices, names, ask, made[0], data)
                return streamed(response.streamed()) if ask.stream else whole(response.whole())
            message = Message(self.choices, names, ask, made[0])
            return streamed(message.streamed()) if ask.stream else whole(message.whole())

        return build

    def _is_uncalled(self, ask: Ask, made: list[Output]) -> bool:
        """Whether a call was required that does not come."""
        forced = ask.tools and (ask.tool_choice == "required" or isinstance(ask.tool_choice, dict))
        return bool(self.choices.tools.uncalled and forced and (ask.stream or not made[0].tool_calls))

    def _streamed(self, api: str, events: list[Event], names: Names) -> Draft:
        headers = _filled({**self.choices.stream_headers, **self.choices.api_stream_headers.get(api, {})}, names)
        return Draft(content_type=self.choices.stream_type, headers=headers, events=events)

    # Vectors and ranks

    def embedded(self, turn: Turn) -> None:
        data = self.read(turn, "embeddings")
        settings = self.app.settings
        if data.get("dimensions") == 0:
            # A server that takes it takes it for none given.
            del data["dimensions"]
        data["input"] = self.read_input(data.get("input", data.get("content")))
        draft, turn.prompt_tokens = embed(data, settings, settings.names[0])
        items = []
        encoding = data.get("encoding_format")
        for one in draft.body["data"]:
            items.append(
                self.part(
                    "embeddings",
                    "item",
                    self.names(
                        turn,
                        index=one["index"],
                        embedding=one["embedding"],
                        encoding=encoding if encoding == "base64" else ABSENT,
                    ),
                )
            )
        names = self.names(turn, data=items, model=self.shown(data), asked=data.get("model") or self.shown(data))
        names.update(prompt_tokens=turn.prompt_tokens, total_tokens=turn.prompt_tokens)
        self._listed_answer(turn, "embeddings", names)

    def part(self, api: str, name: str, names: Names) -> Any:
        return filled(self.choices.answers.get(api, {}).get(name), names)

    def _listed_answer(self, turn: Turn, api: str, names: Names) -> None:
        names["id"] = turn.id = str(filled(self.choices.ids.get(api, _IDS[api] + "${hex24}"), names))
        turn.model = str(names["model"])
        names["usage"] = self.part(api, "usage", names)
        deliver(turn, self.json(self.part(api, "answer", names)))

    def ranked(self, turn: Turn) -> None:
        from InferenceLibrary.simulator.answers.ranking import rerank

        data = self.read(turn, "rerank")
        body, turn.prompt_tokens = rerank(data, self.app.settings.max_model_len)
        self._ranks(turn, "rerank", data, body["results"])

    def scored(self, turn: Turn) -> None:
        from InferenceLibrary.simulator.answers.ranking import score

        data = self.read(turn, "score")
        body, turn.prompt_tokens = score(data, self.app.settings.max_model_len)
        self._ranks(turn, "score", data, body["data"])

    def _ranks(self, turn: Turn, api: str, data: dict[str, Any], found: list[dict[str, Any]]) -> None:
        items = [
            self.part(
                api, "item",
                self.names(
                    turn, index=one["index"], score=one.get("relevance_score", one.get("score")),
                    document=one.get("document", {}).get("text"),
                ),
            )
            for one in found
        ]  # fmt: skip
        names = self.names(turn, data=items, model=self.shown(data), asked=data.get("model") or self.shown(data))
        names.update(prompt_tokens=turn.prompt_tokens, total_tokens=turn.prompt_tokens)
        self._listed_answer(turn, api, names)

    # The rest

    def _counts(self, turn: Turn, api: str, answer: str) -> None:
        data = self.read(turn, api)
        names = self.names(turn, prompt_tokens=prompt_tokens(api, data, self.choices.prompt))
        deliver(turn, self.json(self.part(answer, "answer", names)))

    def listed(self, turn: Turn) -> None:
        deliver(turn, self.json(self.model_list(turn, self.models(turn))))

    def models(self, turn: Turn) -> list[Any]:
        """Return the models that are served, as the dialect tells them."""
        names = (*self.app.settings.names, *self.admin.loras)
        return [self._model(turn, name + self.choices.model_suffix) for name in names]

    def model_list(self, turn: Turn, data: list[Any]) -> Any:
        """Return the list of models."""
        return self.part("models", "answer", self.names(turn, data=data))

    def _model(self, turn: Turn, name: str) -> Any:
        admin = self.admin
        root, parent = admin.paths.get(name) or name, admin.loras.get(name, ABSENT)
        return self.part("models", "item", self.names(turn, model=name, root=root, parent=parent))

    def one_model(self, turn: Turn) -> None:
        name = turn.request.path.rpartition("/models/")[2]
        if name not in (*self.app.settings.names, *self.admin.loras):
            raise ApiError(404, f"The model `{name}` does not exist.", param="model")
        deliver(turn, self.json(self._model(turn, name)))

    def tokens(self, turn: Turn) -> None:
        data = self.read(turn, "tokenize")
        field = next((name for name in ("prompt", "content", "input", "text") if name in data), "messages")
        text = data.get(field)
        if not isinstance(text, str):
            text = "\n".join(str(one.get("content", "")) for one in data.get("messages") or [] if isinstance(one, dict))
        ids = self.admin.vocabulary.ids(text)
        texts = [self.text_of([one]) for one in ids] if data.get("return_token_strs") is True else ABSENT
        names = self.names(turn, tokens=ids, count=len(ids), token_strs=texts)
        deliver(turn, self.json(self.part("tokenize", "answer", names)))

    def text_of_tokens(self, turn: Turn) -> None:
        text = self.text_of(self.read(turn, "detokenize").get("tokens"))
        deliver(turn, self.json(self.part("detokenize", "answer", self.names(turn, text=text))))

    def text_of(self, tokens: Any) -> str:
        """Return the text of tokens; those that it did not give itself are a word each."""
        words = []
        for number in tokens if isinstance(tokens, list) else ():
            try:
                words.append(self.admin.vocabulary.text([number]))
            except (KeyError, TypeError):
                words.append(" token")
        return "".join(words)

    def told(self, turn: Turn) -> None:
        """Tell the metrics."""
        lines = []
        names = self.names(turn)
        last = ""
        for family in self.choices.metrics:
            if not self.holds(family.when, {}):
                continue
            value = self._counted(family.counts)
            if family.name == last:
                # More samples of the same family, which count something else.
                lines += [f"{fill(sample, names)} {value}" for sample in family.samples]
                continue
            last = family.name
            lines.append(f"# HELP {family.name} {family.name}.")
            lines.append(f"# TYPE {family.name} {'untyped' if family.kind == 'unknown' else family.kind}")
            lines += [f"{fill(sample, names)} {value}" for sample in family.samples or [family.name]]
        text = "\n".join([*lines, ""])
        headers = list(self.filled_headers(self.choices.metrics_headers, turn))
        deliver(turn, Draft(content_type=self.choices.metrics_type, headers=headers, body=text.encode()))

    def _counted(self, what: str) -> int:
        """Return what a metric counts."""
        app = self.app
        match what:
            case "prompt tokens":
                return app.ledger.prompt_tokens
            case "tokens":
                return app.ledger.generated_tokens
            case "answers":
                return app.ledger.completed
            case "running":
                return app.running
            case "waiting":
                return len(app.waiting)
        counter = self.counters.get(what)
        return 0 if counter is None else counter()
