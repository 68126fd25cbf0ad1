"""A server as the tests see it: an address, a client, and for our own processes their life."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from InferenceLibrary.client.http import Client
from InferenceLibrary.client.limits import Limits
from InferenceLibrary.client.route import UNIX_HOST, Route
from InferenceLibrary.deadline import wait_until
from InferenceLibrary.durations import parse_duration
from InferenceLibrary.errors import ServerError, describe
from InferenceLibrary.processes.listeners import listeners, strangers
from InferenceLibrary.processes.program import Exit, Program
from InferenceLibrary.redaction import Redactor
from InferenceLibrary.servers.checks import Check, Facts, facts_of
from InferenceLibrary.servers.profile import Profile

if TYPE_CHECKING:
    from InferenceLibrary.servers.versions import KnownVersion


def _nothing() -> None:
    """What there is to do when nothing is."""


@dataclass(frozen=True)
class Started:
    """What one start of a server brought about; a restart brings another."""

    program: Program
    base_url: str
    client: Client
    """As it was made for the start."""
    stages: Mapping[str, float]
    """Seconds from the start at which each stage of readiness was reached."""
    on_end: Callable[[], None] = _nothing
    """Called when nothing of it lives any more."""
    on_keep: Callable[[], None] = _nothing
    """Called when it is let go, to live on."""


_UNIX = "unix:"
"""What the address of a server on a Unix socket begins with."""


@dataclass(frozen=True, repr=False)
class StartRequest:
    """What a start was asked for, and another one of its kind is asked for too. It holds secrets."""

    model: str | None = None
    api_key: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    arguments: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None


class Server:
    """Something that answers on a base URL.

    Args:
        name: Name for messages.
        profile: The kind of server.
        base_url: Its address, with or without `/v1`.
        client: Makes the calls.
        started: What its start brought about; None for a server that was not started here.
        keep: Whether it lives on when its owner ends, and after the run.
        checks: Checks of readiness beside those of the profile.
        asked: What its start was asked for.
        gpu_before: Bytes in use on each GPU before it was started; None when nobody looked.
        start_again: Starts it again as it was started, at the given port where that is free.
        likeness: What servers that were started alike have in common; its address by default.
    """

    def __init__(
        self,
        name: str,
        profile: Profile,
        base_url: str,
        client: Client,
        started: Started | None = None,
        *,
        keep: bool = False,
        checks: Sequence[Check] = (),
        asked: StartRequest | None = None,
        gpu_before: Mapping[int, int] | None = None,
        start_again: Callable[[int | None], Started] | None = None,
        likeness: str = "",
    ) -> None:
        self.name = name
        self.profile = profile
        self.base_url = base_url.rstrip("/").removesuffix("/v1")
        self.client = client
        self.keep = keep
        self.checks = (*profile.ready.checks, *checks)
        self.gpu_before = gpu_before
        self.asked = asked
        self._started = started
        self._start_again = start_again
        self._likeness = likeness
        self._log_mark = 0
        self._own_sockets: set[int] = set()
        self._told: set[str] = set()
        self._end_is_known = False
        self._known: tuple[Profile, KnownVersion] | None = None
        client.state = self.state

    @property
    def process(self) -> Program | None:
        """What it runs in; None for a server that was not started here."""
        return self._started.program if self._started else None

    @property
    def stages(self) -> Mapping[str, float]:
        """Seconds from its start at which each stage of readiness was reached."""
        return self._started.stages if self._started else {}

    @property
    def log_mark(self) -> int:
        """Size of its log when the present test began."""
        return self._log_mark

    @property
    def end_is_known(self) -> bool:
        """Whether its end was asked for, or told of; an end by itself is told of once, whatever its exit code."""
        return self._end_is_known

    @property
    def pid(self) -> int | None:
        """Process id, None for a server that we did not start."""
        return self.process.pid if self.process else None

    @property
    def model(self) -> str | None:
        return self.client.model

    @property
    def known(self) -> KnownVersion:
        """What its profile says of it, and the dialect for its version.

        Where the versions of its dialect differ it is asked which one it is, once.
        """
        if self._known is None or self._known[0] is not self.profile:
            from InferenceLibrary.servers.versions import known_of

            self._known = self.profile, known_of(self.client, self.profile)
        return self._known[1]

    @property
    def likeness(self) -> str:
        """What is the same for servers that offer the same: how they were started, or the address."""
        return f"{self._likeness or self.base_url} {self.profile.name} {self.model}"

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
    def facts(self) -> Facts:
        """What checks of readiness are told."""
        return facts_of(self.base_url, self.model, self.pid, self.log_path, self.asked.cwd if self.asked else None)

    def strangers(self) -> list[str]:
        """Return who else listens where this server is asked: who shares its port (SO_REUSEPORT) gets some calls."""
        parts = urlsplit(self.base_url)
        host, port = parts.hostname or "", self.port
        if self.process is None or port is None or host not in {"127.0.0.1", "::1", "localhost"}:
            return []
        sockets = {listener.inode for listener in listeners(port, host)}
        if sockets <= self._own_sockets:
            return []
        # A worker that was born while one looked has a socket of its own, and is not a stranger at the second look.
        found = strangers(port, host, self.process.pids()) and strangers(port, host, self.process.pids())
        if not found:
            self._own_sockets = sockets
        return found

    def untold_strangers(self) -> list[str]:
        """Return those of `strangers` who have not been told before."""
        found = [stranger for stranger in self.strangers() if stranger not in self._told]
        self._told.update(found)
        return found

    def state(self, patience: float = 0.0) -> tuple[str | None, list[str]]:
        """Return what is known after a failure: how the process ended and its last lines; nothing while it runs.

        Args:
            patience: Seconds that its end is waited for; the connections of a dying process close before it is gone.
        """
        return (None, []) if self.process is None else state_of(self.process, patience)

    def begin_test(self) -> None:
        """A test begins: what it writes from now on is of that test."""
        self._log_mark = self.process.log_size() if self.process else 0

    def know_end(self) -> None:
        """Its end was asked for, or has been told of."""
        self._end_is_known = True

    def stop(self, grace: float | None = None) -> bool:
        """End the process; return whether it ended by itself after its stop signal. A remote server is only let go."""
        if self._started is None:
            return True
        program = self._started.program
        if program.running:
            self.know_end()
        try:
            return program.stop(parse_duration(self.profile.stop.grace) if grace is None else grace)
        finally:
            self._ended(self._started)

    def kill(self, *, leave_children: bool = False) -> None:
        """End it and all that it started by KILL, at once.

        Args:
            leave_children: Whether only its own process is killed, as by a crash.

        Raises:
            ServerError: It is not ours, or something of it still runs.
        """
        started = self._own("killed")
        self.know_end()
        try:
            started.program.kill(leave_children=leave_children)
            started.program.settle()
        finally:
            # A program that is restarted whenever it ends runs again.
            if not started.program.running:
                self._ended(started)

    def pause(self) -> None:
        """Stop it and all that it started in their tracks: connections stay open, nothing answers."""
        self._own("paused").program.pause()

    def resume(self) -> None:
        """Let it go on after `pause`."""
        self._own("resumed").program.resume()

    def restart(self) -> None:
        """Stop it and start it again as it was started, at the same address where that is free."""
        if self._start_again is None:
            raise self._not_ours("restarted")
        old = self.port
        self.stop()
        started = self._start_again(old)
        self._started = started
        self.base_url = self.client.base_url = started.base_url
        self._end_is_known, self._log_mark, self._own_sockets = False, 0, set()

    def close(self) -> None:
        """End it, unless it is kept: then it is let go."""
        if self.keep and self._started is not None and self._started.program.running:
            self._started.on_keep()
            self._started.program.let_go()
            return
        self.stop()

    def _ended(self, started: Started) -> None:
        started.program.mask_log(self.client.redact)
        started.on_end()

    def _own(self, what: str) -> Started:
        if self._started is None:
            raise self._not_ours(what)
        program = self._started.program
        if not program.running:
            raise ServerError(
                describe(f"Server '{self.name}' cannot be {what}", got=f"one that ended: {program.how_it_ended()}")
            )
        return self._started

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


def state_of(program: Program, patience: float = 0.0) -> tuple[str | None, list[str]]:
    """Return what is known after a failure: how a program ended and its last lines; nothing while it runs.

    Args:
        program: What the server runs in.
        patience: Seconds that its end is waited for; the connections of a dying process close before it is gone.
    """
    wait_until(lambda: not program.running, patience)
    ended = program.how_it_ended()
    return (None, []) if ended is None else (f"its {program.kind} ended with {ended}", program.log_tail())


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
    route = route or Route()
    if url.startswith(_UNIX):
        route = route._replace(unix_socket=Path(url.removeprefix(_UNIX).removeprefix("//")))
        url = f"http://{UNIX_HOST}"
    more = "query" if "?" in url else "fragment" if "#" in url else ""
    if more or not _is_address(url):
        redact.learn_request(url, {})
        raise ServerError(
            describe(
                f"'{redact(url)}' is not the URL of a server",
                expected="http://host:port, https://host or unix:/path/of/socket",
                got=f"a URL with a {more}" if more else None,
                hint="give it with the path of each call: Send Request    GET    /v1/models?name=value"
                if more == "query"
                else None,
            )
        )
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
