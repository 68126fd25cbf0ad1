"""The control API: on a port of its own, on loopback; so that a test can ask what truly happened, and change it."""

from __future__ import annotations

import re
import socket
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from InferenceLibrary.errors import InferenceError
from InferenceLibrary.simulator.answers.openai_requests import read_json, take
from InferenceLibrary.simulator.core.addresses import is_loopback, without_port
from InferenceLibrary.simulator.core.api_errors import ApiError
from InferenceLibrary.simulator.core.app import App
from InferenceLibrary.simulator.core.connection import Connection
from InferenceLibrary.simulator.core.delivery import deliver
from InferenceLibrary.simulator.core.draft import Draft
from InferenceLibrary.simulator.core.options import FIELDS, OptionError, check_together, convert, field_of
from InferenceLibrary.simulator.core.settings import Settings

if TYPE_CHECKING:
    import asyncio

    from InferenceLibrary.simulator.core.turn import Handler, Host, Turn

# One host, not a list of them, as two header lines become; and nobody before an @.
_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s,@:/?#\[\]]+)(:\d*)?")
# What takes effect on the next request.
CHANGEABLE = (
    "time-to-first-token",
    "time-to-first-token-std-dev",
    "inter-token-latency",
    "inter-token-latency-std-dev",
    "kv-cache-transfer-latency",
    "kv-cache-transfer-latency-std-dev",
    "kv-cache-transfer-time-per-token",
    "kv-cache-transfer-time-std-dev",
    "prefill-overhead",
    "prefill-time-per-token",
    "prefill-time-std-dev",
    "time-factor-under-load",
    "latency-calculator",
    "mode",
    "max-model-len",
    "max-num-seqs",
    "max-waiting-queue-length",
    "failure-injection-rate",
    "failure-types",
    "one-write-per-token",
    "enable-request-id-headers",
)


CONTROL_ROUTES = {
    "/health": {"GET": "health"},
    "/config": {"GET": "config", "PATCH": "change_config"},
    "/stats": {"GET": "stats"},
    "/stats/reset": {"POST": "reset_stats"},
    "/faults": {"GET": "list_faults", "POST": "add_faults", "DELETE": "clear_faults"},
    "/requests": {"GET": "requests", "DELETE": "clear_requests"},
    "/scenario": {"GET": "scenario", "PUT": "load_scenario", "DELETE": "clear_scenario"},
    "/reset": {"POST": "reset"},
    "/listening": {"GET": "listening", "PUT": "set_listening"},
}
"""The API: the methods of each path, and who handles them."""


class Control:
    """Routes of the control port. Errors have one key, `error`, with a text, as vllm-vcr has them."""

    generating: frozenset[str] = frozenset()
    open_paths: frozenset[str] = frozenset()

    def __init__(self, app: App, host: Host) -> None:
        self._app = app
        self._host = host
        self.routes: dict[str, dict[str, Handler]] = {
            path: {method: from_here(getattr(self, name)) for method, name in methods.items()}
            for path, methods in CONTROL_ROUTES.items()
        }

    def error(self, error: ApiError, _path: str = "") -> Draft:
        return Draft(error.status, body={"error": error.message})

    def before(self, _turn: Turn) -> bool:
        return False

    def health(self, turn: Turn) -> None:
        deliver(turn, Draft(body={"status": "ok"}))

    def config(self, turn: Turn) -> None:
        settings = self._app.settings
        values = {name: _writable(name, getattr(settings, field_of(name))) for name in CHANGEABLE}
        deliver(turn, Draft(body={"model": settings.model, "as": settings.personality, **values}))

    def change_config(self, turn: Turn) -> None:
        changes = read_json(turn.request, any_type=True)
        checked = {}
        for name, value in changes.items():
            flag = name.replace("_", "-")
            if flag not in CHANGEABLE:
                raise ApiError(422, f"'{name}' cannot be changed while the server runs; {', '.join(CHANGEABLE)} can")
            if flag == "mode" and "onnx" in (value, self._app.settings.mode) and value != self._app.settings.mode:
                raise ApiError(422, "mode onnx cannot be entered or left while the server runs")
            try:
                checked[field_of(flag)] = convert(flag, value, legacy=False, where=name)
            except OptionError as error:
                raise ApiError(400, str(error)) from None
        try:
            check_together(replace(self._app.settings, **checked))
        except OptionError as error:
            raise ApiError(400, str(error)) from None
        for field, value in checked.items():
            setattr(self._app.settings, field, value)
        self.config(turn)

    def stats(self, turn: Turn) -> None:
        app = self._app
        faults = [{"fault": fault.text, "matched": fault.matched, "struck": fault.struck} for fault in app.faults]
        body = {**app.ledger.counters(), "running": app.running, "waiting": len(app.waiting), "faults": faults}
        if app.text_model is not None:
            body["inference"] = app.text_model.stats()
        deliver(turn, Draft(body={**body, "open_connections": len(app.connections)}))

    def reset_stats(self, turn: Turn) -> None:
        self._app.ledger.clear()
        deliver(turn, Draft(204))

    def list_faults(self, turn: Turn) -> None:
        deliver(turn, Draft(body={"faults": [fault.text for fault in self._app.faults]}))

    def add_faults(self, turn: Turn) -> None:
        from InferenceLibrary.simulator.faults.catalogue import parse_fault

        asked = take(read_json(turn.request, any_type=True), "fault", (str, list))
        try:
            faults = [parse_fault(str(text)) for text in ([asked] if isinstance(asked, str) else asked)]
        except ValueError as error:
            raise ApiError(400, str(error)) from None
        of_process = next((item.kind.name for item in faults if item.kind.of_process and not item.kind.on_answer), None)
        if of_process:
            raise ApiError(422, f"'{of_process}' is a fault of the process: give it on the command line")
        for fault in faults:
            fault.count = self._app.new_count()
        self._app.faults = [*self._app.faults, *faults]
        self.list_faults(turn)

    def clear_faults(self, turn: Turn) -> None:
        self._app.faults = []
        self._app.stuck = False
        self._app.frozen_metrics = None
        deliver(turn, Draft(204))

    def requests(self, turn: Turn) -> None:
        ledger = self._app.ledger
        limit = parse_qs(turn.request.query).get("limit", ["100"])[0]
        if not limit.isdecimal():
            raise ApiError(400, f"'limit' must be a whole number, got '{limit}'")
        found = [ledger.describe(item) for item in ledger.recent][-int(limit) :] if int(limit) else []
        current = [item.current for item in self._app.connections if item.current is not None]
        open_now = [ledger.describe(item) for item in current]
        deliver(turn, Draft(body={"requests": found, "in_flight": open_now}))

    def clear_requests(self, turn: Turn) -> None:
        self._app.ledger.recent.clear()
        deliver(turn, Draft(204))

    def scenario(self, turn: Turn) -> None:
        scenario = self._app.scenario
        deliver(turn, Draft(body={"scenario": scenario.name if scenario is not None else None}))

    def load_scenario(self, turn: Turn) -> None:
        """Take a scenario: YAML as the body, or a JSON object with the `name` of a shipped one."""
        from InferenceLibrary.simulator.scenario import load_scenario, parse_scenario

        text = turn.request.body.decode("utf-8", "replace")
        try:
            if "json" in turn.request.headers.get("content-type", ""):
                name: Any = take(read_json(turn.request, any_type=True), "name", (str,))
                scenario = load_scenario(name)
            else:
                scenario = parse_scenario(text, "the request's body")
            scenario.check_beside(self._app.has_route, self._app.personality.generating)
        except InferenceError as error:
            raise ApiError(400, str(error)) from None
        self._app.scenario = scenario
        self.scenario(turn)

    def clear_scenario(self, turn: Turn) -> None:
        self._app.scenario = None
        deliver(turn, Draft(204))

    def reset(self, turn: Turn) -> None:
        """Forget faults, scenario, counters and recorded requests."""
        self._app.faults = []
        self._app.stuck = False
        self._app.frozen_metrics = None
        self._app.scenario = None
        self._app.ledger.clear()
        deliver(turn, Draft(204))

    def listening(self, turn: Turn) -> None:
        deliver(turn, Draft(body={"listening": self._host.listening}))

    def set_listening(self, turn: Turn) -> None:
        """Refuse new connections, as a server does that is down, or take them again."""
        from InferenceLibrary.simulator.core.settings import StartError

        wanted = take(read_json(turn.request, any_type=True), "listening", (bool,))
        try:
            self._host.refuse(not wanted)
        except StartError as error:
            raise ApiError(409, str(error)) from None
        deliver(turn, Draft(body={"listening": wanted}))


def from_here(handler: Handler) -> Handler:
    """Let only programs of this machine call: a page in a browser could send its requests here too."""

    def guarded(turn: Turn) -> None:
        headers = turn.request.headers
        # A page of another site says where it comes from; a name that somebody points here is not one of this machine.
        given = [("Host", headers.get("host")), ("Origin", headers.get("origin"))]
        # A target with a host takes the place of the Host header (RFC 9112, 3.2.2).
        given.append(("the host of the target", turn.request.authority))
        for name, text in given:
            if text is not None and not _is_of_this_machine(text.partition("://")[2] if name == "Origin" else text):
                raise ApiError(403, f"The control API is for this machine alone, and '{name}: {text}' is not it")
        handler(turn)

    return guarded


def _is_of_this_machine(authority: str) -> bool:
    """Whether an authority is a single host of this machine, with a port or without."""
    return _AUTHORITY.fullmatch(authority) is not None and is_loopback(without_port(authority))


def _writable(name: str, value: Any) -> Any:
    """Return a setting as it can be given again: durations with their unit."""
    return f"{value * 1000:.12g}ms" if FIELDS[name].metadata["kind"] == "duration" else value


def listen_for_control(app: App, host: Host, loop: asyncio.AbstractEventLoop, sock: socket.socket) -> Any:
    """Serve the control API of a server on a bound socket; return the listener."""
    own = App(Settings(record_requests=0), app.timers, lambda _text, _path: [])
    own.personality = Control(app, host)
    return loop.run_until_complete(loop.create_server(lambda: Connection(own), sock=sock))
