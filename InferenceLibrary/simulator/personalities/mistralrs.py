"""mistral.rs over HTTP: `mistralrs` 0.9.2 as its dialect has it, and the older `mistralrs-server`."""

from __future__ import annotations

from time import time
from typing import TYPE_CHECKING, Any

from InferenceLibrary.simulator.answers.generation import Generator
from InferenceLibrary.simulator.answers.openai_answers import Shape, streamed_answer, usage_of, whole_answer
from InferenceLibrary.simulator.answers.openai_requests import Ask, read_json, take
from InferenceLibrary.simulator.core.api_errors import ApiError
from InferenceLibrary.simulator.core.delivery import deliver
from InferenceLibrary.simulator.core.draft import Draft
from InferenceLibrary.simulator.personalities.openai import OpenAI

if TYPE_CHECKING:
    from InferenceLibrary.simulator.answers.engine import Output
    from InferenceLibrary.simulator.core.app import App
    from InferenceLibrary.simulator.core.turn import Personality, Turn

_SHORTEST = 1e-6


def mistralrs(app: App) -> Personality:
    """Return the server of the generation that the command line names."""
    if getattr(app.settings, "older_generation", False):
        return MistralRsServer(app)
    from InferenceLibrary.simulator.personalities.likeness.personality import Likeness

    return Likeness(app)


class _Answers(Generator):
    """Answers with the speeds in their usage; a stream bears its usage in the chunk with the finish reason."""

    def _send(self, turn: Turn, shape: Shape, ask: Ask, outputs: list[Output]) -> None:
        turn.status = 200
        steps = max((output.count for output in outputs), default=0)
        first, gaps = self.times(turn, ask, steps)
        rest = sum(gaps) if isinstance(gaps, list) else gaps * max(0, steps - 1)
        usage = {**usage_of(ask, outputs), **_speeds(ask.prompt_tokens, steps, first, rest)}
        if ask.stream:
            # The usage is always there, whatever stream_options say.
            ask.include_usage = False
            draft = streamed_answer(shape, turn.id, turn.model, ask, outputs, first, gaps)
            for event in draft.events or ():
                if event.kind == "finish":
                    event.data["usage"] = usage
        else:
            draft = whole_answer(shape, turn.id, turn.model, ask, outputs)
            draft.body["usage"] = usage
            draft.pace(first, gaps, steps)
        if turn.scripted is not None:
            turn.scripted.change(draft)
        deliver(turn, draft)


def _speeds(prompt_tokens: int, tokens: int, first: float, rest: float) -> dict[str, float]:
    total = first + rest
    return {
        "avg_tok_per_sec": round((prompt_tokens + tokens) / max(total, _SHORTEST), 4),
        "avg_prompt_tok_per_sec": round(prompt_tokens / max(first, _SHORTEST), 4),
        "avg_compl_tok_per_sec": round(tokens / max(rest, _SHORTEST), 4),
        "total_time_sec": round(total, 6),
        "total_prompt_time_sec": round(first, 6),
        "total_completion_time_sec": round(rest, 6),
    }


class MistralRsServer(OpenAI):
    """`mistralrs-server` 0.6: one loaded model, answering to its name and to `default`."""

    open_paths = frozenset({"/", "/health"})

    def __init__(self, app: App) -> None:
        super().__init__(app)
        self.generator: _Answers = _Answers(app)
        self._since = int(time())
        kept = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses")
        self.routes = {
            "/": {"GET": self.health},
            "/health": {"GET": self.health},
            "/v1/models": {"GET": self._models},
            "/re_isq": {"POST": self._re_isq},
            "/api-doc/openapi.json": {"GET": self._openapi},
            "/docs": {"GET": self._docs},
            **{path: handlers for path, handlers in self.routes.items() if path.startswith(kept)},
        }

    def error(self, error: ApiError, path: str = "") -> Draft:
        status = 422 if error.status == 400 else error.status
        return Draft(status, body={"message": error.message})

    def body(self, turn: Turn) -> dict[str, Any]:
        data = super().body(turn)
        form = data.get("response_format")
        if isinstance(form, dict) and form.get("type") == "json_object":
            raise ApiError(400, "`json_object` is not supported; use `json_schema`", param="response_format")
        if not data.get("stream"):
            # It is ignored here, where others refuse it.
            data.pop("stream_options", None)
        return data

    def check_model(self, ask: Ask) -> None:
        if ask.model == "default":
            ask.model = self.app.settings.names[0]
        super().check_model(ask)

    def health(self, turn: Turn) -> None:
        deliver(turn, Draft(content_type="text/plain; charset=utf-8", body=b"OK"))

    def _models(self, turn: Turn) -> None:
        shown = {"object": "model", "created": self._since, "owned_by": "local"}
        data = [{"id": name, **shown} for name in ("default", *self.app.settings.names)]
        deliver(turn, Draft(body={"object": "list", "data": data}))

    def _re_isq(self, turn: Turn) -> None:
        take(read_json(turn.request), "ggml_type", (str,))
        deliver(turn, Draft(body={"status": "ok"}))

    def _openapi(self, turn: Turn) -> None:
        paths: dict[str, dict[str, dict[str, str]]] = {
            path: {method.lower(): {} for method in handlers} for path, handlers in self.routes.items()
        }
        deliver(turn, Draft(body={"openapi": "3.1.0", "info": {"title": "Mistral.rs"}, "paths": paths}))

    def _docs(self, turn: Turn) -> None:
        deliver(turn, Draft(content_type="text/html", body=b"<html><body>Mistral.rs</body></html>\n"))
