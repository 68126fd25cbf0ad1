"""What the public test suites of other servers ask over HTTP, written down as checks of a stand-in.

A scenario has the id that a list of 146 gave it: L from the tests of llama.cpp's server, V from those of vLLM, T from
those of TGI. Stand-ins run in this process, each in a thread of its own, and start when a scenario first asks them.

    PYTHONPATH=tests python -m simulator.public_scenarios [ID...]

prints the table: id, stand-in, what is asked, whether it is played, and what came where it is not.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from time import monotonic, sleep
from typing import Any
from unittest.mock import patch

from InferenceLibrary.simulator.core.app import App
from InferenceLibrary.simulator.core.connection import Connection
from InferenceLibrary.simulator.core.options import parse_options
from InferenceLibrary.simulator.core.sockets import bind
from InferenceLibrary.simulator.core.timers import Timers
from InferenceLibrary.simulator.faults.catalogue import parse_fault
from InferenceLibrary.simulator.faults.quirks import quirks_of
from InferenceLibrary.simulator.personalities.registry import (
    has_choices,
    is_personality,
    make_personality,
    settings_class,
)
from InferenceLibrary.simulator.scenario import load_scenario

BUDGET = 60.0
"""Seconds until what hangs is given up."""


@dataclass
class Reply:
    """One answer."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def chunks(self) -> list[Any]:
        """The data of the events, without [DONE]."""
        data = [line.removeprefix("data:").strip() for line in self.text.splitlines() if line.startswith("data:")]
        return [json.loads(one) for one in data if one != "[DONE]"]

    @property
    def content(self) -> str:
        """The text of the first choice of a chat, whole or streamed."""
        if "event-stream" not in self.headers.get("content-type", ""):
            return str(self.json["choices"][0]["message"]["content"])
        choices = [chunk["choices"][0] for chunk in self.chunks if chunk.get("choices")]
        return "".join(choice["delta"].get("content") or "" for choice in choices)


class StandIn:
    """A simulator in this process."""

    def __init__(self, words: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        with patch.dict(os.environ, environment or {}):
            settings = parse_options([*words, "--port", "0"], os.environ, settings_class)
            self._loop = asyncio.new_event_loop()
            self.app = App(settings, Timers(self._loop), _faults, None)
            self.app.faults = [parse_fault(text) for text in settings.fault]
            if not is_personality(settings.personality) and not has_choices(settings.personality):
                self.app.faults += quirks_of(settings.personality)
            if settings.scenario:
                self.app.scenario = load_scenario(settings.scenario)
            self.app.personality = make_personality(settings.personality, self.app)
        sock = bind("127.0.0.1", 0)
        self.port = sock.getsockname()[1]
        self._listener = self._loop.run_until_complete(
            self._loop.create_server(lambda: Connection(self.app), sock=sock)
        )
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End it, with what is open."""

        def end() -> None:
            self._listener.close()
            for connection in tuple(self.app.connections):
                connection.reset()
            self.app.timers.close()
            self._loop.call_later(0.01, self._loop.stop)

        self._loop.call_soon_threadsafe(end)
        self._thread.join(BUDGET)
        self._loop.close()

    def ask(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Reply:
        """Send one request on a connection of its own."""
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=BUDGET)
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        given = {"content-type": "application/json", **(headers or {})}
        line.request(method, path, data, {name: value for name, value in given.items() if value})
        answer = line.getresponse()
        text = answer.read().decode()
        line.close()
        return Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, text)

    def get(self, path: str, **headers: str) -> Reply:
        return self.ask("GET", path, None, {name.replace("_", "-"): value for name, value in headers.items()})

    def post(self, path: str, body: Any, **headers: str) -> Reply:
        return self.ask("POST", path, body, {name.replace("_", "-"): value for name, value in headers.items()})

    def chat(self, text: str = "What is the best book", **more: Any) -> Reply:
        messages = [{"role": "system", "content": "Book"}, {"role": "user", "content": text}]
        return self.post("/v1/chat/completions", {"messages": messages, "max_tokens": 8, **more})

    def complete(self, prompt: Any = "I believe the meaning of life is", **more: Any) -> Any:
        """Ask llama.cpp's own /completion; return its body, or its chunks."""
        reply = self.post("/completion", {"prompt": prompt, "n_predict": 8, **more})
        assert reply.status == 200, reply.text
        return reply.chunks if more.get("stream") else reply.json

    def leave(self, path: str, body: Any) -> None:
        """Send a request, and go when its answer has begun to be made."""
        before = self.app.ledger.received
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=BUDGET)
        line.request("POST", path, json.dumps(body), {"content-type": "application/json"})
        wait_for(lambda: self.app.ledger.received > before)
        line.close()


def _faults(text: str, path: str) -> Any:
    from InferenceLibrary.simulator.faults.catalogue import header_faults

    return header_faults(text, "openai", path)


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds.

    Raises:
        TimeoutError: It does not within the budget.
    """
    end = monotonic() + BUDGET
    while not condition():
        if monotonic() > end:
            raise TimeoutError("the condition does not come to hold")
        sleep(0.005)


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """Make calls at the same time; return what they give."""
    with ThreadPoolExecutor(len(calls)) as pool:
        return [one.result(BUDGET) for one in [pool.submit(call) for call in calls]]


@dataclass(frozen=True)
class Scenario:
    """One thing that a public suite asks."""

    id: str
    says: str
    server: str
    check: Callable[[StandIn], None]


SCENARIOS: dict[str, Scenario] = {}
NOT_PLAYED: dict[str, str] = {}
"""By the id of a scenario that no stand-in plays what it asks, and why not."""


def played(name: str, says: str, server: str) -> Callable[[Callable[[StandIn], None]], Callable[[StandIn], None]]:
    """Write down a scenario that is played by a stand-in."""

    def keep(check: Callable[[StandIn], None]) -> Callable[[StandIn], None]:
        assert name not in SCENARIOS
        SCENARIOS[name] = Scenario(name, says, server, check)
        return check

    return keep


@dataclass
class StandIns:
    """The stand-ins of scenarios, by name, started when they are first asked for."""

    commands: Mapping[str, tuple[Sequence[str], Mapping[str, str]]]
    running: dict[str, StandIn] = field(default_factory=dict)

    def __getitem__(self, name: str) -> StandIn:
        if name not in self.running:
            words, environment = self.commands[name]
            self.running[name] = StandIn(words, environment)
        return self.running[name]

    def close(self) -> None:
        for one in self.running.values():
            one.close()
        self.running.clear()


def main(names: Sequence[str]) -> None:
    """Print the table of all scenarios, or of those that are named."""
    from simulator.scenario_servers import servers

    with servers() as standing:
        for one in SCENARIOS.values():
            if names and one.id not in names:
                continue
            try:
                one.check(standing[one.server])
                came = "yes"
            except Exception as error:  # noqa: BLE001 - whatever came is told
                came = f"NO: {type(error).__name__}: {str(error)[:300]!r}"
            print(f"{one.id}\t{one.server}\t{one.says}\t{came}", flush=True)
    for name, reason in () if names else NOT_PLAYED.items():
        print(f"{name}\t-\t{reason}\tno")


if __name__ == "__main__":
    # The scenarios register with the module that has a name.
    from simulator.public_scenarios import main as run

    run(sys.argv[1:])
