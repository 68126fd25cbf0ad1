"""What llm-d-inference-sim v0.10.2 has besides generation, as its recorded answers show it."""

from __future__ import annotations

import os
from time import time_ns
from typing import TYPE_CHECKING, Any

from InferenceLibrary.simulator.core.api_errors import ApiError
from InferenceLibrary.simulator.core.delivery import deliver
from InferenceLibrary.simulator.core.draft import Draft
from InferenceLibrary.simulator.core.durations import parse_duration
from InferenceLibrary.simulator.core.exposition import GO_CONTENT_TYPE, go_text
from InferenceLibrary.simulator.core.fake_metrics import known_values
from InferenceLibrary.simulator.personalities import llm_d_requests as requests
from InferenceLibrary.simulator.personalities.failures import FAILURES
from InferenceLibrary.simulator.personalities.llm_d_settings import KEYS, KINDS

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.app import App
    from InferenceLibrary.simulator.core.metrics import Metrics
    from InferenceLibrary.simulator.core.turn import Handler, Turn
    from InferenceLibrary.simulator.personalities.openai_admin import Admin

_CALL_TOKEN = "call"
"""Stands for each token of a message that calls tools."""
_TOLD = {
    "cache_config_info": "Information of the LLMEngine CacheConfig.",
    "e2e_request_latency_seconds": "Histogram of end to end request latency in seconds.",
    "generation_tokens_total": "Total number of generated tokens.",
    "inter_token_latency_seconds": "Histogram of inter-token latency in seconds.",
    "kv_cache_usage_perc": "Prometheus metric for the fraction of KV-cache blocks currently in use (from 0 to 1).",
    "lora_requests_info": "Running stats on lora requests.",
    "max_num_generation_tokens": "Histogram of maximum number of requested generation tokens.",
    "num_requests_running": "Number of requests currently running on GPU.",
    "num_requests_waiting": "Prometheus metric for the number of queued requests.",
    "prefix_cache_hits": "Prefix cache hits, in terms of number of cached tokens.",
    "prefix_cache_queries": "Prefix cache queries, in terms of number of queried tokens.",
    "prompt_tokens_total": "Total number of prompt tokens processed.",
    "request_decode_time_seconds": "Histogram of time spent in DECODE phase for request.",
    "request_generation_tokens": "Number of generation tokens processed.",
    "request_inference_time_seconds": "Histogram of time spent in RUNNING phase for request.",
    "request_params_max_tokens": "Histogram of the max_tokens request parameter.",
    "request_prefill_time_seconds": "Histogram of time spent in PREFILL phase for request.",
    "request_prompt_tokens": "Number of prefill tokens processed.",
    "request_queue_time_seconds": "Histogram of time spent in WAITING phase for request.",
    "request_success_total": "Count of successfully processed requests.",
    "time_per_output_token_seconds": "Histogram of time per output token in seconds.",
    "time_to_first_token_seconds": "Histogram of time to first token in seconds.",
}
"""What its page says of each metric; they are all that it has."""
_CALLED = {"prefix_cache_hits_total": "prefix_cache_hits", "prefix_cache_queries_total": "prefix_cache_queries"}
"""Names of its own for metrics of vLLM."""


class LlmDAdmin:
    """Routes for all that is not generation."""

    def __init__(self, app: App, metrics: Metrics, admin: Admin) -> None:
        self._app = app
        self._metrics = metrics
        self._admin = admin
        self._seed = time_ns()
        self.routes: dict[str, dict[str, Handler]] = {
            "/v1/models": {"GET": self.models},
            "/v1/load_lora_adapter": {"POST": self.load_lora},
            "/v1/unload_lora_adapter": {"POST": self.unload_lora},
            "/tokenize": {"POST": self.tokenize},
            "/metrics": {"GET": self.show_metrics},
            "/sleep": {"POST": self._silently(admin.fall_asleep)},
            "/wake_up": {"POST": self._silently(admin.awake)},
            "/is_sleeping": {"GET": admin.is_sleeping},
            "/admin/config": {"GET": self.config, "POST": self.change_config},
            "/fake_metrics": {"POST": self.fake_metrics},
            "/v1/completions/render": {"POST": self.render},
            "/v1/chat/completions/render": {"POST": self.render_chat},
            "/inference/v1/generate": {"POST": self.generate},
            "/query": {"GET": self.engine},
        }
        self._engine = app.new_id("")

    @staticmethod
    def _silently(act: Any) -> Handler:
        def handle(turn: Turn) -> None:
            act()
            deliver(turn, Draft(content_type=""))

        return handle

    def check_model(self, name: str) -> None:
        """Refuse a model that is not served."""
        if not name or (name not in self._app.settings.names and name not in self._admin.loras):
            raise ApiError(404, f"The model `{name}` does not exist.")

    def models(self, turn: Turn) -> None:
        first = self._app.settings.names[0]
        listed = self._admin.listed()
        for one in listed:
            if one["parent"] is not None:
                one["parent"] = first
        deliver(turn, Draft(body={"object": "list", "data": listed}))

    def load_lora(self, turn: Turn) -> None:
        data = requests.read(turn.request, {"lora_name": str, "lora_path": str})
        name = data.get("lora_name") or ""
        self._admin.loras[name] = self._app.settings.names[0]
        self._admin.paths[name] = data.get("lora_path") or name
        deliver(turn, Draft(content_type=""))

    def unload_lora(self, turn: Turn) -> None:
        """What is not loaded is unloaded all the same."""
        name = requests.read(turn.request, {"lora_name": str}).get("lora_name") or ""
        self._admin.loras.pop(name, None)
        deliver(turn, Draft(content_type=""))

    def tokenize(self, turn: Turn) -> None:
        data = requests.read(turn.request, {"prompt": str, "messages": list})
        if data.get("prompt") and data.get("messages"):
            raise ApiError(400, "both prompt and messages fields in tokenize request")
        messages = data.get("messages")
        ids = (
            self._ids_of_messages(messages)
            if messages
            else requests.ids_of(requests.tokens_of(data.get("prompt") or ""))
        )
        body = {"max_model_len": self._app.settings.max_model_len, "count": len(ids), "tokens": ids}
        deliver(turn, Draft(body={**body, "token_strs": None}))

    @staticmethod
    def _ids_of_messages(messages: list[Any]) -> list[int]:
        count = requests.chat_ask({"messages": messages}).prompt_tokens
        tokens = requests.tokens_of("".join(map(requests.rendered, messages)))[:count]
        return requests.ids_of([*tokens, *[_CALL_TOKEN] * (count - len(tokens))])

    def render_chat(self, turn: Turn) -> None:
        data = requests.read(turn.request, {"messages": list})
        deliver(turn, Draft(body={"token_ids": self._ids_of_messages(data.get("messages") or [])}))

    def render(self, turn: Turn) -> None:
        data = requests.read(turn.request, {"prompt": str})
        deliver(turn, Draft(body=[{"token_ids": requests.ids_of(requests.tokens_of(data.get("prompt") or ""))}]))

    def generate(self, turn: Turn) -> None:
        data = requests.read(turn.request, {"token_ids": list, "sampling_params": dict})
        ids = data.get("token_ids") or []
        limit = (data.get("sampling_params") or {}).get("max_tokens") or len(ids) + 1
        if type(limit) is not int:
            raise requests.unreadable("json: cannot unmarshal sampling_params.max_tokens into Go value of type int64")
        choice = {"index": 0, "finish_reason": "length" if len(ids) >= limit else "stop", "token_ids": ids}
        body = {"choices": [choice], "request_id": self._app.new_id(""), "ec_transfer_params": None}
        deliver(turn, Draft(body=body))

    def engine(self, turn: Turn) -> None:
        deliver(turn, Draft(body={"0": {"engine_id": self._engine}}))

    # Configuration

    def config(self, turn: Turn) -> None:
        settings = self._app.settings
        fake = self._metrics.fake
        told: dict[str, Any] = {"DisplayModelName": settings.names[0], **_pod()}
        for name in KEYS:
            value = getattr(settings, name.replace("-", "_"))
            told[name] = None if value in ([], None) else _go_duration(value) if KINDS[name] == "duration" else value
        told |= {
            "served-model-name": settings.names,
            "seed": settings.seed or self._seed,
            "fake-metrics": fake and fake.given,
        }
        told["max-cpu-loras"] = settings.max_cpu_loras or settings.max_loras
        if settings.data_parallel_size > 1:
            # Each rank has its own.
            del told["port"]
        deliver(turn, Draft(body=dict(sorted(told.items()))))

    def change_config(self, turn: Turn) -> None:
        changes = requests.read(turn.request, {"failure-types": list, "image-emission-rate": int})
        if "fake-metrics" in changes:
            self._set_fake(changes.pop("fake-metrics"), 400)
        if "image-emission-rate" in changes:
            self._app.settings.image_emission_rate = changes.pop("image-emission-rate")
        for name, value in changes.items():
            if isinstance(value, int | float) and name in {"time-to-first-token", "inter-token-latency"}:
                # A bare number is nanoseconds in Go.
                changes[name] = f"{value}ns"
        self._refuse_spread(changes)
        wrong = [one for one in changes.get("failure-types") or () if not isinstance(one, str) or one not in FAILURES]
        if wrong:
            raise ApiError(400, f"invalid failure type {wrong[0]}")
        self._admin.change(changes)
        self.config(turn)

    def _refuse_spread(self, changes: dict[str, Any]) -> None:
        for name in ("time-to-first-token", "inter-token-latency", "prefill-time", "kv-cache-transfer-latency"):
            mean, spread = changes.get(name), changes.get(f"{name}-std-dev")
            if isinstance(mean, str) and isinstance(spread, str) and _is_too_wide(spread, mean):
                said = name.replace("-", " ")
                raise ApiError(400, f"{said} standard deviation cannot be more than 30% of {said}")

    def show_metrics(self, turn: Turn) -> None:
        self._admin.note_adapters()
        named = ((_CALLED.get(family.name, family.name), family) for family in self._metrics.families(seen=True))
        families = [family._replace(name=name, text=_TOLD[name]) for name, family in named if name in _TOLD]
        deliver(turn, Draft(body=go_text(families), content_type=GO_CONTENT_TYPE))

    def fake_metrics(self, turn: Turn) -> None:
        self._set_fake(requests.read(turn.request, {}), 500)
        deliver(turn, Draft(200, content_type=""))

    def _set_fake(self, values: Any, status: int) -> None:
        if isinstance(values, dict) and any(isinstance(one, int | float) and one < 0 for one in values.values()):
            raise ApiError(status, "fake metrics request counters cannot be negative")
        if self._metrics.fake is None:
            raise ApiError(status, "the simulator is reporting real metrics; fake metrics cannot be updated")
        try:
            self._metrics.set_fake(known_values(values) if isinstance(values, dict) else {})
        except ValueError as error:
            raise ApiError(status, str(error)) from None


def _is_too_wide(spread: str, mean: str) -> bool:
    """Whether a deviation is beyond 30% of its mean; what is not a duration is refused elsewhere."""
    try:
        return parse_duration(spread) > 0.3 * parse_duration(mean)
    except ValueError:
        return False


def _pod() -> dict[str, Any]:
    """What the environment says of the pod."""
    told = {"IP": "POD_IP", "PodName": "POD_NAME", "PodNameSpace": "POD_NAMESPACE"}
    return {
        **{name: os.environ.get(variable, "") for name, variable in told.items()},
        "VllmDevMode": os.environ.get("VLLM_SERVER_DEV_MODE") == "1",
    }


def _go_duration(seconds: float) -> str:
    """Return a time as Go writes it: `0s`, `100ms`, `1m0s`."""
    if not seconds:
        return "0s"
    for size, unit in ((1e-6, "ns"), (1e-3, "µs"), (1.0, "ms")):
        if seconds < size:
            return f"{seconds * 1000 / size:g}{unit}"
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes)}m{rest:g}s" if minutes else f"{rest:g}s"
