"""The default personality with models in ONNX behind it: every answer is computed, token by token.

A request is read twice. First its prompt goes to the model, whose answer is streamed as it comes where the request is
plain; else, when the answer is there, the request takes the way of all others, with these outputs in place of made-up
ones. So scenarios, faults, tools and formats do what they do elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from InferenceLibrary.errors import InferenceError
from InferenceLibrary.simulator.answers.engine import Output
from InferenceLibrary.simulator.answers.generation import Generator
from InferenceLibrary.simulator.answers.openai_answers import Chat, Completion, Shape
from InferenceLibrary.simulator.answers.openai_requests import (
    Ask,
    check_ids,
    content_text,
    model_of,
    read_chat,
    read_completion,
    read_json,
    take,
    take_number,
)
from InferenceLibrary.simulator.core.api_errors import ApiError
from InferenceLibrary.simulator.core.delivery import deliver
from InferenceLibrary.simulator.core.draft import Draft
from InferenceLibrary.simulator.personalities.inferred_stream import (
    OpenAITeller,
    Teller,
    TypedTeller,
    inferred_steps,
    output_of,
)
from InferenceLibrary.simulator.personalities.openai import OpenAI

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.app import App
    from InferenceLibrary.simulator.core.draft import Event
    from InferenceLibrary.simulator.core.inference import Inferred, TextModel
    from InferenceLibrary.simulator.core.turn import Turn

Messages = list[dict[str, str]]


class Way(NamedTuple):
    """How an answer is streamed as it comes."""

    prefix: str
    teller: Callable[[Turn], Teller]


class _Generator(Generator):
    """Gives the outputs that were inferred for a turn."""

    def __init__(self, app: App) -> None:
        super().__init__(app)
        self.ready: dict[int, tuple[list[Output], int]] = {}

    def outputs(self, turn: Turn, ask: Ask) -> list[Output]:
        if id(turn) not in self.ready:
            return super().outputs(turn, ask)
        outputs, ask.prompt_tokens = self.ready.pop(id(turn))
        return outputs


class OpenAIOnnx(OpenAI):
    """llm-d's APIs, answered by inference."""

    def __init__(self, app: App) -> None:
        super().__init__(app)
        self.generator: _Generator = _Generator(app)
        if app.text_model is not None:
            self.model: TextModel = app.text_model
            app.settings.max_model_len = min(app.settings.max_model_len, self.model.context)
            self.routes |= {"/tokenize": {"POST": self.tokenize}, "/detokenize": {"POST": self.detokenize}}

    # Text

    def chat(self, turn: Turn) -> None:
        if self._scripted(turn):
            super().chat(turn)
            return
        data = self.body(turn)
        ask = read_chat(turn, data)
        self.check_model(ask)
        messages = [
            {"role": str(item.get("role")), "content": content_text(item.get("content"), "messages")}
            for item in data.get("messages") or []
        ]
        self._infer(turn, data, ask, [self._chat_tokens(messages)], super().chat, self._openai(Chat, ask))

    def completion(self, turn: Turn) -> None:
        if self._scripted(turn):
            super().completion(turn)
            return
        data = self.body(turn)
        ask = read_completion(turn, data)
        self.check_model(ask)
        if ask.echo and ask.logprobs is not None:
            raise ApiError(400, "'logprobs' of an echoed prompt are not computed", param="echo")
        given = data["prompt"]
        listed = given if isinstance(given, list) and not all(type(item) is int for item in given) else [given]
        prompts = [self.model.text_tokens(item) if isinstance(item, str) else self._known(item) for item in listed]
        self._infer(turn, data, ask, prompts, super().completion, self._openai(Completion, ask))

    def respond(self, turn: Turn) -> None:
        from InferenceLibrary.simulator.answers.responses import (
            finish_response,
            read_response_request,
            response_events,
            response_object,
        )

        if self._scripted(turn):
            super().respond(turn)
            return
        data = self.body(turn)
        ask = read_response_request(data, self.app.settings, strict=self.app.strict)
        self.check_model(ask)
        given = data["input"]
        items = [{"role": "user", "content": given}] if isinstance(given, str) else given
        messages = [
            {
                "role": str(item.get("role") or "tool").replace("developer", "system"),
                "content": content_text(item.get("content", item.get("output")), "input"),
            }
            for item in items
        ]
        if data.get("instructions"):
            messages.insert(0, {"role": "system", "content": data["instructions"]})

        def teller(turn: Turn) -> TypedTeller:
            opening = response_object(turn.id, turn.model, data, ask)

            def finished(output: Output) -> dict[str, Any]:
                final = {**opening, "output": []}
                finish_response(final, ask, output)
                return final

            def keep(output: Output) -> None:
                if opening["store"]:
                    self.stored.keep(finished(output), given)

            settings = self.app.settings
            return TypedTeller(lambda output: response_events(opening, finished(output), output, settings), keep)

        way = None if data.get("background") else Way("resp_", teller)
        self._infer(turn, data, ask, [self._chat_tokens(messages)], super().respond, way)

    def message(self, turn: Turn) -> None:
        from InferenceLibrary.simulator.answers.messages import (
            message_events,
            message_object,
            read_messages_request,
            thinks,
        )

        if self._scripted(turn):
            super().message(turn)
            return
        data = self.body(turn)
        ask = read_messages_request(data)
        self.check_model(ask)

        def teller(turn: Turn) -> TypedTeller:
            def events_of(output: Output) -> list[Event]:
                return message_events(message_object(turn.id, turn.model, ask, output, False), output)

            return TypedTeller(events_of)

        way = None if thinks(data) else Way("msg_", teller)
        self._infer(turn, data, ask, [self._chat_tokens(self._messages(data))], super().message, way)

    def count_message_tokens(self, turn: Turn) -> None:
        from InferenceLibrary.simulator.answers.messages import read_messages_request

        data = self.body(turn)
        read_messages_request(data, counting=True)
        deliver(turn, Draft(body={"input_tokens": len(self._chat_tokens(self._messages(data)))}))

    def tokenize(self, turn: Turn) -> None:
        data = read_json(turn.request)
        self.admin.check_model(take(data, "model", (str,), self.app.settings.names[0]))
        if data.get("messages") is not None:
            messages = take(data, "messages", (list,))
            if not all(isinstance(message, dict) for message in messages):
                raise ApiError(400, "'messages' must hold objects", param="messages")
            ids = self._chat_tokens(
                [
                    {"role": str(item.get("role")), "content": content_text(item.get("content"), "messages")}
                    for item in messages
                ]
            )
        else:
            ids = self.model.text_tokens(take(data, "prompt", (str,)))
        body = {"count": len(ids), "max_model_len": self.app.settings.max_model_len, "tokens": ids}
        deliver(turn, Draft(body={**body, "token_strs": None}))

    def detokenize(self, turn: Turn) -> None:
        data = read_json(turn.request)
        self.admin.check_model(take(data, "model", (str,), self.app.settings.names[0]))
        ids = take(data, "tokens", (list,))
        if not all(type(number) is int for number in ids):
            raise ApiError(400, "'tokens' must hold token ids", param="tokens")
        deliver(turn, Draft(body={"prompt": self._text_of(ids)}))

    @staticmethod
    def _openai(shape: Shape, ask: Ask) -> Way:
        return Way(shape.prefix, lambda turn: OpenAITeller(turn, shape, ask))

    def _scripted(self, turn: Turn) -> bool:
        """Whether a scenario says the answer, or no language model is there."""
        return self.app.text_model is None or (turn.scripted is not None and bool(turn.scripted.answers))

    def _messages(self, data: dict[str, Any]) -> Messages:
        found = [
            {"role": item["role"], "content": content_text(item.get("content"), "messages")}
            for item in data["messages"]
        ]
        system = content_text(data.get("system"), "system")
        return [{"role": "system", "content": system}, *found] if system else found

    def _chat_tokens(self, messages: Messages) -> list[int]:
        try:
            return self.model.chat_tokens(messages)
        except InferenceError as error:
            raise ApiError(400, str(error), param="messages") from None

    def _known(self, ids: list[int]) -> list[int]:
        self._text_of(ids)
        return ids

    def _text_of(self, ids: list[int]) -> str:
        try:
            return self.model.text_of(ids)
        except KeyError as error:
            raise ApiError(400, f"Token id {error} is out of vocabulary", param="tokens") from None

    def _infer(
        self,
        turn: Turn,
        data: dict[str, Any],
        ask: Ask,
        prompts: list[list[int]],
        go_on: Callable[[Turn], None],
        way: Way | None = None,
    ) -> None:
        """Have the answers generated when a place is free; then stream them, or go on with them."""
        longest = max(map(len, prompts))
        limit = self.generator.limit(ask, longest)
        ask.prompt_tokens = sum(map(len, prompts))
        plain = (
            way is not None
            and ask.stream
            and len(prompts) * ask.n == 1
            and not (turn.faults or ask.echo or ask.tools or ask.response_format or ask.do_remote_decode)
            and turn.scripted is None
            and turn.request.version == "1.1"
        )
        top_p = take_number(data, "top_p", 0, 1)
        start = partial(
            self.model.start,
            max_tokens=1 if ask.do_remote_decode else limit,
            # A request that names no temperature gets the likeliest answer: small models wander.
            temperature=ask.temperature or 0.0,
            top_p=top_p if top_p else 1.0,
            top_k=max(0, take(data, "top_k", (int,), 0)),
            stops=ask.stop,
            top_logprobs=None if ask.logprobs is None else max(1, ask.logprobs),
            ignore_eos=ask.ignore_eos,
        )
        seed = ask.seed if ask.seed is not None else self.app.settings.seed

        def begin() -> None:
            wake = _Waker(self.app)
            try:
                answers = [
                    start(prompt, seed=None if seed is None else abs(seed) + index, news=wake)
                    for prompt in prompts
                    for index in range(ask.n)
                ]
            except InferenceError as error:
                raise ApiError(400, str(error)) from None
            for answer in answers:
                turn.at_end(partial(_leave, answer))
            if plain and way is not None:
                self._stream(turn, ask, way, answers[0], wake)
            else:
                wake.call = partial(self._when_done, turn, ask, answers, go_on)
                wake.call()

        self.app.when_free(turn, begin)

    def _when_done(self, turn: Turn, ask: Ask, answers: list[Inferred], go_on: Callable[[Turn], None]) -> None:
        if turn.outcome or id(turn) in self.generator.ready or not all(answer.done for answer in answers):
            return
        failed = next((answer.error for answer in answers if answer.error is not None), None)
        try:
            if failed is not None:
                raise ApiError(500, str(failed))
            self.generator.ready[id(turn)] = ([output_of(answer) for answer in answers], ask.prompt_tokens)
            go_on(turn)
        except ApiError as error:
            self.generator.ready.pop(id(turn), None)
            self.app.fail(turn, error)

    def _stream(self, turn: Turn, ask: Ask, way: Way, answer: Inferred, wake: _Waker) -> None:
        self.generator.note(turn, ask, Output([]), way.prefix)
        turn.status = 200
        wake.call = turn.resume

        def ended(output: Output) -> None:
            turn.finish_reason = output.finish
            self.app.ledger.note_tokens(turn, output.tokens)

        turn.play(inferred_steps(turn, answer, way.teller(turn), ended))

    # Vectors

    def embeddings(self, turn: Turn) -> None:
        from InferenceLibrary.simulator.answers.embeddings import embed

        data = self.body(turn)
        model = model_of(turn, data)
        self.check_model(Ask(model, [], 0))
        check_ids(data.get("input"), "input")
        draft, turn.prompt_tokens = embed(data, self.app.settings, model, self.app.vector_model)
        deliver(turn, draft)

    def rerank(self, turn: Turn) -> None:
        from InferenceLibrary.simulator.answers.ranking import rerank

        self._rank(turn, "rerank-", partial(rerank, vectors=self.app.vector_model))

    def score(self, turn: Turn) -> None:
        from InferenceLibrary.simulator.answers.ranking import score

        self._rank(turn, "score-", partial(score, vectors=self.app.vector_model))


class _Waker:
    """Takes news from the thread of the model to the event loop, many at once as one."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._waits = False
        self.call: Callable[[], None] = lambda: None

    def __call__(self) -> None:
        if not self._waits:
            self._waits = True
            self._app.from_thread(self._deliver)

    def _deliver(self) -> None:
        self._waits = False
        self.call()


def _leave(answer: Inferred, _turn: Turn) -> None:
    answer.cancel()
