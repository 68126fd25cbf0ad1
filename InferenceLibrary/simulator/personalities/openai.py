"""The APIs of OpenAI and vLLM, with the switches of llm-d-inference-sim v0.10, and its errors where so asked."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Any

from InferenceLibrary.simulator.answers.generation import Generator
from InferenceLibrary.simulator.answers.openai_answers import Chat, Completion
from InferenceLibrary.simulator.answers.openai_requests import (
    Ask,
    check_ids,
    is_strict,
    model_of,
    read_chat,
    read_completion,
    read_json,
    take,
)
from InferenceLibrary.simulator.core.api_errors import ApiError, reference_error
from InferenceLibrary.simulator.core.delivery import deliver
from InferenceLibrary.simulator.core.draft import EVENT_STREAM, Draft
from InferenceLibrary.simulator.core.metrics import Metrics
from InferenceLibrary.simulator.personalities.failures import inject_failure
from InferenceLibrary.simulator.personalities.openai_admin import Admin

if TYPE_CHECKING:
    from InferenceLibrary.simulator.answers.engine import Output
    from InferenceLibrary.simulator.answers.responses import Stored
    from InferenceLibrary.simulator.core.app import App
    from InferenceLibrary.simulator.core.turn import Handler, Turn

_MESSAGES = "/v1/messages"
_EMBEDDINGS = "/v1/embeddings"
_RERANK = ("/rerank", "/v1/rerank", "/v2/rerank")
_SCORE = ("/score", "/v1/score")
_POOLING = frozenset({_EMBEDDINGS, *_RERANK, *_SCORE})
_OUT_OF_REACH = (
    "/inference/v1/generate",
    "/v1/chat/completions/render",
    "/v1/completions/render",
    "/query",
)


class OpenAI:
    """The default personality, and llm-d-inference-sim."""

    generating = _POOLING | {"/v1/chat/completions", "/v1/completions", "/v1/responses", _MESSAGES}
    open_paths = frozenset({"/health", "/health/ready", "/metrics"})
    metrics_class: type[Metrics] = Metrics

    def __init__(self, app: App) -> None:
        self.app = app
        self.generator = Generator(app)
        self.metrics = self.metrics_class(app)
        self.admin = Admin(app, self.metrics)
        self._stored: Stored | None = None
        self.routes: dict[str, dict[str, Handler]] = {
            "/health": {"GET": self.health},
            "/health/ready": {"GET": self.ready},
            "/v1/chat/completions": {"POST": self.chat},
            "/v1/completions": {"POST": self.completion},
            _EMBEDDINGS: {"POST": self.embeddings},
            **{path: {"POST": self.rerank} for path in _RERANK},
            **{path: {"POST": self.score} for path in _SCORE},
            "/v1/responses": {"POST": self.respond},
            _MESSAGES: {"POST": self.message},
            f"{_MESSAGES}/count_tokens": {"POST": self.count_message_tokens},
            **self.admin.routes,
            **{path: {"POST": self.out_of_reach, "GET": self.out_of_reach} for path in _OUT_OF_REACH},
            "/v1/responses/input_tokens": {"POST": self.count_response_tokens},
            "/v1/responses/compact": {"POST": self.compact_response},
            "/v1/responses/*": {"GET": self.stored_response, "DELETE": self.stored_response, "POST": self.cancel},
        }

    @property
    def stored(self) -> Stored:
        """Responses that can be asked for later."""
        if self._stored is None:
            from InferenceLibrary.simulator.answers.responses import Stored

            self._stored = Stored()
        return self._stored

    def error(self, error: ApiError, path: str = "") -> Draft:
        if path.startswith(_MESSAGES):
            from InferenceLibrary.simulator.answers.messages import messages_error

            return messages_error(error)
        return Draft(error.status, body=reference_error(error))

    def before(self, turn: Turn) -> bool:
        if turn.request.path not in _POOLING:
            inject_failure(self.app, turn.request)
        return False

    def health(self, turn: Turn) -> None:
        deliver(turn, Draft())

    def ready(self, turn: Turn) -> None:
        if self.app.draining or monotonic() - self.app.started < self.app.settings.startup_duration:
            raise ApiError(503, "The server is not ready")
        deliver(turn, Draft())

    def out_of_reach(self, turn: Turn) -> None:
        raise ApiError(501, f"{turn.request.path} is not simulated")

    def body(self, turn: Turn) -> dict[str, Any]:
        """Return the JSON object that was sent."""
        return turn.json if turn.json is not None else read_json(turn.request)

    def check_model(self, ask: Ask) -> None:
        """Refuse a model that is not served."""
        self.admin.check_model(ask.model)

    def chat(self, turn: Turn) -> None:
        ask = read_chat(turn, self.body(turn))
        self.check_model(ask)
        self.generator.answer(turn, Chat, ask)

    def completion(self, turn: Turn) -> None:
        ask = read_completion(turn, self.body(turn))
        self.check_model(ask)
        self.generator.answer(turn, Completion, ask)

    def embeddings(self, turn: Turn) -> None:
        from InferenceLibrary.simulator.answers.embeddings import embed

        data = self.body(turn)
        model = model_of(turn, data)
        self.check_model(Ask(model, [], 0))
        if is_strict(turn):
            check_ids(data.get("input"), "input")
        draft, turn.prompt_tokens = embed(data, self.app.settings, model)
        deliver(turn, draft)

    def rerank(self, turn: Turn) -> None:
        from InferenceLibrary.simulator.answers.ranking import rerank

        self._rank(turn, "rerank-", rerank)

    def score(self, turn: Turn) -> None:
        from InferenceLibrary.simulator.answers.ranking import score

        self._rank(turn, "score-", score)

    def _rank(self, turn: Turn, prefix: str, rank: Callable[[dict[str, Any], int], tuple[dict[str, Any], int]]) -> None:
        data = self.body(turn)
        ask = Ask(take(data, "model", (str,), self.app.settings.names[0]), [], 0)
        self.check_model(ask)
        body, turn.prompt_tokens = rank(data, self.app.settings.max_model_len)
        turn.id, turn.model = self.app.new_id(prefix), self.generator.shown_model(ask)
        deliver(turn, Draft(body={"id": turn.id, "model": turn.model, **body}))

    def _generate(self, turn: Turn, ask: Ask, prefix: str) -> Output:
        from InferenceLibrary.simulator.answers.tools import call_tools, check_tools, format_answer

        self.check_model(ask)
        check_tools(ask)
        output = self.generator.outputs(turn, ask)[0]
        self.generator.note(turn, ask, output, prefix)
        if not (turn.scripted is not None and turn.scripted.answers):
            draws = self.generator.engine.draws(ask, "tools" + ask.prompts[0], 0)
            if ask.response_format is not None:
                format_answer(ask, output, draws, self.app.settings)
            call_tools(ask, output, draws, self.app.settings, turn.id.rpartition("-")[2])
        turn.finish_reason = output.finish
        return output

    def respond(self, turn: Turn) -> None:
        from InferenceLibrary.simulator.answers.responses import (
            finish_response,
            read_response_request,
            response_events,
            response_object,
        )

        data = self.body(turn)
        ask = read_response_request(data, self.app.settings, strict=self.app.strict)
        output = self._generate(turn, ask, "resp_")
        opening = response_object(turn.id, turn.model, data, ask)
        final = {**opening, "output": []}
        finish_response(final, ask, output)
        if data.get("background"):
            first, gaps = self.generator.times(turn, ask, output.count)
            total = first + (sum(gaps) if isinstance(gaps, list) else gaps * max(0, output.count - 1))
            self.stored.keep(final, data["input"], monotonic() + total)
            deliver(turn, Draft(body={**opening, "status": "queued"}))
            return
        if final["store"]:
            self.stored.keep(final, data["input"])
        if ask.stream:
            events = response_events(opening, final, output, self.app.settings)
            self.generator.run(turn, ask, output, lambda: Draft(content_type=EVENT_STREAM, events=events))
        else:
            self.generator.run(turn, ask, output, lambda: Draft(body=final, tokens=output.count))

    def stored_response(self, turn: Turn) -> None:
        head, _, response_id = turn.request.path.rpartition("/")
        if response_id == "input_items" and turn.request.method != "DELETE":
            deliver(turn, Draft(body=self.stored.asked(head.rpartition("/")[2])))
        elif turn.request.method == "DELETE":
            deliver(turn, Draft(body=self.stored.delete(response_id)))
        else:
            deliver(turn, Draft(body=self.stored.get(response_id)))

    def cancel(self, turn: Turn) -> None:
        head, _, last = turn.request.path.rpartition("/")
        if last != "cancel":
            raise ApiError(405, f"{turn.request.path} takes no POST")
        deliver(turn, Draft(body=self.stored.cancel(head.rpartition("/")[2])))

    def message(self, turn: Turn) -> None:
        from InferenceLibrary.simulator.answers.messages import (
            message_events,
            message_object,
            read_messages_request,
            thinks,
        )

        data = self.body(turn)
        ask = read_messages_request(data)
        output = self._generate(turn, ask, "msg_")
        message = message_object(turn.id, turn.model, ask, output, thinks(data))
        if ask.stream:
            events = message_events(message, output)
            self.generator.run(turn, ask, output, lambda: Draft(content_type=EVENT_STREAM, events=events))
        else:
            self.generator.run(turn, ask, output, lambda: Draft(body=message, tokens=output.count))

    def count_response_tokens(self, turn: Turn) -> None:
        from InferenceLibrary.simulator.answers.responses import read_response_request

        ask = read_response_request(self.body(turn), self.app.settings, strict=self.app.strict)
        deliver(turn, Draft(body={"object": "response.input_tokens", "input_tokens": ask.prompt_tokens}))

    def compact_response(self, turn: Turn) -> None:
        from InferenceLibrary.simulator.answers.responses import compacted, read_response_request

        data = self.body(turn)
        ask = read_response_request(data, self.app.settings, strict=self.app.strict)
        self.check_model(ask)
        turn.id, turn.model = self.app.new_id("resp_"), self.generator.shown_model(ask)
        deliver(turn, Draft(body=compacted(turn.id, data, ask)))

    def count_message_tokens(self, turn: Turn) -> None:
        from InferenceLibrary.simulator.answers.messages import read_messages_request

        ask = read_messages_request(self.body(turn), counting=True)
        deliver(turn, Draft(body={"input_tokens": ask.prompt_tokens}))
