"""The API router: keys, limits and budgets before backends, which are chosen by weight and health."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Any, cast

from InferenceLibrary.simulator.core.api_errors import ApiError
from InferenceLibrary.simulator.core.delivery import deliver
from InferenceLibrary.simulator.core.draft import Draft, to_json
from InferenceLibrary.simulator.personalities.relay import Headers, Relay, draft_of
from InferenceLibrary.simulator.personalities.relay import read_object as read_answer
from InferenceLibrary.simulator.personalities.router_backends import Backends, stamp
from InferenceLibrary.simulator.personalities.router_limits import Guard, RouterError, error_draft
from InferenceLibrary.simulator.personalities.router_requests import (
    check_chat,
    check_completion,
    check_inference,
    known_only,
    read_object,
)
from InferenceLibrary.simulator.personalities.upstream import Failure, UpstreamAnswer, fetch_all
from InferenceLibrary.version import __version__

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.app import App
    from InferenceLibrary.simulator.core.turn import Handler, Turn
    from InferenceLibrary.simulator.personalities.router_settings import Backend, Key, RouterSettings

_CHAT = "/v1/chat/completions"
_COMPLETIONS = "/v1/completions"
_INFERENCE = "/v1/inference"
_AUDIT = "/v1/audit/requests/"
_LARGEST_BODY = 64 * 1024
_KEPT_RECORDS = 1000
_DOLLARS_PER_TOKEN = 0.000002
_BUILD = {"version": __version__, "commit": "simulated", "build_time": "1970-01-01T00:00:00Z"}
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_FAILURE_CODES = {"connect": "BACKEND_UNAVAILABLE", "timeout": "BACKEND_TIMEOUT"}


class Router:
    """`--as router`."""

    generating = frozenset({_CHAT, _COMPLETIONS, _INFERENCE})
    open_paths = frozenset({"/v1/status/healthz", "/v1/status/readyz", "/metrics", "/v1/models"})

    def __init__(self, app: App) -> None:
        self.app = app
        self.settings = cast("RouterSettings", app.settings)
        self.guard = Guard(self.settings)
        self.backends = Backends(app, self.settings, self.guard)
        self.components = self.settings.components()
        self.records: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self.routes: dict[str, dict[str, Handler]] = {
            "/v1/status/healthz": {"GET": self.health},
            "/v1/status/readyz": {"GET": self.ready},
            "/metrics": {"GET": self.metrics},
            "/v1/models": {"GET": self.models},
            _CHAT: {"POST": self.chat},
            _COMPLETIONS: {"POST": self.completion},
            _INFERENCE: {"POST": self.inference},
            f"{_AUDIT}*": {"GET": self.audit},
            **self.backends.routes,
        }
        for path in self.routes.keys() - self.open_paths:
            self.routes[path] = {**dict.fromkeys(_METHODS, self._not_allowed(self.routes[path])), **self.routes[path]}

    def _not_allowed(self, handlers: dict[str, Handler]) -> Handler:
        """Refuse a method that is not there, but who has no key first: the key is asked for before the route."""
        allowed = (("Allow", ", ".join(handlers)),)

        def refuse(turn: Turn) -> None:
            self.guard.authenticate(turn.request)
            raise ApiError(405, "", headers=allowed)

        return refuse

    def error(self, error: ApiError, path: str = "") -> Draft:
        return error_draft(error)

    def before(self, turn: Turn) -> bool:
        return False

    # Status

    def health(self, turn: Turn) -> None:
        deliver(turn, Draft(body={"status": "healthy", "build": _BUILD, "timestamp": stamp()}))

    def ready(self, turn: Turn) -> None:
        registry = "healthy" if self.backends.all else "unhealthy"
        components = {**self.components, "backend_registry": registry}
        good = "unhealthy" not in components.values()
        body = {"status": "ready" if good else "degraded", "components": components, "build": _BUILD}
        deliver(turn, Draft(200 if good else 503, body={**body, "timestamp": stamp()}))

    def metrics(self, turn: Turn) -> None:
        from InferenceLibrary.simulator.core.exposition import CONTENT_TYPE

        lines = []
        for name, count in self.guard.denials.items():
            full = f"api_router_{name}_denials_total"
            lines += [f"# TYPE {full} counter", f"{full} {count}"]
        lines.append("# TYPE api_router_backend_requests_total counter")
        for (backend, status), count in sorted(self.backends.requests.items()):
            labels = f'backend_id="{backend}",status="{status}"'
            lines.append(f"api_router_backend_requests_total{{{labels}}} {count}")
        deliver(turn, Draft(body="\n".join([*lines, ""]).encode(), content_type=CONTENT_TYPE))

    def models(self, turn: Turn) -> None:
        backends = list(self.backends.all.values())

        def show(answers: list[UpstreamAnswer | Failure]) -> None:
            found: dict[str, str] = {}
            for backend, answer in zip(backends, answers, strict=True):
                listed = read_answer(answer.body).get("data") if isinstance(answer, UpstreamAnswer) else None
                names = [item.get("id") for item in listed or () if isinstance(item, dict)]
                for name in backend.serves or names:
                    found.setdefault(str(name), backend.id)
            data = [{"id": name, "object": "model", "created": 0, "owned_by": owner} for name, owner in found.items()]
            if not turn.outcome:
                deliver(turn, Draft(body={"object": "list", "data": data}))

        fetch_all(self.app.timers, [backend.address for backend in backends], "/v1/models", show)

    def audit(self, turn: Turn) -> None:
        self.guard.authenticate(turn.request)
        wanted = turn.request.path.removeprefix(_AUDIT)
        if wanted not in self.records:
            raise RouterError("NOT_FOUND", f"audit record not found for request ID: {wanted}")
        deliver(turn, Draft(body=self.records[wanted]))

    # Requests that go to a backend

    def _read(self, turn: Turn) -> tuple[Key, Headers, dict[str, Any]]:
        if len(turn.request.body) >= _LARGEST_BODY:
            raise ApiError(413, "request body too large")
        key, headers = self.guard.admit(turn)
        data = read_object(turn.request)
        turn.model = str(data.get("model") or "")
        return key, list(headers), data

    def chat(self, turn: Turn) -> None:
        key, headers, data = self._read(turn)
        check_chat(data)
        self._openai(turn, key, headers, data)

    def completion(self, turn: Turn) -> None:
        key, headers, data = self._read(turn)
        check_completion(data)
        self._openai(turn, key, headers, data)

    def _openai(self, turn: Turn, key: Key, headers: Headers, data: dict[str, Any]) -> None:
        seed = self.settings.era == "seed"
        backends = self.backends.policy(data["model"])[:1] if seed else self.backends.order(data["model"])

        def answered(attempt: Attempt, answer: UpstreamAnswer) -> None:
            kind = answer.headers.get("content-type", "")
            if seed and "json" not in kind:
                # The first era decodes every answer as one JSON object, a stream too.
                text = "unmarshal OpenAI response: invalid character 'd' looking for beginning of value"
                self.app.fail(turn, RouterError("BACKEND_ERROR", f"backend request failed: {text}"))
                return
            body = read_answer(answer.body)
            self._record(str(body.get("id", "")), turn, key, attempt, body.get("usage"))
            found = [*headers, *attempt.headers]
            deliver(turn, draft_of(answer, found, parsed=bool(turn.faults)))

        def failed(_kind: str, text: str) -> None:
            self.app.fail(turn, RouterError("BACKEND_ERROR", f"backend request failed: {text}"))

        body = known_only(data) if seed else data
        _Attempts(self, turn, backends, turn.request.path, body, headers, answered, failed).next()

    def inference(self, turn: Turn) -> None:
        key, headers, data = self._read(turn)
        check_inference(data)
        parameters = {name: value for name, value in (data.get("parameters") or {}).items() if name != "stream"}
        body = {**parameters, "model": data["model"], "prompt": data["payload"]}

        def answered(attempt: Attempt, answer: UpstreamAnswer) -> None:
            text, usage = _said(read_answer(answer.body))
            record = self._record(data["request_id"], turn, key, attempt, usage)
            shown = {
                "tokens_input": record["tokens_input"],
                "tokens_output": record["tokens_output"],
                "latency_ms": record["latency_ms"],
                "cost_usd": record["cost_usd"],
                "limit_state": record["limit_state"],
            }
            ids = {"trace_id": record["trace_id"], "span_id": record["span_id"]}
            reply = {"request_id": data["request_id"], "output": {"text": text}, "usage": shown, **ids}
            deliver(turn, Draft(body=reply, headers=[*headers, *attempt.headers], tokens=shown["tokens_output"]))

        def failed(kind: str, text: str) -> None:
            code = _FAILURE_CODES.get(kind, "BACKEND_ERROR")
            self.app.fail(turn, RouterError(code, f"all backends failed, last error: {text}"))

        order = self.backends.order(data["model"])
        _Attempts(self, turn, order, _COMPLETIONS, body, headers, answered, failed).next()

    def _record(self, request_id: str, turn: Turn, key: Key, attempt: Attempt, usage: Any) -> dict[str, Any]:
        """Write down what a request used, for the audit."""
        counts = usage if isinstance(usage, dict) else {}
        tokens_in, tokens_out = counts.get("prompt_tokens") or 0, counts.get("completion_tokens") or 0
        turn.prompt_tokens = tokens_in
        parts = turn.request.headers.get("traceparent", "").split("-")
        random = f"{self.app.chance.bits():016x}{self.app.chance.bits():016x}"
        record = {
            "request_id": request_id,
            "record_id": self.app.new_id("rec-"),
            "organization_id": key.organization,
            "api_key_id": "simulated",
            "model": turn.model,
            "backend_id": attempt.backend.id,
            "tokens_input": tokens_in,
            "tokens_output": tokens_out,
            "latency_ms": round((monotonic() - turn.request.received) * 1000),
            "cost_usd": round((tokens_in + tokens_out) * _DOLLARS_PER_TOKEN, 6),
            "limit_state": "WITHIN_LIMIT",
            "decision_reason": attempt.kind,
            "retry_count": attempt.number - 1,
            "trace_id": parts[1] if len(parts) == 4 else random,
            "span_id": random[:16],
            "timestamp": stamp(),
        }
        self.records[request_id] = record
        if len(self.records) > _KEPT_RECORDS:
            self.records.popitem(last=False)
        return record


def _said(answer: dict[str, Any]) -> tuple[str, Any]:
    """Return the text and the usage of a backend: of the OpenAI API, or of the first era, `{text, tokens_used}`."""
    choices = answer.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], dict):
        return str(choices[0].get("text") or ""), answer.get("usage")
    return str(answer.get("text") or ""), {"completion_tokens": answer.get("tokens_used")}


class Attempt:
    """One backend that a request was sent to."""

    def __init__(self, backend: Backend, number: int) -> None:
        self.backend = backend
        self.number = number
        self.kind = "PRIMARY" if number == 1 else "FAILOVER"
        self.headers: Headers = [("X-Routing-Backend", backend.id), ("X-Routing-Decision", self.kind)]


class _Attempts:
    """Tries backends one after another until one answers 200. A refused request is not tried elsewhere."""

    def __init__(
        self,
        router: Router,
        turn: Turn,
        backends: list[Backend],
        path: str,
        body: dict[str, Any],
        headers: Headers,
        answered: Callable[[Attempt, UpstreamAnswer], None],
        failed: Callable[[str, str], None],
    ) -> None:
        self._router = router
        self._turn = turn
        self._left = list(backends)
        self._path = path
        self._body = body
        self._headers = headers
        self._answered = answered
        self._failed = failed
        self._number = 0

    def next(self) -> None:
        backend = self._left.pop(0)
        self._number += 1
        attempt = Attempt(backend, self._number)
        began = monotonic()

        def note(error: str, *, blamed: bool = True) -> None:
            backend.latency = monotonic() - began
            self._router.backends.decided(backend, attempt.kind, attempt.number, error, blamed=blamed)

        def go_on(kind: str, text: str, again: bool) -> None:
            note(text, blamed=again)
            if self._left and again and not self._turn.outcome:
                self.next()
            else:
                self._failed(kind, text)

        def answered(answer: UpstreamAnswer) -> None:
            if answer.status == 200:
                note("")
                self._answered(attempt, answer)
            else:
                text = answer.body.decode("utf-8", "replace")
                again = answer.status >= 500 or answer.status == 429
                go_on("answer", f"backend returned status {answer.status}: {text}", again)

        def failed(failure: Failure) -> None:
            go_on(failure.kind, f"{backend.id}: {failure.text}", True)

        def streams(_call: Any) -> Headers:
            note("")
            return [*self._headers, *attempt.headers]

        allowed = self._router.settings.era == "late"
        relay = Relay(self._turn, answered, failed, streams if allowed else None)
        body = {**self._body, "model": backend.model} if backend.model else self._body
        timeout = self._router.settings.upstream_timeout
        relay.send(backend.address, self._path, {}, to_json(body), timeout)
