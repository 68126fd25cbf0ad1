"""mistral.rs over HTTP: its health in plain text, its list of models, its errors in two generations."""

from __future__ import annotations

import json
from time import time
from typing import TYPE_CHECKING

from InferenceLibrary.simulator.api_errors import ApiError
from InferenceLibrary.simulator.drafts import Draft, deliver
from InferenceLibrary.simulator.openai_requests import Ask, read_json, take
from InferenceLibrary.simulator.personalities.llm_d import LlmD
from InferenceLibrary.simulator.personalities.mistralrs_settings import MistralRsSettings

if TYPE_CHECKING:
    from InferenceLibrary.simulator.app import App
    from InferenceLibrary.simulator.exchange import Exchange

_TYPES = {429: "rate_limit_error"}
_CODES = {404: "model_not_found", 429: "rate_limit_exceeded", 413: "payload_too_large", 415: "unsupported_media_type"}


class MistralRs(LlmD):
    """One loaded model, answering to its name and to `default`."""

    open_paths = frozenset({"/", "/health", "/metrics"})

    def __init__(self, app: App) -> None:
        super().__init__(app)
        self._old = isinstance(app.settings, MistralRsSettings) and app.settings.older_generation
        self._loaded = True
        self._since = int(time())
        self._requests: dict[tuple[str, str, int], int] = {}
        app.on_ended.append(self._count)
        kept = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses", "/v1/messages")
        routes = {path: handlers for path, handlers in self.routes.items() if path.startswith(kept)}
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

    def error(self, error: ApiError, path: str = "") -> Draft:
        if self._old:
            status = 422 if error.status == 400 else error.status
            return Draft(status, body={"message": error.message})
        if path.startswith("/v1/messages"):
            return super().error(error, path)
        kind = _TYPES.get(error.status, "server_error" if error.status >= 500 else "invalid_request_error")
        code = _CODES.get(error.status, "internal_error" if error.status >= 500 else "invalid_request")
        body = {"error": {"message": error.message, "type": kind, "param": error.param, "code": code}}
        return Draft(error.status, body=body)

    def check_model(self, ask: Ask) -> None:
        if ask.model == "default":
            ask.model = self.app.settings.names[0]
        super().check_model(ask)
        if not self._loaded:
            self._loaded = True

    def health(self, exchange: Exchange) -> None:
        deliver(exchange, Draft(content_type="text/plain; charset=utf-8", body=b"OK"))

    def _models(self, exchange: Exchange) -> None:
        shown = {"object": "model", "created": self._since, "owned_by": "local"}
        names = ["default", *self.app.settings.names]
        status = {} if self._old else {"status": "loaded" if self._loaded else "unloaded"}
        data = [{"id": name, **shown, **status} for name in names]
        deliver(exchange, Draft(body={"object": "list", "data": data}))

    def _model_id(self, exchange: Exchange) -> str:
        name: str = take(read_json(exchange.request), "model_id", (str,))
        if name not in {"default", *self.app.settings.names}:
            raise ApiError(404, f"Model `{name}` not found.", param="model_id")
        return name

    def _answer_status(self, exchange: Exchange, name: str) -> None:
        status = "loaded" if self._loaded else "unloaded"
        deliver(exchange, Draft(body={"model_id": name, "status": status}))

    def _unload(self, exchange: Exchange) -> None:
        name = self._model_id(exchange)
        if not self._loaded:
            raise ApiError(409, f"Model `{name}` is already unloaded.", param="model_id")
        self._loaded = False
        self._answer_status(exchange, name)

    def _reload(self, exchange: Exchange) -> None:
        name = self._model_id(exchange)
        self._loaded = True
        self._answer_status(exchange, name)

    def _status(self, exchange: Exchange) -> None:
        self._answer_status(exchange, self._model_id(exchange))

    def _system(self, exchange: Exchange) -> None:
        deliver(exchange, Draft(body={"os": "linux", "devices": [{"kind": "cpu"}], "checks": []}))

    def _re_isq(self, exchange: Exchange) -> None:
        take(read_json(exchange.request), "ggml_type", (str,))
        deliver(exchange, Draft(body={"status": "ok"}))

    def _openapi(self, exchange: Exchange) -> None:
        paths: dict[str, dict[str, dict[str, str]]] = {
            path: {method.lower(): {} for method in handlers} for path, handlers in self.routes.items()
        }
        deliver(exchange, Draft(body={"openapi": "3.1.0", "info": {"title": "Mistral.rs"}, "paths": paths}))

    def _docs(self, exchange: Exchange) -> None:
        deliver(exchange, Draft(content_type="text/html", body=b"<html><body>Mistral.rs</body></html>\n"))

    def _count(self, exchange: Exchange) -> None:
        key = (exchange.request.method, exchange.request.path, exchange.status)
        if exchange.status and exchange.request.path in self.routes:
            self._requests[key] = self._requests.get(key, 0) + 1

    def _metrics(self, exchange: Exchange) -> None:
        lines = ["# TYPE http_requests_total counter"]
        for (method, path, status), count in sorted(self._requests.items()):
            labels = f'method="{method}",path={json.dumps(path)},status="{status}"'
            lines.append(f"http_requests_total{{{labels}}} {count}")
        lines += ["# TYPE http_requests_in_flight gauge", f"http_requests_in_flight {self.app.ledger.in_flight}"]
        text = ("\n".join(lines) + "\n").encode()
        deliver(exchange, Draft(content_type="text/plain; version=0.0.4", body=text))
