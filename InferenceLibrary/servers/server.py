"""A server as the tests see it: an address, a client, and for our own processes their life."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from InferenceLibrary.client.http import Client
from InferenceLibrary.client.limits import Limits
from InferenceLibrary.client.route import Route
from InferenceLibrary.deadline import wait_until
from InferenceLibrary.durations import parse_duration
from InferenceLibrary.errors import ServerError, describe
from InferenceLibrary.processes.ports import Reservation
from InferenceLibrary.processes.process import Exit, Left, ServerProcess
from InferenceLibrary.processes.program import Program
from InferenceLibrary.redaction import Redactor
from InferenceLibrary.servers.profile import Profile


class Server:
    """Something that answers on a base URL."""

    def __init__(
        self, name: str, profile: Profile, base_url: str, client: Client, process: Program | None = None
    ) -> None:
        self.name = name
        self.profile = profile
        self.base_url = base_url.rstrip("/").removesuffix("/v1")
        self.client = client
        self.process = process
        self.stages: dict[str, float] = {}
        """Seconds from the start at which each stage of readiness was reached."""
        self.keep = False
        """Whether it lives on when its owner ends, and after the run."""
        self.log_mark = 0
        """Size of its log when the present test began."""
        self.end_was_wanted = False
        """Whether its end was asked for; an end by itself is told of, whatever its exit code."""
        self.gpu_before: dict[int, int] | None = None
        """Bytes in use on each GPU before it was started; None when nobody looked."""
        self.restarter: Callable[[], None] | None = None
        """Starts it again in place; set by whoever started it."""
        self.reservation: Reservation | None = None
        self.on_end: Callable[[], None] = lambda: None
        """Called when nothing of it lives any more."""
        self.on_keep: Callable[[], None] = lambda: None
        """Called when it is let go, to live on."""

    @property
    def pid(self) -> int | None:
        """Process id, None for a server that we did not start."""
        return self.process.pid if self.process else None

    @property
    def model(self) -> str | None:
        return self.client.model

    @property
    def log_path(self) -> Path | None:
        return self.process.log_path if self.process else None

    @property
    def port(self) -> int | None:
        return urlsplit(self.base_url).port

    @property
    def exit(self) -> Exit | None:
        """How its process truly ended: code, core dump, peak memory, processor time; None while it runs."""
        return None if self.process is None or self.process.running else self.process.exit

    @property
    def left(self) -> tuple[Left, ...]:
        """What its process had started and did not take along when it ended; it has been ended since."""
        return self.process.left if isinstance(self.process, ServerProcess) else ()

    def state(self, patience: float = 0.0) -> tuple[str | None, list[str]]:
        """Return what is known after a failure: how the process ended and its last lines; nothing while it runs.

        Args:
            patience: Seconds that its end is waited for; the connections of a dying process close before it is gone.
        """
        if self.process is None:
            return None, []
        wait_until(lambda: self.process is None or not self.process.running, patience)
        ended = self.process.how_it_ended()
        if ended is None:
            return None, []
        return f"its {self.process.kind} ended with {ended}", self.process.log_tail()

    def stop(self, grace: float | None = None) -> bool:
        """End the process; return whether it ended by itself after TERM. A remote server is only let go."""
        self.client.close()
        if self.process is None:
            return True
        self.end_was_wanted = self.end_was_wanted or self.process.running
        patience = parse_duration(self.profile.stop.grace) if grace is None else grace
        try:
            if isinstance(self.process, ServerProcess):
                how = self.profile.stop
                number = signal.Signals[f"SIG{how.signal}"]
                return self.process.stop(patience, number=number, whole_group=how.to == "group")
            return self.process.stop(patience)
        finally:
            self._ended()

    def kill(self) -> None:
        """End it and all that it started by KILL, at once.

        Raises:
            ServerError: It is not ours, or something of it still runs.
        """
        program = self._own("killed", "kill")
        self.end_was_wanted = True
        self.client.close()
        try:
            program.kill()
        finally:
            self._ended()

    def pause(self) -> None:
        """Stop it and all that it started in their tracks: connections stay open, nothing answers."""
        self._own("paused", "pause").pause()

    def resume(self) -> None:
        """Let it go on after `pause`."""
        self._own("resumed", "resume").resume()

    def restart(self) -> None:
        """Start it again as it was started, at the same address where that is free."""
        if self.restarter is None:
            raise self._not_ours("restarted")
        self.restarter()

    def close(self) -> None:
        """End it, unless it is kept: then it is let go."""
        let_go = getattr(self.process, "let_go", None)
        if self.keep and self.process is not None and self.process.running and let_go is not None:
            self.client.close()
            self.on_keep()
            let_go()
            return
        self.stop()

    def _ended(self) -> None:
        assert self.process is not None
        self.process.mask_log(self.client.redact)
        if self.reservation is not None:
            self.reservation.release()
        self.on_end()

    def _own(self, what: str, action: str) -> Any:
        if self.process is None or not hasattr(self.process, action):
            raise self._not_ours(what)
        if not self.process.running:
            raise ServerError(
                describe(f"Server '{self.name}' cannot be {what}", got=f"one that ended: {self.process.how_it_ended()}")
            )
        return self.process

    def _not_ours(self, what: str) -> ServerError:
        kind = self.process.kind if self.process else "remote server"
        return ServerError(
            describe(
                f"Server '{self.name}' cannot be {what}",
                expected="a process that the library started",
                got=f"a {kind}",
            )
        )

    def __str__(self) -> str:
        return f"{self.name} at {self.base_url}" + (f" (pid {self.pid})" if self.pid else "")

    __repr__ = __str__


def connect(
    url: str,
    profile: Profile,
    *,
    name: str,
    model: str | None,
    api_key: str | None,
    limits: Limits,
    redact: Redactor,
    route: Route | None = None,
) -> Server:
    """Return a server that already runs elsewhere.

    Raises:
        ServerError: The URL is none, or the way to it cannot be gone.
    """
    if not _is_address(url):
        raise ServerError(describe(f"'{url}' is no URL of a server", expected="http://host:port or https://host"))
    route = route or Route()
    if route != Route():
        route.check(url)
    client = Client(
        url, name=name, model=model or profile.model, api_key=api_key, limits=limits, redact=redact, route=route
    )
    return Server(name, profile, url, client)


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    host = parts.hostname or ""
    # Longer labels and empty ones cannot be looked up.
    labels = all(0 < len(label) < 64 for label in host.removesuffix(".").split("."))
    return parts.scheme in {"http", "https"} and labels and not re.search(r"\s", url) and port != 0
