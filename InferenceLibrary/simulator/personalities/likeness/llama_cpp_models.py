"""llama.cpp's server as a router: several models, loaded when they are asked for and unloaded when others need room."""

from __future__ import annotations

import configparser
from collections.abc import Callable
from pathlib import Path
from time import monotonic, time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from msgspec.structs import replace

from InferenceLibrary.simulator.core.api_errors import ApiError
from InferenceLibrary.simulator.core.delivery import deliver
from InferenceLibrary.simulator.core.settings import StartError
from InferenceLibrary.simulator.personalities.likeness.reading import body_of, json_of
from InferenceLibrary.simulator.personalities.likeness.refusals import Refusal

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.turn import Turn
    from InferenceLibrary.simulator.personalities.likeness.personality import Likeness

_FLAGS = ("models-dir", "models-preset", "models-max", "no-models-autoload")
"""Any of them makes a router of the server."""
_USUAL_MOST = 4
_OPEN = ("/health", "/v1/health", "/models", "/v1/models", "/props", "/models/load", "/models/unload", "/")


class _Model:
    """One model: unloaded, loading or loaded."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.state = "unloaded"
        self.used = 0.0
        self.busy = 0


class Models:
    """The models of a router. `--startup-duration` is the time that it takes to load one."""

    def __init__(self, server: Likeness) -> None:
        self._server = server
        flags = server.flags
        self.are_many = any(flags.get(name) not in {None, "", False} for name in _FLAGS)
        self._most = int(flags.get("models-max") or _USUAL_MOST)
        self._loads_itself = not flags.get("no-models-autoload")
        self._given = list(server.app.settings.served_model_name)
        self._models: dict[str, _Model] = {}
        self._queue: list[tuple[Turn, _Model, Callable[[], None]]] = []
        if self.are_many:
            self._read()
            server.gate = self.pass_on
            # Each answer bears the name of the model that gave it.
            server.choices = replace(server.choices, reads_model="asked")
            server.on_model = self._check

    # Which there are

    def _read(self) -> None:
        flags = self._server.flags
        names = list(self._given)
        folder, preset = str(flags.get("models-dir") or ""), str(flags.get("models-preset") or "")
        if folder:
            names += sorted(path.stem for path in Path(folder).rglob("*.gguf"))
        if preset:
            parser = configparser.ConfigParser(default_section="*", interpolation=None)
            try:
                parser.read_string(Path(preset).read_text(encoding="utf-8"))
            except (OSError, UnicodeDecodeError, configparser.Error) as error:
                raise StartError(f"--models-preset: cannot read '{preset}': {error}") from None
            names += parser.sections()
        self._models = {name: self._models.get(name) or _Model(name) for name in names}
        self._server.app.settings.served_model_name = names

    def _check(self, name: Any) -> None:
        """Refuse a model that there is not."""
        if not name:
            raise Refusal("range", "model name is missing from the request")
        if not isinstance(name, str) or name not in self._models:
            raise Refusal("range", f"model '{name}' not found")

    # States

    def _settle(self) -> None:
        """Unload the models that nobody has used for long."""
        limit = self._server.flags.get("stop-idle-seconds")
        if isinstance(limit, int | float) and limit > 0:
            for model in self._models.values():
                if model.state == "loaded" and not model.busy and monotonic() - model.used >= limit:
                    model.state = "unloaded"

    def _room(self) -> bool:
        """Whether another model may be loaded; the one that was used longest ago gives way, if it is idle."""
        taken = [model for model in self._models.values() if model.state != "unloaded"]
        if len(taken) < self._most:
            return True
        idle = [model for model in taken if model.state == "loaded" and not model.busy]
        if not idle:
            return False
        min(idle, key=lambda model: model.used).state = "unloaded"
        return True

    def _begin(self, model: _Model) -> bool:
        """Begin to load a model; whether there was room."""
        if model.state != "unloaded":
            return True
        if not self._room():
            return False
        model.state, model.used = "loading", monotonic()
        timers, duration = self._server.app.timers, self._server.app.settings.startup_duration
        if duration:
            timers.at(monotonic() + duration, lambda: self._loaded(model))
        else:
            self._loaded(model)
        return True

    def _loaded(self, model: _Model) -> None:
        if model.state == "loading":
            model.state, model.used = "loaded", monotonic()
        self._go_on()

    def _go_on(self) -> None:
        """Let those that wait pass, in their order, as far as their models are there or find room."""
        waiting, self._queue = self._queue, []
        for place in waiting:
            turn, model, answer = place
            if turn.outcome:
                continue
            if model.state == "loaded":
                self._enter(turn, model, answer)
                continue
            # Nobody passes those that came before and still wait for room.
            if not any(one[1].state == "unloaded" for one in self._queue):
                self._begin(model)
            if model.state == "loaded":
                self._enter(turn, model, answer)
            else:
                self._queue.append(place)

    def _enter(self, turn: Turn, model: _Model, answer: Callable[[], None]) -> None:
        model.busy += 1
        model.used = monotonic()

        def leave(_: Turn) -> None:
            model.busy -= 1
            model.used = monotonic()
            self._go_on()

        turn.at_end(leave)
        try:
            answer()
        except ApiError as error:
            self._server.app.fail(turn, error)
        except Exception as error:  # noqa: BLE001 - a mistake of ours must not leave the client waiting
            self._server.app.crashed(turn, error)

    # Requests

    def pass_on(self, turn: Turn, answer: Callable[[], None]) -> None:
        """Answer a request when its model is loaded.

        Raises:
            Refusal: It names no model, or one that is not there, or one that would have to be loaded by hand.
        """
        self._settle()
        if turn.request.path in _OPEN or self._server.find(turn.request.path) is None:
            answer()
            return
        name = self._asked(turn)
        self._check(name)
        model = self._models[str(name)]
        if model.state == "unloaded" and not self._loads_itself:
            raise Refusal("range", "model is not loaded")
        place = (turn, model, answer)
        self._queue.append(place)
        turn.at_end(lambda _: self._queue.remove(place) if place in self._queue else None)
        self._go_on()

    def _asked(self, turn: Turn) -> Any:
        """Return the model that a request names: in its body, in its query, or by the end of its conversation's id."""
        if turn.request.method == "POST":
            data = json_of(turn.request)
            return data.get("model") if isinstance(data, dict) else None
        query = parse_qs(turn.request.query)
        if "model" in query:
            return query["model"][0]
        return query.get("conv_id", [""])[0].partition("::")[2]

    def listed(self, turn: Turn) -> None:
        """Tell all models with their states; `?reload=1` reads the presets again."""
        if "reload=1" in turn.request.query:
            self._read()
        self._settle()
        data = [
            {
                "id": model.name, "aliases": [], "tags": [], "object": "model", "owned_by": "llamacpp",
                "created": int(time()),
                "status": {"value": model.state, "args": ["llama-server", "--alias", model.name]},
            }
            for model in self._models.values()
        ]  # fmt: skip
        deliver(turn, self._server.json({"data": data, "object": "list"}))

    def props(self) -> dict[str, Any]:
        """Return what a router tells of itself."""
        return {
            "role": "router",
            "max_instances": self._most,
            "models_autoload": self._loads_itself,
            "model_alias": "llama-server",
            "model_path": "none",
            "default_generation_settings": {"params": {}, "n_ctx": 0},
            "ui_settings": {},
            "build_info": self._server.choices.fingerprint,
        }

    def _named(self, turn: Turn) -> _Model:
        if not self.are_many:
            raise Refusal("no route", "This server is not a router")
        name = body_of(turn.request, self._server.choices.body).get("model")
        if not isinstance(name, str) or name not in self._models:
            raise Refusal("no route", "model is not found")
        self._settle()
        return self._models[name]

    def load(self, turn: Turn) -> None:
        """Load a model."""
        model = self._named(turn)
        if model.state != "unloaded":
            raise Refusal("range", "model is already loaded")
        if not self._begin(model):
            raise Refusal("range", "model limit reached, and no model is idle")
        deliver(turn, self._server.json({"success": True}))

    def unload(self, turn: Turn) -> None:
        """Unload a model."""
        model = self._named(turn)
        if model.state == "unloaded":
            raise Refusal("range", "model is not running")
        model.state = "unloaded"
        self._go_on()
        deliver(turn, self._server.json({"success": True}))
