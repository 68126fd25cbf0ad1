"""The models of the service: loaded into a memory that has an end, unloaded, configured."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Any

from InferenceLibrary.simulator.core.api_errors import ApiError
from InferenceLibrary.simulator.core.delivery import deliver
from InferenceLibrary.simulator.core.draft import Draft
from InferenceLibrary.simulator.personalities.pydantic_errors import Unprocessable, read_body, whole_problems

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.turn import Handler, Turn
    from InferenceLibrary.simulator.personalities.service_settings import ServiceSettings

# Memory in MB, context length, roles.
_KNOWN: dict[str, tuple[int, int, tuple[str, ...]]] = {
    "phi-4": (8400, 16384, ("primary", "thinker", "coder")),
    "llama-3.2-3b": (2000, 8192, ("fast",)),
    "deepseek-r1-7b": (4700, 32768, ("thinker",)),
    "qwen2.5-7b": (4500, 32768, ("coder", "primary")),
    "phi-3-medium-128k": (8600, 131072, ("longctx", "thinker")),
}
_UNKNOWN = (4000, 8192, ("primary",))
_PREFIX = "/v1/models/"


class ServiceError(ApiError):
    """An error of the service's own kind: it says whether trying again may help."""

    def __init__(self, status: int, code: str, message: str, *, retry_after: int | None = None, **details: Any) -> None:
        headers = () if retry_after is None else (("Retry-After", str(retry_after)),)
        super().__init__(status, message, kind=code, headers=headers)
        self.details = details

    def draft(self) -> Draft:
        kind = "retriable" if self.status == 503 else "non_retriable"
        error = {"code": self.kind, "message": self.message, "type": kind, "provider": "inference-service"}
        return Draft(self.status, body={"error": {**error, "details": self.details}})


@dataclass(slots=True)
class Model:
    """One model."""

    id: str
    memory_mb: int
    context_length: int
    roles: tuple[str, ...]
    gpu_layers: int = -1
    loaded: bool = False
    loading_until: float = 0.0
    pending: dict[str, int] = field(default_factory=dict)

    def show(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "status": "loaded" if self.loaded else "available",
            "memory_mb": self.memory_mb,
            "context_length": self.context_length,
            "roles": list(self.roles),
        }


class Models:
    """All models, and the routes that change them."""

    def __init__(self, settings: ServiceSettings) -> None:
        self._settings = settings
        self.all = {name: Model(name, *_KNOWN.get(name, _UNKNOWN)) for name in settings.available_models}
        for name in settings.loaded_models:
            self.all[name].loaded = True
        self.routes: dict[str, dict[str, Handler]] = {
            "/v1/models": {"GET": self.show_all},
            f"{_PREFIX}*": {"POST": self.load_or_unload, "PATCH": self.configure},
        }

    @property
    def loaded(self) -> list[Model]:
        """The loaded models, in the order of the list."""
        return [model for model in self.all.values() if model.loaded]

    def ready(self, name: str) -> Model:
        """Return a model that can answer.

        Raises:
            ApiError: 404, it is unknown or not loaded.
            ServiceError: 503, it is being loaded.
        """
        model = self.all.get(name)
        if model is None or not model.loaded:
            raise ApiError(404, f"Model '{name}' is not loaded")
        left = model.loading_until - monotonic()
        if left > 0:
            seconds = max(1, round(left))
            raise ServiceError(503, "MODEL_LOADING", f"Model '{name}' is loading", retry_after=seconds, model=name)
        return model

    def show_all(self, turn: Turn) -> None:
        settings = self._settings
        data = [model.show() for model in self.all.values()]
        body = {"data": data, "config": settings.default_preset, "orchestration_mode": settings.orchestration_mode}
        deliver(turn, Draft(body=body))

    def _known(self, name: str) -> Model:
        if name not in self.all:
            raise ApiError(404, f"Model '{name}' is not available", kind="detail")
        return self.all[name]

    def load_or_unload(self, turn: Turn) -> None:
        name, _, action = turn.request.path.removeprefix(_PREFIX).rpartition("/")
        if action == "load":
            self._load(turn, self._known(name))
        elif action == "unload":
            if name in self.all:
                self.all[name].loaded = False
            message = f"Model '{name}' unloaded successfully"
            deliver(turn, Draft(body={"id": name, "status": "available", "message": message}))
        else:
            raise ApiError(404, "Not Found")

    def _load(self, turn: Turn, model: Model) -> None:
        delay = 0.0
        if not model.loaded:
            used = sum(item.memory_mb for item in self.loaded)
            if used + model.memory_mb > self._settings.memory_mb:
                raise ApiError(
                    507,
                    f"Cannot load model '{model.id}': it needs {model.memory_mb} MB, and {used} of "
                    f"{self._settings.memory_mb} MB are in use",
                )
            for key, value in model.pending.items():
                setattr(model, key, value)
            model.pending.clear()
            model.loaded = True
            delay = self._settings.model_load_time
            model.loading_until = monotonic() + delay
        body = {"id": model.id, "status": "loaded", "message": f"Model '{model.id}' loaded successfully"}
        deliver(turn, Draft(body=body, delay=delay))

    def configure(self, turn: Turn) -> None:
        """Change a model's configuration; it takes effect when the model is loaded next."""
        name, _, action = turn.request.path.removeprefix(_PREFIX).rpartition("/")
        if action != "config":
            raise ApiError(404, "Not Found")
        data = read_body(turn.request)
        problems = whole_problems(data, "context_length", 1, None) + whole_problems(data, "gpu_layers", -1, None)
        if problems:
            raise Unprocessable(problems)
        model = self._known(name)
        changed = []
        for key in ("context_length", "gpu_layers"):
            value = data.get(key)
            if value is not None and value != model.pending.get(key, getattr(model, key)):
                model.pending[key] = value
                changed.append(key)
        if not model.loaded:
            for key, value in model.pending.items():
                setattr(model, key, value)
            model.pending.clear()
        deliver(turn, Draft(body={"model_id": name, "updated_fields": changed, "status": "ok"}))
