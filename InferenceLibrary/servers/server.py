"""A server as the tests see it: an address, a client, and for our own processes their life."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from InferenceLibrary.client.http import Client
from InferenceLibrary.client.limits import Limits
from InferenceLibrary.deadline import Deadline, wait_until
from InferenceLibrary.durations import parse_duration
from InferenceLibrary.errors import ServerError, describe
from InferenceLibrary.redaction import Redactor
from InferenceLibrary.servers import readiness
from InferenceLibrary.servers.command import build_command
from InferenceLibrary.servers.ports import LOOPBACK, free_port, is_free
from InferenceLibrary.servers.process import ServerProcess
from InferenceLibrary.servers.profile import Profile
from InferenceLibrary.servers.program import Program

_PORT_TRIES = 5
_ADDRESS_IN_USE = re.compile(r"address (is )?already in use|EADDRINUSE|errno 98|bind.*failed", re.IGNORECASE)


@dataclass
class StartSettings:
    """What one start is asked to do, beyond the profile."""

    port: int | None = None
    model: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    arguments: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    api_key: str | None = field(default=None, repr=False)
    limits: Limits = field(default_factory=Limits)
    timeout: float | None = None
    """Seconds for the whole start; the profile's by default."""
    first_token: str | None = None
    """In place of the profile's `ready.first_token`."""
    also_allowed: Sequence[str] = ()
    """Names that the caller takes beside the options, for the error about an unknown one."""


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
        try:
            return self.process.stop(parse_duration(self.profile.stop.grace) if grace is None else grace)
        finally:
            self.process.mask_log(self.client.redact)

    def close(self) -> None:
        self.stop()

    def __str__(self) -> str:
        return f"{self.name} at {self.base_url}" + (f" (pid {self.pid})" if self.pid else "")

    __repr__ = __str__


def connect(
    url: str, profile: Profile, *, name: str, model: str | None, api_key: str | None, limits: Limits, redact: Redactor
) -> Server:
    """Return a server that already runs elsewhere.

    Raises:
        ServerError: The URL is none.
    """
    if not _is_address(url):
        raise ServerError(describe(f"'{url}' is no URL of a server", expected="http://host:port or https://host"))
    client = Client(url, name=name, model=model or profile.model, api_key=api_key, limits=limits, redact=redact)
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


def start(
    profile: Profile,
    settings: StartSettings,
    *,
    name: str,
    new_log: Callable[[], Path],
    redact: Redactor,
    report: Callable[[str], None] = lambda line: None,
) -> Server:
    """Start a process by its profile and wait until it is ready. After a failure or interruption nothing is left.

    Args:
        profile: The kind of server.
        settings: What this start asks for.
        name: Name for messages.
        new_log: Gives a new path for the log file.
        redact: Masks secrets.
        report: Takes lines about the start: the command line.

    Raises:
        ProfileError: An option is unknown or wrong.
        ServerError: The program cannot be started, ended early, or was not ready in time.
    """
    if profile.start is None:
        raise ServerError(
            describe(
                f"Profile '{profile.name}' cannot be started: it has no 'start' section",
                hint="Connect To Server with its URL.",
            )
        )
    if settings.port is not None and not 0 <= settings.port < 65536:
        raise ServerError(
            describe(f"Server '{name}' cannot be started", expected="a port from 0 to 65535", got=str(settings.port))
        )
    if settings.port and not is_free(settings.port):
        raise ServerError(
            describe(
                f"Server '{name}' cannot be started on port {settings.port}: address already in use",
                hint="stop what listens there, or leave the port to the library.",
            )
        )
    for attempt in itertools.count(1):
        announced = profile.start.announcement is not None
        port = settings.port or (0 if announced else free_port())
        try:
            return _start_once(profile, settings, port, name=name, log=new_log(), redact=redact, report=report)
        except PortTaken as error:
            if settings.port or attempt >= _PORT_TRIES:
                raise ServerError(str(error)) from None
    raise AssertionError("unreachable")


class PortTaken(ServerError):
    """The process ended because somebody else was faster on its port."""


def _start_once(
    profile: Profile,
    settings: StartSettings,
    port: int,
    *,
    name: str,
    log: Path,
    redact: Redactor,
    report: Callable[[str], None],
) -> Server:
    assert profile.start is not None
    model = settings.model or profile.model
    argv = build_command(
        profile.start.command,
        profile.start.options,
        settings.options,
        source=profile.name,
        placeholders={"port": str(port), "host": LOOPBACK, "model": model or ""},
        arguments=settings.arguments,
        also_allowed=settings.also_allowed,
    )
    if settings.api_key:
        redact.add(settings.api_key)
    report(f"Starting {name}: {' '.join(redact.argv(argv))}")
    environment = {**profile.start.environment, **settings.environment}
    deadline = Deadline(settings.timeout or parse_duration(profile.ready.timeout))
    process = ServerProcess(argv, log, environment=environment, cwd=settings.cwd)
    ready = False
    try:
        watch = readiness.Watch(name, process, profile, deadline, redact)
        base_url = watch.announced_url() if port == 0 else f"http://{LOOPBACK}:{port}"
        client = Client(
            base_url, name=name, model=model, api_key=settings.api_key, limits=settings.limits, redact=redact
        )
        server = Server(name, profile, base_url, client, process)
        client.state = server.state
        watch.until_ready(client, settings.first_token or profile.ready.first_token)
        server.stages = watch.stages
        ready = True
        return server
    except ServerError as error:
        if not process.running and any(_ADDRESS_IN_USE.search(line) for line in process.log_tail()):
            raise PortTaken(str(error)) from None
        raise
    finally:
        if not ready:
            process.stop(grace=1.0)
            process.mask_log(redact)
