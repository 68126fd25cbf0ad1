"""Routes that only mistral.rs has, the states of its model, and its metrics."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from InferenceLibrary.simulator.core.delivery import deliver
from InferenceLibrary.simulator.core.draft import Draft
from InferenceLibrary.simulator.personalities.likeness.mistralrs_access_log import AccessLog
from InferenceLibrary.simulator.personalities.likeness.mistralrs_metrics import Metrics
from InferenceLibrary.simulator.personalities.likeness.reading import place_in
from InferenceLibrary.simulator.personalities.likeness.refusals import Refusal
from InferenceLibrary.simulator.personalities.likeness.templates import ABSENT
from InferenceLibrary.simulator.personalities.likeness.wording import in_serde

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.turn import Handler, Turn
    from InferenceLibrary.simulator.personalities.likeness.personality import Likeness

_PLAIN = "text/plain; charset=utf-8"
_MOST_BYTES = 50 * 1024 * 1024
_QUANTIZATIONS = [
    "2",
    "3",
    "4",
    "5",
    "6",
    "8",
    "Q4_0",
    "Q4_1",
    "Q5_0",
    "Q5_1",
    "Q8_0",
    "Q8_1",
    "Q2K",
    "Q3K",
    "Q4K",
    "Q5K",
    "Q6K",
    "Q8K",
    "HQQ8",
    "HQQ4",
    "FP8",
    "AFQ8",
    "AFQ6",
    "AFQ4",
    "AFQ3",
    "AFQ2",
    "F8Q8",
    "MXFP4",
]


class _Native:
    def __init__(self, server: Likeness) -> None:
        self._server = server
        self._name = server.app.settings.names[0]
        self._loaded = True
        self._poisoned = False
        """Whether the lock of the engines is lost, as it is once the only model was unloaded."""
        self._reloading: list[str] = []
        """Models that a wrong `reload` has left in this state."""
        self.metrics = Metrics(server)
        server.on_model = self._asked
        server.app.max_body_bytes = _MOST_BYTES
        server.dies_at_signals = True
        interval = os.environ.get("KEEP_ALIVE_INTERVAL", "")
        server.generator.comment_after = int(interval) / 1000 if interval.isdecimal() and int(interval) else 10.0
        if not server.flags["disable-access-log"]:
            AccessLog(server)

    def _tell(self, turn: Turn, body: Any) -> None:
        deliver(turn, self._server.json(body))

    def alive(self, turn: Turn) -> None:
        deliver(turn, Draft(content_type=_PLAIN, body=b"OK"))

    def _asked(self, name: Any) -> None:
        """Refuse a model that cannot be had any more; load it again if it was unloaded."""
        if name != self._name:
            if self._poisoned and name in {None, "", self._server.choices.default_model}:
                raise Refusal("poisoned", "The lock is poisoned")
            if name in self._reloading and name != self._server.choices.default_model:
                raise Refusal("not found", "It is not there to be reloaded", value=name)
            return
        if self._loaded:
            return
        if name in self._reloading:
            raise Refusal("being reloaded", "It is being reloaded", value=name)
        self._loaded = True
        self._server.serial = 0

    def _status_of(self, name: str) -> str:
        return (
            "loaded" if self._loaded and name == self._name else "reloading" if name in self._reloading else "unloaded"
        )

    def listed_models(self, turn: Turn) -> None:
        server = self._server
        shown = [("default", ABSENT), *((name, "reloading") for name in self._reloading)]
        # While its load is under way for good, a model is there twice.
        shown += (
            [(self._name, self._status_of(self._name))] if self._loaded or self._name not in self._reloading else []
        )
        data = [
            server.part(
                "models", "item", server.names(turn, model=name, root=name, status=status, created=server.started)
            )
            for name, status in shown
        ]
        self._tell(turn, {"object": "list", "data": data})

    def _text(self, turn: Turn, *names: str) -> str:
        """Return the last of some texts of the body, which all must be there."""
        data = self._server.sent(turn)
        for name in names:
            at = place_in(turn.request.body, name)
            if name not in data:
                raise Refusal("missing", f"'{name}' is missing", field=name, at=place_in(turn.request.body, ""))
            if not isinstance(data[name], str):
                found = in_serde(data[name])
                raise Refusal("type", f"'{name}' is not a text", field=name, found=found, expected="a string", at=at)
        return str(data[names[-1]])

    def _answer_status(self, turn: Turn, name: str, status: str) -> None:
        self._tell(turn, {"model_id": name, "status": status})

    def model_status(self, turn: Turn) -> None:
        name = self._text(turn, "model_id")
        known = name == self._name or name in self._reloading
        self._answer_status(turn, name, self._status_of(name) if known else "not_found")

    def unload(self, turn: Turn) -> None:
        name = self._text(turn, "model_id")
        if name != self._name:
            self._answer_status(turn, name, "not_found")
            return
        self._loaded = False
        self._poisoned = True
        self._answer_status(turn, name, "unloaded")

    def reload(self, turn: Turn) -> None:
        name = self._text(turn, "model_id")
        if name == self._name and not self._loaded and name not in self._reloading:
            self._loaded = True
            self._server.serial = 0
            self._answer_status(turn, name, "loaded")
            return
        if name in self._reloading and name != self._name:
            self._answer_status(turn, name, "reloading")
            return
        if name not in self._reloading:
            self._reloading.append(name)
        self._answer_status(turn, name, "not_found")

    def lora_adapters(self, turn: Turn) -> None:
        if self._poisoned:
            raise Refusal("poisoned adapters", "The lock is poisoned")
        self._tell(turn, {"object": "list", "data": []})

    def session(self, _turn: Turn) -> None:
        raise Refusal("poisoned session" if self._poisoned else "no session", "There is no such session")

    def calibration(self, turn: Turn) -> None:
        if self._poisoned:
            self._panic(turn)
        else:
            self._tell(turn, {"active": False})

    def _panic(self, turn: Turn) -> None:
        """Close the connection without an answer."""
        turn.broken()
        turn.connection.close()

    def re_isq(self, turn: Turn) -> None:
        kind = self._text(turn, "ggml_type")
        if kind.upper() not in _QUANTIZATIONS:
            known = ", ".join(f"`{one}`" for one in _QUANTIZATIONS)
            text = f"ISQ type {kind} unknown, choose one of {known}."
            deliver(turn, Draft(content_type=_PLAIN, body=text.encode()))
        elif self._poisoned:
            self._panic(turn)
        else:
            deliver(turn, Draft(content_type=_PLAIN, body=b"OK"))

    def cancelled(self, turn: Turn) -> None:
        wanted = turn.request.path.split("/")[-2]
        raise Refusal("not cancelled", "There is no such response", value=wanted)

    def images(self, turn: Turn) -> None:
        self._text(turn, "prompt")
        raise Refusal("poisoned images" if self._poisoned else "wrong category", "The model makes no images")

    def speech(self, turn: Turn) -> None:
        self._text(turn, "input", "response_format")
        raise Refusal("wrong category", "The model makes no speech")

    def openapi(self, turn: Turn) -> None:
        paths: dict[str, Any] = {
            path: {method.lower(): {} for method in one} for path, one in self._server.table.items()
        }
        info = {"title": "Mistral.rs", "version": self._server.version}
        self._tell(turn, {"openapi": "3.1.0", "info": info, "paths": paths})


def words(server: Likeness) -> dict[str, Handler]:
    """Return what the routes of a dialect may say that they do."""
    native = _Native(server)
    names = ("alive", "listed_models", "model_status", "unload", "reload", "lora_adapters", "session", "calibration",
             "re_isq", "cancelled", "images", "speech", "openapi")  # fmt: skip
    return {**{name: getattr(native, name) for name in names}, "told_metrics": native.metrics.told}
