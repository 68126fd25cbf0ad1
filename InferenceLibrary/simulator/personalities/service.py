"""inference-service: models that are loaded and unloaded, answers that several of them work on, and a queue."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from InferenceLibrary.simulator.answers.generation import Generator
from InferenceLibrary.simulator.answers.openai_answers import Chat, streamed_answer, whole_answer
from InferenceLibrary.simulator.answers.openai_requests import Ask
from InferenceLibrary.simulator.answers.tokens import count_tokens
from InferenceLibrary.simulator.core.api_errors import ApiError
from InferenceLibrary.simulator.core.delivery import deliver
from InferenceLibrary.simulator.core.draft import Draft
from InferenceLibrary.simulator.personalities.pydantic_errors import (
    Unprocessable,
    check_chat,
    detail,
    problem,
    read_body,
    whole_problems,
)
from InferenceLibrary.simulator.personalities.service_models import Model, Models, ServiceError
from InferenceLibrary.simulator.personalities.service_orchestration import (
    MODES,
    TASKS,
    Generation,
    Outcome,
    choose,
    needed,
    orchestrate,
)

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.app import App
    from InferenceLibrary.simulator.core.turn import Handler, Turn
    from InferenceLibrary.simulator.personalities.service_settings import ServiceSettings

_CHAT = "/v1/chat/completions"
_RETRY_SECONDS = 5
_NORMAL_PRIORITY = 2
_CHOICES = {"orchestration_mode": MODES, "task_type": TASKS}


class QueueFull(ApiError):
    """No place is left to wait."""

    def __init__(self, places: int) -> None:
        super().__init__(503, "Inference queue is full. Please retry later.")
        self.headers = (("Retry-After", str(_RETRY_SECONDS)),)
        self.places = places


class Service:
    """`--as service`."""

    generating = frozenset({_CHAT})
    open_paths = frozenset({"/health", "/health/ready"})

    def __init__(self, app: App) -> None:
        self.app = app
        self.settings = cast("ServiceSettings", app.settings)
        # The models have limits of their own, and so has the queue.
        self.settings.max_model_len = 1 << 20
        self.settings.max_num_seqs = self.settings.max_concurrent
        self.settings.max_waiting_queue_length = self.settings.queue_max_size
        self.models = Models(self.settings)
        self.generator = Generator(app)
        self.priorities: dict[Turn, int] = {}
        self.routes: dict[str, dict[str, Handler]] = {
            "/health": {"GET": self.health},
            "/health/ready": {"GET": self.ready},
            _CHAT: {"POST": self.chat},
            **self.models.routes,
        }

    def error(self, error: ApiError, path: str = "") -> Draft:
        if isinstance(error, ServiceError):
            return error.draft()
        if isinstance(error, QueueFull):
            waits = {"max_concurrent": error.places, "retry_after_seconds": _RETRY_SECONDS}
            return Draft(503, body={"detail": error.message, **waits})
        if path == _CHAT and error.status in {400, 415} and error.kind is None and error.param is None:
            error = Unprocessable([problem("json_invalid", [0], "JSON decode error", {}, error=error.message)])
        if error.status == 404 and path.startswith(("/v1/models/", _CHAT)):
            return Draft(404, body={"detail": error.message})
        return detail(error)

    def before(self, turn: Turn) -> bool:
        return False

    def health(self, turn: Turn) -> None:
        deliver(turn, Draft(body={"status": "ok", "service": "inference-service", "version": "0.1.0"}))

    def ready(self, turn: Turn) -> None:
        loaded = [model.id for model in self.models.loaded]
        if not loaded:
            body: dict[str, Any] = {"status": "not_ready", "loaded_models": [], "reason": "No models loaded"}
            deliver(turn, Draft(503, body=body))
            return
        body = {"status": "ready", "loaded_models": loaded, "config": self.settings.default_preset}
        deliver(turn, Draft(body={**body, "orchestration_mode": self.settings.orchestration_mode}))

    def chat(self, turn: Turn) -> None:
        data = turn.json if turn.json is not None else read_body(turn.request)
        check_chat(data, _CHOICES, whole_problems(data, "priority", 1, 3))
        model = self.models.ready(data["model"])
        ask = _ask(data)
        self._check_context(model, ask)
        mode = data.get("orchestration_mode") or self.settings.orchestration_mode
        loaded = [(item.id, item.roles) for item in self.models.loaded]
        if len(loaded) < needed(mode):
            text = f"Orchestration mode '{mode}' needs {needed(mode)} loaded models, {len(loaded)} is loaded"
            raise ServiceError(400, "VALIDATION_ERROR", text, mode=mode, loaded_models=[name for name, _ in loaded])
        chosen = choose(model.id, loaded, mode, data.get("task_type") or "general")
        priority = data.get("priority") or _NORMAL_PRIORITY
        self._wait(turn, priority, lambda headers: self._answer(turn, ask, mode, chosen, headers))

    def _check_context(self, model: Model, ask: Ask) -> None:
        wanted = ask.prompt_tokens + (ask.max_tokens or 0)
        if wanted > model.context_length:
            text = f"The request needs {wanted} tokens, the context of '{model.id}' has {model.context_length}"
            raise ServiceError(400, "CONTEXT_BUDGET_EXCEEDED", text, needed=wanted, available=model.context_length)

    # The queue

    def _wait(self, turn: Turn, priority: int, start: Any) -> None:
        """Call `start` with the headers about the queue when a place is free.

        Raises:
            QueueFull: No place is left to wait.
        """
        busy = self.app.running >= self.settings.max_num_seqs
        headers = [("X-Queue-Position", str(len(self.app.waiting) + 1))] if busy else []
        try:
            self.app.when_free(turn, lambda: start(headers))
        except ApiError as error:
            if error.status != 429:
                raise
            raise QueueFull(self.settings.max_concurrent) from None
        if busy and self.settings.queue_strategy == "priority":
            self.priorities[turn] = priority
            turn.at_end(self._forget)
            self.app.waiting = deque(sorted(self.app.waiting, key=lambda place: -self.priorities.get(place[0], 0)))

    def _forget(self, turn: Turn) -> None:
        del self.priorities[turn]

    # The answer

    def _answer(self, turn: Turn, ask: Ask, mode: str, models: list[str], headers: list[tuple[str, str]]) -> None:
        def generate(model: str, prompt: str) -> Generation:
            return self._generate(turn, ask, model, prompt)

        outcome = orchestrate(mode, models, ask.prompts[0], generate)
        answer = outcome.answer
        self.generator.note(turn, ask, answer.output, Chat.prefix)
        turn.model = ask.model
        turn.prompt_tokens = sum(item.prompt_tokens for item in outcome.generations)
        others = [item for item in outcome.generations if item is not answer]
        # The usage counts what all models read and wrote.
        total = replace(ask, prompt_tokens=turn.prompt_tokens)
        if ask.stream:
            draft = streamed_answer(
                Chat, turn.id, ask.model, total, [answer.output], outcome.before + answer.first, answer.gaps
            )
            turn.tokens += sum(item.output.count for item in others)
            for event in draft.events or ():
                if event.kind == "usage":
                    _count_all(event.data["usage"], outcome)
        else:
            draft = self._whole(turn, total, outcome)
        draft.headers = headers
        if turn.scripted is not None:
            turn.scripted.change(draft)
        turn.status = 200
        deliver(turn, draft)

    def _generate(self, turn: Turn, ask: Ask, model: str, prompt: str) -> Generation:
        """Have one model make one text."""
        # The name stands in the prompt, so that another model says something else.
        own = Ask(model, [f"{model}\n{prompt}"], count_tokens(prompt), ask.echo_text)
        own.max_tokens, own.stop, own.seed, own.temperature = ask.max_tokens, ask.stop, ask.seed, ask.temperature
        output = self.generator.outputs(turn, own)[0]
        first, gaps = self.generator.times(turn, own, output.count)
        made = self.app.ledger.generations
        made[model] = made.get(model, 0) + 1
        return Generation(model, own.prompt_tokens, output, first, gaps)

    def _whole(self, turn: Turn, ask: Ask, outcome: Outcome) -> Draft:
        draft = whole_answer(Chat, turn.id, ask.model, ask, [outcome.answer.output])
        draft.tokens = _count_all(draft.body["usage"], outcome)
        draft.body["orchestration"] = outcome.metadata
        draft.delay = outcome.seconds
        return draft


def _count_all(usage: dict[str, Any], outcome: Outcome) -> int:
    """Have a usage count the tokens of all generations; return them."""
    tokens = sum(item.output.count for item in outcome.generations)
    usage["completion_tokens"] = tokens
    usage["total_tokens"] = usage["prompt_tokens"] + tokens
    return tokens


def _ask(data: dict[str, Any]) -> Ask:
    """Return what a checked request asks for."""
    texts = [message.get("content") or "" for message in data["messages"]]
    users = [message.get("content") or "" for message in data["messages"] if message.get("role") == "user"]
    ask = Ask(data["model"], ["\n".join(texts)], sum(map(count_tokens, texts)), (users or texts)[-1])
    ask.stream = bool(data.get("stream"))
    options = data.get("stream_options")
    ask.include_usage = isinstance(options, dict) and options.get("include_usage") is True
    ask.max_tokens = data.get("max_tokens")
    stop = data.get("stop") or []
    ask.stop = [stop] if isinstance(stop, str) else [item for item in stop if item]
    ask.temperature = data.get("temperature")
    seed = data.get("seed")
    ask.seed = seed if isinstance(seed, int) else None
    return ask
