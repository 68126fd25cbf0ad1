"""llm-d-inference-sim v0.10: the OpenAI API of vLLM, with its own errors and switches."""

from __future__ import annotations

from time import monotonic, time
from typing import TYPE_CHECKING

from InferenceLibrary.simulator.api_errors import ApiError, openai_error
from InferenceLibrary.simulator.drafts import Draft, deliver
from InferenceLibrary.simulator.generation import Generator
from InferenceLibrary.simulator.openai_answers import Chat, Completion
from InferenceLibrary.simulator.openai_requests import Ask, read_chat, read_completion, read_json

if TYPE_CHECKING:
    from InferenceLibrary.simulator.app import App, Handler
    from InferenceLibrary.simulator.exchange import Exchange


class LlmD:
    """The default personality."""

    generating = frozenset({"/v1/chat/completions", "/v1/completions"})
    open_paths = frozenset({"/health", "/health/ready", "/metrics"})

    def __init__(self, app: App) -> None:
        self.app = app
        self.created = int(time())
        self.generator = Generator(app)
        self.routes: dict[str, dict[str, Handler]] = {
            "/health": {"GET": self.health},
            "/health/ready": {"GET": self.ready},
            "/v1/models": {"GET": self.models},
            "/v1/chat/completions": {"POST": self.chat},
            "/v1/completions": {"POST": self.completion},
        }

    def error(self, error: ApiError) -> Draft:
        return Draft(error.status, body=openai_error(error.status, error.message, error.param, error.kind))

    def before(self, _exchange: Exchange) -> bool:
        return False

    def health(self, exchange: Exchange) -> None:
        deliver(exchange, Draft())

    def ready(self, exchange: Exchange) -> None:
        if self.app.draining or monotonic() - self.app.started < self.app.settings.startup_duration:
            raise ApiError(503, "The server is not ready")
        deliver(exchange, Draft())

    def models(self, exchange: Exchange) -> None:
        settings = self.app.settings
        data = [
            {
                "id": name,
                "object": "model",
                "created": self.created,
                "owned_by": "vllm",
                "root": settings.model,
                "parent": None,
                "max_model_len": settings.max_model_len,
            }
            for name in settings.names
        ]
        deliver(exchange, Draft(body={"object": "list", "data": data}))

    def check_model(self, ask: Ask) -> None:
        """Refuse a model that is not served."""
        if ask.model not in self.app.settings.names:
            raise ApiError(404, f"The model `{ask.model}` does not exist.", param="model")

    def chat(self, exchange: Exchange) -> None:
        ask = read_chat(exchange, exchange.json or read_json(exchange.request))
        self.check_model(ask)
        self.generator.answer(exchange, Chat, ask, self.generator.outputs(exchange, ask))

    def completion(self, exchange: Exchange) -> None:
        ask = read_completion(exchange, exchange.json or read_json(exchange.request))
        self.check_model(ask)
        self.generator.answer(exchange, Completion, ask, self.generator.outputs(exchange, ask))
