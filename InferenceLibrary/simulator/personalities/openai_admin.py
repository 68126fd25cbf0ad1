"""What llm-d-inference-sim has besides generation: models, adapters, sleep, tokens, metrics, configuration."""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from dataclasses import replace
from time import gmtime, strftime, time
from typing import TYPE_CHECKING, Any

from InferenceLibrary.simulator.answers.openai_requests import content_text, read_json, take
from InferenceLibrary.simulator.answers.tokens import Vocabulary
from InferenceLibrary.simulator.core.api_errors import ApiError
from InferenceLibrary.simulator.core.delivery import deliver
from InferenceLibrary.simulator.core.draft import Draft
from InferenceLibrary.simulator.core.exposition import CONTENT_TYPE, python_text
from InferenceLibrary.simulator.personalities.failures import FAILURES

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.app import App
    from InferenceLibrary.simulator.core.metrics import Metrics
    from InferenceLibrary.simulator.core.turn import Handler, Turn

_ANTHROPIC = "anthropic-version"
"""The header by which clients of Anthropic's API are known."""
_CONFIGURABLE = (
    "failure-injection-rate",
    "failure-types",
    "time-to-first-token",
    "time-to-first-token-std-dev",
    "inter-token-latency",
    "inter-token-latency-std-dev",
    "kv-cache-transfer-latency",
    "kv-cache-transfer-latency-std-dev",
    "prefill-overhead",
    "prefill-time-per-token",
    "prefill-time-std-dev",
    "time-factor-under-load",
    "fake-metrics",
)


def _adapter(text: str) -> dict[str, Any]:
    """Read one of `--lora-modules`: JSON, or NAME=PATH."""
    name, equals, path = text.partition("=")
    if equals and not text.lstrip().startswith("{"):
        return {"name": name, "path": path}
    found = json.loads(text)
    return found if isinstance(found, dict) else {}


class Admin:
    """Routes for all that is not generation."""

    def __init__(self, app: App, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics
        self._created = int(time())
        self._asleep = False
        self.vocabulary = Vocabulary()
        self.loras: dict[str, str] = {}
        """Base model by adapter."""
        self.paths: dict[str, str] = {}
        """Where each adapter was loaded from."""
        for text in app.settings.lora_modules:
            module = _adapter(text)
            self.loras[module["name"]] = module.get("base_model_name") or app.settings.names[0]
            self.paths[module["name"]] = module.get("path", "")
        app.on_ended.append(self._ended)
        app.admits = self.admits
        self.routes: dict[str, dict[str, Handler]] = {
            "/v1/models": {"GET": self.models},
            "/v1/models/*": {"GET": self.model},
            "/v1/load_lora_adapter": {"POST": self.load_lora},
            "/v1/unload_lora_adapter": {"POST": self.unload_lora},
            "/tokenize": {"POST": self.tokenize},
            "/detokenize": {"POST": self.detokenize},
            "/metrics": {"GET": self.show_metrics},
            "/sleep": {"POST": self.sleep},
            "/wake_up": {"POST": self.wake_up},
            "/is_sleeping": {"GET": self.is_sleeping},
            "/admin/config": {"GET": self.config, "POST": self.change_config},
            "/fake_metrics": {"POST": self.fake_metrics},
        }

    def check_model(self, name: str) -> None:
        """Refuse a model that is not served."""
        if name not in self._app.settings.names and name not in self.loras:
            raise ApiError(404, f"The model `{name}` does not exist.", param="model")

    def model(self, turn: Turn) -> None:
        """Tell of one model, an adapter too."""
        name = turn.request.path.removeprefix("/v1/models/")
        found = next((model for model in self.listed() if model["id"] == name), None)
        if found is None:
            raise ApiError(404, f"The model `{name}` does not exist.", param="model")
        deliver(turn, Draft(body={**found, **self._for_anthropic(turn, name)}))

    def models(self, turn: Turn) -> None:
        data = [{**one, **self._for_anthropic(turn, one["id"])} for one in self.listed()]
        ends = {"has_more": False, "first_id": data[0]["id"], "last_id": data[-1]["id"]}
        more = ends if _ANTHROPIC in turn.request.headers else {}
        deliver(turn, Draft(body={"object": "list", "data": data, **more}))

    def _for_anthropic(self, turn: Turn, name: str) -> dict[str, Any]:
        """Return what a client of Anthropic's API finds in a model besides."""
        if _ANTHROPIC not in turn.request.headers:
            return {}
        created = strftime("%Y-%m-%dT%H:%M:%SZ", gmtime(self._created))
        return {"type": "model", "display_name": name, "created_at": created, "lifecycle": "active"}

    def listed(self) -> list[dict[str, Any]]:
        settings = self._app.settings
        shown = {
            "object": "model",
            "created": self._created,
            "owned_by": "vllm",
            "max_model_len": settings.max_model_len,
        }
        data = [{"id": name, **shown, "root": settings.model, "parent": None} for name in settings.names]
        data += [
            {"id": name, **shown, "root": self.paths.get(name) or name, "parent": base}
            for name, base in self.loras.items()
        ]
        return data

    def load_lora(self, turn: Turn) -> None:
        data = read_json(turn.request)
        name = take(data, "lora_name", (str,))
        path = take(data, "lora_path", (str,), "")
        limit = self._app.settings.max_cpu_loras or max(self._app.settings.max_loras, len(self.loras) + 1)
        if not name:
            raise ApiError(400, "'lora_name' must not be empty", param="lora_name")
        if name not in self.loras and len(self.loras) >= limit:
            raise ApiError(400, f"No place for another adapter: {limit} are loaded", param="lora_name")
        self.loras[name], self.paths[name] = self._app.settings.names[0], path
        deliver(turn, Draft())

    def unload_lora(self, turn: Turn) -> None:
        name = take(read_json(turn.request), "lora_name", (str,))
        if self.loras.pop(name, None) is None:
            raise ApiError(404, f"The adapter `{name}` is not loaded.", param="lora_name")
        deliver(turn, Draft())

    def tokenize(self, turn: Turn) -> None:
        data = read_json(turn.request)
        self.check_model(take(data, "model", (str,), self._app.settings.names[0]))
        if data.get("messages") is not None:
            messages = take(data, "messages", (list,))
            if not all(isinstance(message, dict) for message in messages):
                raise ApiError(400, "'messages' must hold objects", param="messages")
            text = "\n".join(content_text(message.get("content"), "messages") for message in messages)
        else:
            text = take(data, "prompt", (str,))
        ids = self.vocabulary.ids(text)
        body = {"count": len(ids), "max_model_len": self._app.settings.max_model_len, "tokens": ids}
        deliver(turn, Draft(body={**body, "token_strs": None}))

    def detokenize(self, turn: Turn) -> None:
        data = read_json(turn.request)
        self.check_model(take(data, "model", (str,), self._app.settings.names[0]))
        ids = take(data, "tokens", (list,))
        if not all(type(number) is int for number in ids):
            raise ApiError(400, "'tokens' must hold token ids", param="tokens")
        try:
            text = self.vocabulary.text(ids)
        except KeyError as error:
            raise ApiError(400, f"Token id {error} is out of vocabulary", param="tokens") from None
        deliver(turn, Draft(body={"prompt": text}))

    def show_metrics(self, turn: Turn) -> None:
        self.note_adapters()
        deliver(turn, Draft(body=python_text(self._metrics.families()), content_type=CONTENT_TYPE))

    def note_adapters(self, ending: Turn | None = None) -> None:
        """Note which adapters run and wait, with those of a turn that has just ended."""
        waits = [turn for turn, _ in self._app.waiting]
        current = [item.current for item in self._app.connections if item.current not in (None, *waits)]
        running, waiting = (
            ",".join(sorted({turn.model for turn in turns if turn is not None and turn.model in self.loras}))
            for turns in ((*current, ending), waits)
        )
        self._metrics.note_adapters(running, waiting)

    def _ended(self, turn: Turn) -> None:
        if turn.model in self.loras:
            self.note_adapters(turn)

    def admits(self, turn: Turn, placed: Collection[Turn]) -> bool:
        """Whether a turn may begin beside those that have a place: at most `--max-loras` adapters run at once."""
        if turn.model not in self.loras:
            return True
        running = {one.model for one in placed if one.model in self.loras}
        return turn.model in running or len(running) < self._app.settings.max_loras

    def _may_sleep(self) -> bool:
        return self._app.settings.enable_sleep_mode and os.environ.get("VLLM_SERVER_DEV_MODE") == "1"

    def fall_asleep(self) -> None:
        """Sleep, where that is switched on."""
        self._asleep = self._may_sleep()

    def awake(self) -> None:
        """End the sleep."""
        self._asleep = False

    def sleep(self, turn: Turn) -> None:
        self.fall_asleep()
        deliver(turn, Draft())

    def wake_up(self, turn: Turn) -> None:
        self.awake()
        deliver(turn, Draft())

    def is_sleeping(self, turn: Turn) -> None:
        deliver(turn, Draft(body={"is_sleeping": self._asleep}))

    def config(self, turn: Turn) -> None:
        from InferenceLibrary.simulator.core.options import FIELDS

        settings = self._app.settings
        body: dict[str, Any] = {}
        for name, item in FIELDS.items():
            value = getattr(settings, item.name)
            if name != "api-key":
                body[name] = f"{value:g}s" if item.metadata["kind"] == "duration" else value
        deliver(turn, Draft(body=body))

    def change_config(self, turn: Turn) -> None:
        self.change(read_json(turn.request))
        self.config(turn)

    def change(self, changes: dict[str, Any]) -> None:
        """Change settings while the server runs.

        Raises:
            ApiError: 400; one of them is unknown, cannot be changed, or is wrong.
        """
        from InferenceLibrary.simulator.core.options import OptionError, check_together, convert, field_of

        checked: dict[str, Any] = {}
        for name, value in changes.items():
            if name not in _CONFIGURABLE:
                raise ApiError(400, f"'{name}' cannot be changed; {', '.join(_CONFIGURABLE)} can", param=name)
            if name == "fake-metrics":
                self._set_fake(value)
                continue
            try:
                checked[field_of(name)] = convert(name, value, legacy=False, where=name)
            except OptionError as error:
                raise ApiError(400, str(error), param=name) from None
            wrong = [item for item in checked.get("failure_types", ()) if item not in FAILURES]
            if wrong:
                raise ApiError(400, f"'{wrong[0]}' is not a failure type; {', '.join(FAILURES)} are", param=name)
        try:
            check_together(replace(self._app.settings, **checked))
        except OptionError as error:
            raise ApiError(400, str(error)) from None
        for field, value in checked.items():
            setattr(self._app.settings, field, value)

    def fake_metrics(self, turn: Turn) -> None:
        self._set_fake(read_json(turn.request))
        deliver(turn, Draft(204))

    def _set_fake(self, values: Any) -> None:
        try:
            self._metrics.set_fake(values if isinstance(values, dict) else {})
        except ValueError as error:
            raise ApiError(400, str(error), param="fake-metrics") from None
