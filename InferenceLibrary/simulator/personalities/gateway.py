"""llm-gateway: one address for many providers; the model's prefix or name decides where a request goes."""

from __future__ import annotations

from time import time
from typing import TYPE_CHECKING, Any, cast

from InferenceLibrary.simulator.answers.tokens import count_tokens
from InferenceLibrary.simulator.core.api_errors import ApiError
from InferenceLibrary.simulator.core.delivery import deliver
from InferenceLibrary.simulator.core.draft import Draft, to_json
from InferenceLibrary.simulator.personalities.cross_origin import share_with_all
from InferenceLibrary.simulator.personalities.pydantic_errors import Unprocessable, check_chat, detail, read_body
from InferenceLibrary.simulator.personalities.relay import Headers, Relay, draft_of, read_object
from InferenceLibrary.simulator.personalities.upstream import Failure, UpstreamAnswer, fetch_all

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.app import App
    from InferenceLibrary.simulator.core.turn import Handler, Turn
    from InferenceLibrary.simulator.personalities.gateway_settings import GatewaySettings, Provider

_CHAT = "/v1/chat/completions"
_VERSION = "1.0.0"
# Both name the inference service, whatever its upstream is called.
_LOCAL = ("inference", "local")
# Prefixes that llm-gateway knows; without an upstream of that name they are refused, not taken as a part of the name.
_KNOWN = (*_LOCAL, "ollama", "openrouter", "deepseek-api", "openai", "anthropic")
_CONTEXT = 8192
_CODES = {
    "connect": "provider_unavailable",
    "timeout": "provider_timeout",
    "cut": "provider_error",
    "malformed": "provider_error",
}


class ProviderError(ApiError):
    """A provider gave no good answer; 502 but for those that ask to wait."""

    def __init__(
        self, provider: str, code: str, message: str, status: int = 502, headers: Headers | None = None
    ) -> None:
        super().__init__(status, message, kind=code, headers=tuple(headers or ()))
        self.provider = provider


class Gateway:
    """`--as gateway`."""

    generating = frozenset({_CHAT})
    open_paths = frozenset({"/health", "/health/ready"})

    def __init__(self, app: App) -> None:
        self.app = app
        self.settings = cast("GatewaySettings", app.settings)
        self.providers = self.settings.providers()
        self.seen: dict[str, tuple[str, ...]] = {}
        self.routes: dict[str, dict[str, Handler]] = {
            "/health": {"GET": self.health},
            "/health/ready": {"GET": self.ready},
            "/v1/models": {"GET": self.models},
            "/v1/models/*": {"GET": self.model},
            "/v1/providers": {"GET": self.list_providers},
            _CHAT: {"POST": self.chat},
        }
        share_with_all(app, self)

    def error(self, error: ApiError, path: str = "") -> Draft:
        if isinstance(error, ProviderError):
            body = {"message": error.message, "code": error.kind, "provider": error.provider, "type": "provider_error"}
            return Draft(error.status, body={"error": body})
        if path == _CHAT and error.status in {400, 415} and error.kind is None and error.param is None:
            error = Unprocessable([{"type": "json_invalid", "loc": ["body", 0], "msg": error.message, "input": {}}])
        return detail(error)

    def before(self, turn: Turn) -> bool:
        return False

    # What is known of the providers

    def _with_models(self, done: Any) -> None:
        """Ask providers without a list of their own for their models, then call `done` with those that failed."""
        asked = [provider for provider in self.providers.values() if not provider.models]

        def take(answers: list[UpstreamAnswer | Failure]) -> None:
            failed = []
            for provider, answer in zip(asked, answers, strict=True):
                names = _names(answer)
                self.seen[provider.name] = names or ()
                if names is None:
                    failed.append(provider.name)
            done(failed)

        fetch_all(self.app.timers, [provider.address for provider in asked], "/v1/models", take)

    def _models_of(self, provider: Provider) -> tuple[str, ...]:
        return provider.models or self.seen.get(provider.name, ())

    def _by_provider(self) -> dict[str, list[str]]:
        return {name: list(self._models_of(provider)) for name, provider in self.providers.items()}

    def health(self, turn: Turn) -> None:
        count = sum(map(len, self._by_provider().values()))
        body = {"status": "healthy", "version": _VERSION, "models_available": count}
        deliver(turn, Draft(body={**body, "inference_service": "not_managed"}))

    def ready(self, turn: Turn) -> None:
        names = list(self.providers)

        def take(answers: list[UpstreamAnswer | Failure]) -> None:
            if turn.outcome:
                return
            pairs = zip(names, answers, strict=True)
            checks = {name: isinstance(answer, UpstreamAnswer) and answer.status == 200 for name, answer in pairs}
            good = bool(checks) and all(checks.values())
            status = "ready" if good else "degraded" if any(checks.values()) else "not_ready"
            count = sum(map(len, self._by_provider().values()))
            body = {"status": status, "checks": checks, "models_available": count}
            deliver(turn, Draft(200 if any(checks.values()) else 503, body=body))

        fetch_all(self.app.timers, [item.address for item in self.providers.values()], "/health", take)

    def models(self, turn: Turn) -> None:
        created = int(time())

        def show(_failed: list[str]) -> None:
            data = [
                {"id": model, "object": "model", "created": created, "owned_by": name}
                for name, models in self._by_provider().items()
                for model in models
            ]
            if not turn.outcome:
                deliver(turn, Draft(body={"object": "list", "data": data}))

        self._with_models(show)

    def model(self, turn: Turn) -> None:
        wanted = turn.request.path.removeprefix("/v1/models/")

        def show(_failed: list[str]) -> None:
            owner = next((name for name, models in self._by_provider().items() if wanted in models), None)
            if turn.outcome:
                return
            if owner is None:
                error = {"message": f"Model '{wanted}' not found", "type": "invalid_request_error"}
                deliver(turn, Draft(404, body={"error": error}))
            else:
                found = {"id": wanted, "object": "model", "created": int(time()), "owned_by": owner}
                deliver(turn, Draft(body=found))

        self._with_models(show)

    def list_providers(self, turn: Turn) -> None:
        def show(_failed: list[str]) -> None:
            if not turn.outcome:
                body = {"object": "provider_list", "providers": self._by_provider()}
                deliver(turn, Draft(body={**body, "provider_names": list(self.providers)}))

        self._with_models(show)

    # Routing

    def chat(self, turn: Turn) -> None:
        data = turn.json if turn.json is not None else read_body(turn.request)
        check_chat(data)
        turn.prompt_tokens = sum(count_tokens(item.get("content") or "") for item in data["messages"])
        turn.max_tokens = data.get("max_tokens")
        found = self._by_prefix(data["model"])
        if found is not None:
            self._forward(turn, data, *found)
            return
        owner = self._owner(data["model"])
        if owner is not None:
            self._forward(turn, data, owner, data["model"])
            return

        def route(failed: list[str]) -> None:
            if turn.outcome:
                return
            owner = self._owner(data["model"])
            if owner is not None:
                self._forward(turn, data, owner, data["model"])
                return
            text = f"Model '{data['model']}' is not registered with any provider"
            if failed:
                text = f"{text}; no answer from {', '.join(failed)}"
            name = failed[0] if failed else "gateway"
            code = "provider_unavailable" if failed else "model_not_registered"
            self.app.fail(turn, ProviderError(name, code, text))

        self._with_models(route)

    def _by_prefix(self, model: str) -> tuple[Provider, str] | None:
        """Return provider and model for `inference:phi-4` or `ollama/llama3`.

        Raises:
            ProviderError: No upstream serves that prefix.
        """
        for sign in (":", "/"):
            prefix, found, rest = model.partition(sign)
            if not found or not rest:
                continue
            if prefix in self.providers:
                return self.providers[prefix], rest
            if prefix in _LOCAL:
                local = next((self.providers[name] for name in _LOCAL if name in self.providers), None)
                if local is not None:
                    return local, rest
            if prefix in _KNOWN:
                raise ProviderError(prefix, "provider_not_configured", f"Provider '{prefix}' is not configured")
        return None

    def _owner(self, model: str) -> Provider | None:
        return next((item for item in self.providers.values() if model in self._models_of(item)), None)

    def _forward(self, turn: Turn, data: dict[str, Any], provider: Provider, model: str) -> None:
        turn.model = model
        headers = self._cms_headers(turn)

        def answered(answer: UpstreamAnswer) -> None:
            if answer.status == 200:
                deliver(turn, draft_of(answer, headers, parsed=bool(turn.faults)))
            else:
                self.app.fail(turn, _bad_answer(provider.name, answer))

        def failed(failure: Failure) -> None:
            text = f"Provider '{provider.name}' at {provider.address.url}: {failure.text}"
            self.app.fail(turn, ProviderError(provider.name, _CODES[failure.kind], text))

        relay = Relay(turn, answered, failed, lambda _call: headers)
        body = to_json({**data, "model": model})
        relay.send(provider.address, _CHAT, _passed_on(turn), body, self.settings.upstream_timeout)

    def _cms_headers(self, turn: Turn) -> Headers:
        """Return the headers that tell how full the context is, and that nobody was asked to shorten it."""
        used = turn.prompt_tokens
        tier = 1 + sum(used >= _CONTEXT * part / 4 for part in (1, 2, 3))
        left = max(0, (_CONTEXT - used) * 100 // _CONTEXT)
        return [
            ("X-CMS-Routed", "false"),
            ("X-CMS-Tier", str(tier)),
            ("X-Token-Count", str(used)),
            ("X-Token-Limit", str(_CONTEXT)),
            ("X-Headroom-Pct", str(left)),
        ]


def _names(answer: UpstreamAnswer | Failure) -> tuple[str, ...] | None:
    """Return the ids of a model list, None when it is none."""
    data = read_object(answer.body).get("data") if isinstance(answer, UpstreamAnswer) and answer.status == 200 else None
    if not isinstance(data, list):
        return None
    return tuple(str(item["id"]) for item in data if isinstance(item, dict) and "id" in item)


def _passed_on(turn: Turn) -> dict[str, str]:
    given = turn.request.headers
    return {name: given[name] for name in ("x-request-id", "traceparent", "accept") if name in given}


def _bad_answer(provider: str, answer: UpstreamAnswer) -> ProviderError:
    """Return the error for an upstream's error: one that asks to wait stays what it is, the rest is 502."""
    data = read_object(answer.body)
    told = data.get("error", data.get("detail", data.get("message")))
    text = told.get("message") if isinstance(told, dict) else told
    message = f"Provider '{provider}' answered {answer.status}: {text or answer.body[:200].decode('utf-8', 'replace')}"
    if answer.status not in {429, 503}:
        return ProviderError(provider, "provider_error", message)
    wait = answer.headers.get("retry-after")
    code = "rate_limit_exceeded" if answer.status == 429 else "provider_unavailable"
    return ProviderError(provider, code, message, answer.status, [("Retry-After", wait)] if wait else [])
