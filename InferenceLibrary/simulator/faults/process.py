"""Faults of the process: it ends, is never ready, or does not listen to signals."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterable
from time import monotonic
from typing import TYPE_CHECKING, Any

from InferenceLibrary.simulator.core.draft import Frame
from InferenceLibrary.simulator.faults.kinds import Fault, Parameter, Values, ask, define
from InferenceLibrary.simulator.faults.requests import status

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.app import App
    from InferenceLibrary.simulator.core.timers import Timers
    from InferenceLibrary.simulator.core.turn import Host, Turn

exit_at_start = define(
    "exit-at-start",
    "ends with a message on stderr before it listens",
    of_process=True,
    code=Parameter("int", 1, "exit code"),
    message=Parameter("text", "error: the model could not be loaded", "what it says"),
)
never_listen = define("never-listen", "runs, and never opens its port", of_process=True)
never_ready = define("never-ready", "answers 503 on every health path", of_process=True)
ignore_term = define("ignore-term", "does nothing on TERM and INT", of_process=True)
crash_after = define(
    "crash-after",
    "ends in the middle of a request, by exit code or signal",
    of_process=True,
    requests=Parameter("int", 1, "which generating request it does not survive"),
    code=Parameter("int", 1, "exit code"),
    signal=Parameter("text", "", "signal instead: KILL, SEGV, ABRT"),
    events=Parameter("int", 0, "tokens that are sent before"),
    message=Parameter("text", "", "what it says on stderr before"),
)
out_of_memory = define(
    "out-of-memory",
    "logs that the GPU has no memory left, and ends, in the middle of a request",
    of_process=True,
    requests=Parameter("int", 1, "which generating request it does not survive; 0: at the start"),
    code=Parameter("int", 1, "exit code; 137 as after the kernel's OOM killer"),
)
log_flood = define(
    "log-flood",
    "writes log lines to stderr without end",
    of_process=True,
    bytes=Parameter("int", 10_000_000, "bytes a second"),
)
forked_child = define(
    "forked-child",
    "leaves a child behind, in a session of its own, that keeps the port open after the server ended",
    of_process=True,
    seconds=Parameter("duration", 60.0, "how long the child lives"),
)

_OUT_OF_MEMORY = (
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 23.64 GiB "
    "of which 1.12 GiB is free."
)
_FLOOD_LINE = b"INFO engine.py:241 running=1 waiting=0 gpu_cache_usage=0.42 prompt_throughput=0.0 tokens/s\n"


class ProcessFaults:
    """The process faults of one server."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self._faults = {fault.kind.name: fault for fault in faults if fault.kind.of_process}
        self.never_listens = "never-listen" in self._faults

    def before_start(self) -> None:
        """Do what happens before the port is bound."""
        if "exit-at-start" in self._faults:
            values = self._faults["exit-at-start"].values
            sys.stderr.write(f"{values['message']}\n")
            sys.stderr.flush()
            raise SystemExit(values["code"])
        memory = self._faults.get("out-of-memory")
        if memory is not None and not memory.values["requests"]:
            sys.stderr.write(f"{_OUT_OF_MEMORY}\n")
            sys.stderr.flush()
            raise SystemExit(memory.values["code"])

    def attach(self, app: App, host: Host, sock: Any) -> None:
        """Hook into the server, which is about to listen on the socket, if it does."""
        if "forked-child" in self._faults and not hasattr(os, "fork"):
            from InferenceLibrary.simulator.core.settings import StartError

            raise StartError("--fault: forked-child needs a system that can fork, which Windows cannot")
        if "forked-child" in self._faults and sock is not None:
            _leave_child(sock, self._faults["forked-child"].values["seconds"])
        if "log-flood" in self._faults:
            _Flood(app.timers, self._faults["log-flood"].values["bytes"])
        memory = self._faults.get("out-of-memory")
        if memory is not None:
            values = {"signal": "", "events": 0, "message": _OUT_OF_MEMORY, **memory.values}
            _Crash(Fault(crash_after, values, memory.text), app)
        if "never-ready" in self._faults:
            for path in app.personality.open_paths - {"/metrics"}:
                message = "The server is not ready"
                app.faults.append(ask(status, "never-ready", code=503, message=message, path=path))
        if "ignore-term" in self._faults:
            host.ignores_signals = True
        if "crash-after" in self._faults:
            _Crash(self._faults["crash-after"], app)


def _leave_child(sock: Any, seconds: float) -> None:
    """Fork twice, so that the child has no parent that could end it."""
    if os.fork():
        os.wait()
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    sock.set_inheritable(True)
    # A program of its own, that just holds the socket: the server's loop must not run twice.
    code = f"import time; time.sleep({seconds})"
    os.execv(sys.executable, [sys.executable, "-c", code])


class _Flood:
    """Writes to stderr in small portions, so that the server goes on."""

    _PERIOD = 0.01

    def __init__(self, timers: Timers, rate: int) -> None:
        self._timers = timers
        self._data = _FLOOD_LINE * max(1, int(rate * self._PERIOD) // len(_FLOOD_LINE))
        # Not before the server listens: who does not read stderr sees it start, and then stop at the full pipe.
        self._timers.at(monotonic() + 0.05, self._next)

    def _next(self) -> None:
        try:
            os.write(2, self._data)
        except OSError:
            return
        self._timers.at(monotonic() + self._PERIOD, self._next)


def _end(values: Values) -> None:
    """End this process at once, as the fault says."""
    if values["message"]:
        sys.stderr.write(f"{values['message']}\n")
        sys.stderr.flush()
    if values["signal"]:
        os.kill(os.getpid(), _signal(values["signal"]))
    os._exit(values["code"])


def _signal(name: str) -> int:
    # Windows has no SIGKILL; there SIGTERM ends a process at once.
    last = getattr(signal, "SIGKILL", signal.SIGTERM)
    return getattr(signal, f"SIG{name.upper().removeprefix('SIG')}", last)


@crash_after.answer
def crash_after_answer(_turn: Turn, values: Values) -> bool:
    # Asked for by a header or the control API: now.
    if not values["events"]:
        _end(values)
    return False


@crash_after.frames
def crash_after_frames(frames: list[Frame], values: Values, _turn: Turn) -> list[Frame]:
    def end(_: Turn) -> bool:
        _end(values)
        return True

    return [*frames[: values["events"] + 1], Frame(end)]


@out_of_memory.answer
def out_of_memory_answer(_turn: Turn, values: Values) -> bool:
    _end({"signal": "", "message": _OUT_OF_MEMORY, **values})
    return True


class _Crash:
    """Counts requests, and gives the one that is not survived the fault."""

    def __init__(self, fault: Fault, app: App) -> None:
        self._fault = fault
        self._seen = 0
        app.on_generating.append(self.count)

    def count(self, turn: Turn) -> None:
        """A generating request begins."""
        self._seen += 1
        if self._seen >= self._fault.values["requests"]:
            if not self._fault.values["events"]:
                _end(self._fault.values)
            turn.faults.append(Fault(crash_after, self._fault.values, self._fault.text))
