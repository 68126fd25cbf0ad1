"""The process: binds, announces, serves, and ends on a signal after the open answers."""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING, Any, TextIO

from InferenceLibrary.simulator.core.addresses import is_loopback
from InferenceLibrary.simulator.core.eventloop import new_event_loop
from InferenceLibrary.simulator.core.settings import StartError
from InferenceLibrary.simulator.core.sockets import BACKLOG, bind, bind_side_by_side, bind_unix, port_of, url_of
from InferenceLibrary.simulator.core.timers import Timers
from InferenceLibrary.simulator.personalities.registry import REFERENCE, has_choices, is_personality

if TYPE_CHECKING:
    import asyncio

    from InferenceLibrary.simulator.core.app import App
    from InferenceLibrary.simulator.core.settings import Settings
    from InferenceLibrary.simulator.faults.kinds import Fault

_ANSWERED = 0.01
"""Seconds between looks at what is still answered, where the door stays open until then."""


def warn(text: str) -> None:
    """Write one line to stderr."""
    sys.stderr.write(f"inference-simulator: {text}\n")
    sys.stderr.flush()


class Server:
    """One simulator process."""

    def __init__(self, settings: Settings, announcement: str) -> None:
        self.settings = settings
        self._announcement = announcement
        self.exit_code = 0
        self.ignores_signals = False
        self._faults: list[Fault] = []
        self.loop: asyncio.AbstractEventLoop
        self.app: App
        self.apps: list[App] = []
        """One for each rank; the first is `app`."""
        self._others: list[socket.socket] = []
        self.port = 0
        self._listeners: list[Any] = []
        self._listener: Any = None
        self._task: Any = None
        self._signals = 0
        self._truth: TextIO | None = None

    def run(self) -> int:
        """Serve until a signal; return the exit code.

        Raises:
            StartError: The port cannot be bound, or a file cannot be read.
        """
        settings = self.settings
        if settings.fault:
            self._faults = [self._parse_fault(text) for text in settings.fault]
        if not is_personality(settings.personality) and not has_choices(settings.personality):
            from InferenceLibrary.simulator.faults.quirks import quirks_of

            self._faults += quirks_of(settings.personality)
        if "@" in settings.personality:
            from InferenceLibrary.dialects.files import load_dialect

            if notice := load_dialect(settings.personality).notice:
                warn(notice)
        process_faults = self._process_faults()
        if process_faults is not None:
            process_faults.before_start()
        silent = process_faults is not None and process_faults.never_listens
        sock = None if silent else self._bind_all()
        tls = self._tls()
        self.loop = new_event_loop(tls=tls is not None)
        try:
            self._build()
            if process_faults is not None:
                process_faults.attach(self.app, self, sock)
            # Requests are answered from here on, but uvloop drops what is signalled before the loop runs for good.
            _hold_signals(True)
            self._take_signals(die=process_faults is None)
            if sock is not None:
                self._listen(sock, tls)
            if not is_loopback(settings.host):
                warn(f"listens on {settings.host}, which others may reach; there is no protection but --api-key")
            _spare_the_collector()
            self.loop.call_soon(_hold_signals, False)
            self.loop.run_forever()
        finally:
            self._end()
        return self.exit_code

    def dry_run(self) -> int:
        """Make all that a run needs but a port, and end it; return the exit code. No file is left.

        Raises:
            StartError: Something cannot be made, or a file cannot be read.
        """
        self.loop = new_event_loop(tls=self._tls() is not None)
        truth = self.settings.truth_file
        new = truth if truth and not os.path.exists(truth) else ""  # noqa: PTH110
        try:
            self._build()
        finally:
            self._end()
            if new and os.path.isfile(new):  # noqa: PTH113 - pathlib is not needed here
                os.remove(new)  # noqa: PTH107
        return 0

    def _end(self) -> None:
        _hold_signals(False)
        for app in self.apps[:1]:
            app.timers.close()
            for model in (app.text_model, app.vector_model):
                if model is not None:
                    model.close()
        self.loop.close()
        if self._truth is not None:
            self._truth.close()

    def _bind_all(self) -> socket.socket:
        """Return the socket of the first rank, and keep those of the others."""
        settings = self.settings
        if settings.ranks == 1:
            sock = self.bind(settings.port)
        else:
            sock, *self._others = bind_side_by_side(settings.host, settings.port, settings.ranks)
        self.port = port_of(sock)
        return sock

    def bind(self, port: int) -> socket.socket:
        """Return a socket that listens on the port.

        Raises:
            StartError: It is in use, or the address is none.
        """
        path = getattr(self.settings, "uds", "")
        return bind_unix(path) if path else bind(self.settings.host, port)

    def _read_faults(self, text: str, path: str) -> list[Fault]:
        """Return the faults that a header asks for; the catalogue is read when the first one is asked for."""
        from InferenceLibrary.simulator.faults.catalogue import header_faults

        name = self.settings.personality
        return header_faults(text, name if is_personality(name) else REFERENCE, path)

    def _process_faults(self) -> Any:
        if not self.settings.fault:
            return None
        from InferenceLibrary.simulator.faults.process import ProcessFaults

        return ProcessFaults(self._faults)

    def _build(self) -> None:
        """Make the server of each rank, on one port after the other."""
        from InferenceLibrary.simulator.core.app import App

        settings = self.settings
        if settings.truth_file:
            try:
                self._truth = open(settings.truth_file, "a", encoding="utf-8")  # noqa: SIM115, PTH123 - open for the run
            except OSError as error:
                raise StartError(f"--truth-file: cannot write '{settings.truth_file}': {error.strerror}") from None
        self.app = App(settings, Timers(self.loop), self._read_faults, self._truth)
        self.app.faults = [fault for fault in self._faults if not fault.kind.of_process]
        self.apps = [self.app]
        if settings.mode == "onnx" or settings.embedding_model:
            self._load_models()
        for rank in range(1, settings.ranks):
            other = App(replace(settings, port=self.port + rank), self.app.timers, self._read_faults, self._truth)
            # Each counts its own.
            other.faults = [fault for fault in map(self._parse_fault, settings.fault) if not fault.kind.of_process]
            self.apps.append(other)
        for app in self.apps:
            self._furnish(app)
        if os.environ.get("INFERENCE_SIMULATOR_NOTES"):
            from InferenceLibrary.simulator.faults.mutation import mutate

            try:
                mutate(self.app, os.environ)
            except ValueError as error:
                raise StartError(f"INFERENCE_SIMULATOR_FAULT: {error}") from None

    def _furnish(self, app: App) -> None:
        """Give a server its scenario and its personality."""
        from InferenceLibrary.simulator.personalities.registry import make_personality

        settings = app.settings
        if settings.scenario:
            from InferenceLibrary.simulator.scenario import load_scenario

            app.scenario = load_scenario(settings.scenario)
        app.personality = make_personality(settings.personality, app)
        if app.scenario is not None:
            from InferenceLibrary.errors import ProfileError

            try:
                app.scenario.check_beside(app.has_route, app.personality.generating)
            except ProfileError as error:
                raise StartError(f"--scenario: {error}") from None

    @staticmethod
    def _parse_fault(text: str) -> Fault:
        from InferenceLibrary.simulator.faults.catalogue import parse_fault

        return parse_fault(text)

    def _load_models(self) -> None:
        from InferenceLibrary.simulator.core.inference import load_text_model, load_vector_model

        self.app.from_thread = self.loop.call_soon_threadsafe
        if self.settings.mode == "onnx":
            self.app.text_model = load_text_model(self.settings)
            warn(f"answers by inference on {self.app.text_model.where}")
        if self.settings.embedding_model:
            self.app.vector_model = load_vector_model(self.settings)

    def _tls(self) -> Any:
        """Return the TLS context, or None for plain HTTP."""
        settings = self.settings
        if not (settings.ssl_certfile or settings.self_signed_certs):
            return None
        from InferenceLibrary.simulator.tls import tls_context

        return tls_context(settings)

    def _listen(self, sock: socket.socket, tls: Any = None) -> None:
        self._serve_on(sock, tls)
        for app, other in zip(self.apps[1:], self._others, strict=True):
            self._listeners.append(self.loop.run_until_complete(self._server_of(app, other, tls)))
        self._tell(sock, tls)

    def _tell(self, sock: socket.socket, tls: Any) -> None:
        """Open the control port, and say where the servers are."""
        socks = (sock, *self._others)
        urls = [url_of(one) if tls is None else url_of(one).replace("http:", "https:", 1) for one in socks]
        lines = [self._announcement.format(url=urls[0])]
        lines += [f"rank {rank} is at {url}" for rank, url in enumerate(urls) if rank]
        if self.settings.control_port is not None:
            from InferenceLibrary.simulator.control import listen_for_control

            control = bind("127.0.0.1", self.settings.control_port)
            self._listeners.append(listen_for_control(self.app, self, self.loop, control))
            lines.insert(0, f"control on {url_of(control)}")
        announce(lines)

    def _serve_on(self, sock: socket.socket, tls: Any) -> None:
        async def serve() -> None:
            self._listener = await self._server_of(self.app, sock, tls)

        if self.loop.is_running():
            self._task = self.loop.create_task(serve())
        else:
            self.loop.run_until_complete(serve())

    async def _server_of(self, app: App, sock: socket.socket, tls: Any) -> Any:
        from InferenceLibrary.simulator.core.connection import Connection

        return await self.loop.create_server(lambda: Connection(app), sock=sock, backlog=BACKLOG, ssl=tls)

    def refuse(self, refuse: bool) -> None:
        """Refuse new connections as if nobody listened, or take them again, on the same port.

        Raises:
            StartError: Somebody else has taken the port.
        """
        if refuse and self._listener is not None:
            self._listener.close()
            self._listener = None
        elif not refuse and self._listener is None:
            self._serve_on(self.bind(self.port), self._tls())

    @property
    def listening(self) -> bool:
        """Whether new connections are taken."""
        return self._listener is not None

    def stop_listening(self) -> None:
        """Accept no more connections."""
        for listener in (*self._listeners, self._listener):
            if listener is not None:
                listener.close()
        self._listeners.clear()
        self._listener = None

    def _take_signals(self, *, die: bool) -> None:
        """Drain at a signal; or end at once as some servers do, where nothing else is asked for."""
        die = die and getattr(self.app.personality, "dies_at_signals", False)
        for number in (signal.SIGTERM, signal.SIGINT):
            if die:
                signal.signal(number, signal.SIG_DFL)
            else:
                self._on_signal(number)

    def _on_signal(self, number: signal.Signals) -> None:
        try:
            self.loop.add_signal_handler(number, self._signalled, number)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda *_: self.loop.call_soon_threadsafe(self._signalled, number))

    def _signalled(self, number: signal.Signals) -> None:
        if self.ignores_signals:
            return
        self._signals += 1
        personality = self.app.personality
        if self._signals > 1:
            self.exit_code = getattr(personality, "exit_code_of_second_signal", 128 + number)
            self.loop.stop()
            return
        for app in self.apps:
            app.draining = True
        self.app.timers.at(monotonic() + self.settings.drain_timeout, self._drained_too_long)
        if getattr(personality, "listens_while_draining", False):
            self._close_when_answered()
        else:
            self._close()

    def _close_when_answered(self) -> None:
        """Take connections as before, until nothing is generated any more."""
        if any(one.current is not None and one.current.counted for app in self.apps for one in app.connections):
            self.app.timers.at(monotonic() + _ANSWERED, self._close_when_answered)
        else:
            self._close()

    def _close(self) -> None:
        self.stop_listening()
        for app in self.apps:
            app.on_idle = self._stop_when_idle
            for connection in tuple(app.connections):
                if connection.current is None:
                    connection.close()
        self._stop_when_idle()

    def _stop_when_idle(self) -> None:
        timers = self.app.timers
        connections = [one for app in self.apps for one in app.connections]
        if any(one.current is not None for one in connections):
            return
        if any(one.unsent() for one in connections if one.transport is not None):
            timers.at(monotonic() + 0.005, self._stop_when_idle)
            return
        # One more turn of the loop, so that closed connections are really closed.
        timers.at(monotonic() + 0.001, self.loop.stop)

    def _drained_too_long(self) -> None:
        open_answers = sum(one.current is not None for app in self.apps for one in app.connections)
        warn(f"stops with {open_answers} answers open after {self.settings.drain_timeout:g} s")
        self.loop.stop()


def _hold_signals(hold: bool) -> None:
    """Let TERM and INT wait at the door, or in."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK if hold else signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT})


def _spare_the_collector() -> None:
    """Leave what lives forever out of the garbage collection, and make it rare: turns free themselves."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def announce(lines: list[str]) -> None:
    """Print lines on stdout at once; a closed stdout is not a reason to fail."""
    try:
        sys.stdout.write("\n".join(lines) + "\n")
        sys.stdout.flush()
    except OSError:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 - for the rest of the run
