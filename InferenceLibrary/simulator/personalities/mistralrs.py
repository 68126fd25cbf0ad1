"""mistral.rs over HTTP: its health in plain text, its list of models, its errors in two generations."""

from __future__ import annotations

import json
from time import time
from typing import TYPE_CHECKING, Any

from InferenceLibrary.simulator.answers.generation import Generator
from InferenceLibrary.simulator.answers.openai_answers import Shape, streamed_answer, usage_of, whole_answer
from InferenceLibrary.simulator.answers.openai_requests import Ask, read_json, take
from InferenceLibrary.simulator.core.api_errors import ApiError
from InferenceLibrary.simulator.core.delivery import deliver
from InferenceLibrary.simulator.core.draft import Draft
from InferenceLibrary.simulator.personalities.mistralrs_settings import MistralRsSettings
from InferenceLibrary.simulator.personalities.openai import OpenAI

if TYPE_CHECKING:
    from InferenceLibrary.simulator.answers.engine import Output
    from InferenceLibrary.simulator.core.app import App
    from InferenceLibrary.simulator.core.turn import Turn

_CODES = {
    404: "not_found",
    409: "model_state_conflict",
    413: "request_body_too_large",
    415: "invalid_content_type",
    429: "rate_limit_exceeded",
    500: "internal_error",
    503: "service_unavailable",
}
_NAMES_OF_MODELS = {"model", "model_id"}
_SHORTEST = 1e-6


class _Answers(Generator):
    """Answers with the speeds in their usage; a stream bears its usage in the chunk with the finish reason."""

    old = False
    """Whether it is the older generation."""

    def _send(self, turn: Turn, shape: Shape, ask: Ask, outputs: list[Output]) -> None:
        turn.status = 200
        steps = max((output.count for output in outputs), default=0)
        first, gaps = self.times(turn, ask, steps)
        rest = sum(gaps) if isinstance(gaps, list) else gaps * max(0, steps - 1)
        counts = usage_of(ask, outputs)
        if not self.old:
            del counts["prompt_tokens_details"]
        usage = {**counts, **_speeds(ask.prompt_tokens, steps, first, rest)}
        if ask.stream:
            # The usage is always there, whatever stream_options say.
            ask.include_usage = False
            draft = streamed_answer(shape, turn.id, turn.model, ask, outputs, first, gaps)
            for event in draft.events or ():
                if event.kind == "finish":
                    event.data["usage"] = usage
                if not self.old and isinstance(event.data, dict):
                    event.data["system_fingerprint"] = "local"
                    for choice in event.data.get("choices", ()):
                        choice.setdefault("logprobs", None)
        else:
            draft = whole_answer(shape, turn.id, turn.model, ask, outputs)
            draft.body["usage"] = usage
            if not self.old:
                _as_recorded(draft.body)
            draft.pace(first, gaps, steps)
        if turn.scripted is not None:
            turn.scripted.change(draft)
        deliver(turn, draft)


def _as_recorded(body: dict[str, Any]) -> None:
    """Fill in what 0.9.2 tells with null where others leave it out."""
    body["system_fingerprint"] = "local"
    for choice in body["choices"]:
        choice.setdefault("logprobs", None)
        if "message" in choice:
            choice["message"].setdefault("tool_calls", None)


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


class MistralRs(OpenAI):
    """One loaded model, answering to its name and to `default`."""

    open_paths = frozenset({"/", "/health", "/metrics"})

    def __init__(self, app: App) -> None:
        super().__init__(app)
        self.generator: _Answers = _Answers(app)
        settings = app.settings
        self._old = isinstance(settings, MistralRsSettings) and settings.older_generation
        self.generator.old = self._old
        if not self._old:
            app.header_sources.append(self._shared_headers)
        self._no_metrics = isinstance(settings, MistralRsSettings) and settings.no_metrics
        self._loaded = True
        self._since = int(time())
        self._requests: dict[tuple[str, str, int], int] = {}
        app.on_ended.append(self._count)
        kept = ["/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses"]
        kept += [] if self._old else ["/v1/messages"]
        routes = {path: handlers for path, handlers in self.routes.items() if path.startswith(tuple(kept))}
        if not self._old:
            routes |= {
                "/v1/models/unload": {"POST": self._unload},
                "/v1/models/reload": {"POST": self._reload},
                "/v1/models/status": {"POST": self._status},
                "/v1/system/info": {"GET": self._system},
                "/v1/system/doctor": {"GET": self._system},
                "/metrics": {"GET": self._metrics},
            }
        self.routes = {
            "/": {"GET": self.health},
            "/health": {"GET": self.health},
            "/v1/models": {"GET": self._models},
            "/re_isq": {"POST": self._re_isq},
            "/api-doc/openapi.json": {"GET": self._openapi},
            "/docs": {"GET": self._docs},
            **routes,
        }

    @staticmethod
    def _shared_headers(_turn: Turn) -> tuple[tuple[str, str], ...]:
        """The headers by which pages of other sites may read every answer of 0.9.2."""
        return ("access-control-allow-origin", "*"), ("access-control-expose-headers", "x-request-id")

    def error(self, error: ApiError, path: str = "") -> Draft:
        if self._old:
            status = 422 if error.status == 400 else error.status
            return Draft(status, body={"message": error.message})
        if path.startswith("/v1/messages"):
            return super().error(error, path)
        kind = "server_error" if error.status >= 500 else "invalid_request_error"
        if error.status == 429:
            kind = "rate_limit_error"
        code = _CODES.get(error.status, "internal_error" if error.status > 500 else None)
        if error.status == 404 and error.param in _NAMES_OF_MODELS:
            code = "model_not_found"
        body = {"error": {"message": error.message, "type": kind, "param": error.param, "code": code}}
        return Draft(error.status, body=body)

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
        # A request for a model that was unloaded loads it again.
        self._loaded = True

    def health(self, turn: Turn) -> None:
        deliver(turn, Draft(content_type="text/plain; charset=utf-8", body=b"OK"))

    def _models(self, turn: Turn) -> None:
        shown = {"object": "model", "created": self._since, "owned_by": "local"}
        names = ["default", *self.app.settings.names]
        status = {} if self._old else {"status": "loaded" if self._loaded else "unloaded"}
        data = [{"id": name, **shown, **({} if self._old else {"root": name}), **status} for name in names]
        deliver(turn, Draft(body={"object": "list", "data": data}))

    def _model_id(self, turn: Turn) -> str:
        name: str = take(read_json(turn.request), "model_id", (str,))
        if name not in {"default", *self.app.settings.names}:
            raise ApiError(404, f"Model `{name}` not found.", param="model_id")
        return name

    def _answer_status(self, turn: Turn, name: str) -> None:
        status = "loaded" if self._loaded else "unloaded"
        deliver(turn, Draft(body={"model_id": name, "status": status}))

    def _unload(self, turn: Turn) -> None:
        name = self._model_id(turn)
        if not self._loaded:
            raise ApiError(409, f"Model `{name}` is already unloaded.", param="model_id")
        self._loaded = False
        self._answer_status(turn, name)

    def _reload(self, turn: Turn) -> None:
        name = self._model_id(turn)
        self._loaded = True
        self._answer_status(turn, name)

    def _status(self, turn: Turn) -> None:
        self._answer_status(turn, self._model_id(turn))

    def _system(self, turn: Turn) -> None:
        deliver(turn, Draft(body={"os": "linux", "devices": [{"kind": "cpu"}], "checks": []}))

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

    def _count(self, turn: Turn) -> None:
        key = (turn.request.method, turn.request.path, turn.status)
        if turn.status and turn.request.path in self.routes:
            self._requests[key] = self._requests.get(key, 0) + 1

    def _metrics(self, turn: Turn) -> None:
        if self._no_metrics:
            deliver(turn, Draft(503, content_type="text/plain; charset=utf-8", body=b"metrics disabled"))
            return
        lines = ["# TYPE http_requests_total counter"]
        for (method, path, status), count in sorted(self._requests.items()):
            labels = f'method="{method}",path={json.dumps(path)},status="{status}"'
            lines.append(f"http_requests_total{{{labels}}} {count}")
        lines += ["# TYPE http_requests_in_flight gauge", f"http_requests_in_flight {self.app.ledger.in_flight}"]
        text = ("\n".join(lines) + "\n").encode()
        deliver(turn, Draft(content_type="text/plain; version=0.0.4", body=text))
