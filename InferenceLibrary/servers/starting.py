"""The start of a process by its profile: command line, port, guard, register, readiness; nothing is left on failure."""

from __future__ import annotations

import hashlib
import itertools
import os
import re
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from InferenceLibrary.client.http import Client
from InferenceLibrary.client.limits import Limits
from InferenceLibrary.deadline import Deadline
from InferenceLibrary.durations import parse_duration
from InferenceLibrary.errors import ServerError, describe
from InferenceLibrary.processes.ports import LOOPBACK, Reservation, free_port, is_free, reserve
from InferenceLibrary.processes.program import GuardedProgram
from InferenceLibrary.processes.running import REGISTER, Expected, end_leftovers
from InferenceLibrary.redaction import Redactor
from InferenceLibrary.servers import readiness
from InferenceLibrary.servers.checks import Check
from InferenceLibrary.servers.command import build_command, filled
from InferenceLibrary.servers.gpu_gate import await_free_memory
from InferenceLibrary.servers.profile import Profile
from InferenceLibrary.servers.server import Server, Started, StartRequest, state_of
from InferenceLibrary.sizes import parse_bytes

_PORT_TRIES = 5
_ADDRESS_IN_USE = re.compile(
    r"address (is )?already in use|EADDRINUSE|errno 98|bind.*failed|couldn't bind|could not bind", re.IGNORECASE
)
_FAILED_GRACE = 1.0
"""Seconds after TERM for a server that did not become ready; after an interruption it has none."""


@dataclass
class StartSettings:
    """What one start is asked to do, beyond the profile."""

    port: int | None = None
    model: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    arguments: Sequence[str] = field(default=(), repr=False)
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    cwd: Path | None = None
    api_key: str | None = field(default=None, repr=False)
    limits: Limits = field(default_factory=Limits)
    timeout: float | None = None
    """Seconds for the whole start; the profile's by default."""
    wait_for: str | None = None
    """The stage with which the start ends; the profile says it by default."""
    keep: bool = False
    """Whether it lives on when its owner ends, and after the run."""
    checks: Sequence[Check] = ()
    """Checks of readiness beside those of the profile."""
    also_allowed: Sequence[str] = ()
    """Names that the caller takes beside the options, for the error about an unknown one."""


class Surroundings(NamedTuple):
    """What a start needs of its caller."""

    name: str
    """For messages."""
    new_log: Callable[[], Path]
    """Gives a new path for a log file."""
    redact: Redactor
    report: Callable[[str], None]
    """Takes lines about the start: the command line, the stages."""
    progress: Callable[[str], None]
    """Takes the lines of a long start that are to be seen while one waits."""


class PortTaken(ServerError):
    """The process ended because somebody else was faster on its port."""


def start(
    profile: Profile,
    settings: StartSettings,
    *,
    name: str,
    new_log: Callable[[], Path],
    redact: Redactor,
    report: Callable[[str], None] = lambda line: None,
    progress: Callable[[str], None] | None = None,
) -> Server:
    """Start a process by its profile and wait until it is ready. After a failure or interruption nothing is left.

    Args:
        profile: The kind of server.
        settings: What this start asks for.
        name: Name for messages.
        new_log: Gives a new path for the log file.
        redact: Masks secrets.
        report: Takes lines about the start: the command line, the stages.
        progress: Takes the lines of a long start that are to be seen while one waits; `report` by default.

    Raises:
        ProfileError: An option is unknown or wrong.
        ServerError: The program cannot be started, ended early, or was not ready in time.
    """
    surroundings = Surroundings(name, new_log, redact, report, progress or report)
    _refuse_impossible(profile, settings, name)
    remains = end_leftovers()
    if remains.ended:
        surroundings.progress(f"Ended what a dead run had left behind: {', '.join(remains.ended)}.")
    if remains.failed:
        surroundings.progress(f"Could not end what a dead run had left behind: {'; '.join(remains.failed)}.")
    gpu_before = _pass_gpu_gate(profile, settings, surroundings)
    started = _start_on_some_port(profile, settings, surroundings)
    return Server(
        name,
        profile,
        started.base_url,
        started.client,
        started,
        keep=settings.keep,
        checks=settings.checks,
        asked=_asked(settings),
        gpu_before=gpu_before,
        start_again=lambda old: _start_again(profile, settings, surroundings, old),
        likeness=_likeness(profile, settings),
    )


def _asked(settings: StartSettings) -> StartRequest:
    return StartRequest(
        settings.model, settings.api_key, settings.options, settings.arguments, settings.environment, settings.cwd
    )


def _likeness(profile: Profile, settings: StartSettings) -> str:
    """Return a number that is the same for starts that ask for the same. It tells nothing of their secrets."""
    asked = (profile, settings.options, settings.arguments, settings.environment, settings.cwd, bool(settings.api_key))
    return hashlib.sha256(repr(asked).encode()).hexdigest()


def _refuse_impossible(profile: Profile, settings: StartSettings, name: str) -> None:
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


def _pass_gpu_gate(profile: Profile, settings: StartSettings, surroundings: Surroundings) -> dict[int, int] | None:
    """Refuse to start on GPUs that others hold; return how much is in use on each, None when nobody looked."""
    gate = profile.start.gpu if profile.start else None
    if gate is None:
        return None
    environment = {**dict(profile.start.environment if profile.start else {}), **settings.environment}
    try:
        uses, missing = await_free_memory(
            parse_bytes(gate.most_used), parse_duration(gate.wait), environment or None, surroundings.progress
        )
    except ServerError as error:
        raise ServerError(f"Server '{surroundings.name}' is not started: {error}") from None
    if missing:
        surroundings.progress(f"GPU memory was not looked at before the start: {missing}")
        return None
    return {use.gpu: use.used for use in uses}


def _start_on_some_port(profile: Profile, settings: StartSettings, surroundings: Surroundings) -> Started:
    assert profile.start is not None
    announced = profile.start.announcement is not None and not profile.start.restart
    for attempt in itertools.count(1):
        reservation = None if settings.port or announced else reserve(free_port)
        port = settings.port or (reservation.port if reservation else 0)
        started = False
        try:
            found = _start_once(profile, settings, port, surroundings, reservation)
            started = True
            return found
        except PortTaken as error:
            if settings.port or attempt >= _PORT_TRIES:
                raise ServerError(str(error)) from None
            surroundings.report(f"Port {port} was taken by somebody else; trying another.")
        finally:
            if not started and reservation is not None:
                reservation.release()
    raise AssertionError("unreachable")


def _start_once(
    profile: Profile,
    settings: StartSettings,
    port: int,
    surroundings: Surroundings,
    reservation: Reservation | None = None,
) -> Started:
    assert profile.start is not None
    name, new_log, redact, report, progress = surroundings
    model = settings.model or profile.model
    placeholders = {"port": str(port), "host": LOOPBACK, "model": model or ""}
    argv = build_command(
        profile.start.command,
        profile.start.options,
        settings.options,
        source=profile.name,
        placeholders=placeholders,
        arguments=settings.arguments,
        also_allowed=settings.also_allowed,
        alternatives=profile.start.alternatives,
    )
    if settings.api_key:
        redact.add(settings.api_key)
    own = {name: filled(value, placeholders) for name, value in profile.start.environment.items()}
    environment = own | dict(settings.environment)
    redact.learn(argv, environment)
    report(f"Starting {name}: {' '.join(redact.argv(argv))}")
    deadline = Deadline(settings.timeout or parse_duration(profile.ready.timeout))
    process: GuardedProgram | None = None
    grace: float | None = 0.0
    expected = REGISTER.expect()
    try:
        process = _new_process(profile, argv, new_log(), environment, settings.cwd, expected)
        REGISTER.started(expected.number, name, process)
        watch = readiness.Watch(name, process, profile, deadline, redact, report=report, progress=progress)
        watch.checks, watch.cwd = (*profile.ready.checks, *settings.checks), settings.cwd
        watch.spawned()
        base_url = watch.announced_url() if profile.start.announcement is not None else f"http://{LOOPBACK}:{port}"
        watch.listening(base_url)
        client = Client(
            base_url, name=name, model=model, api_key=settings.api_key, limits=settings.limits, redact=redact
        )
        client.state = partial(state_of, process)
        watch.until_ready(client, readiness.goal_of(profile, settings.wait_for))
        started = _registered(process, client, watch.stages, expected.number, reservation)
        grace = None
        return started
    except readiness.ForeignServerError as error:
        raise PortTaken(str(error)) from None
    except ServerError as error:
        grace = _FAILED_GRACE
        if process and not process.running and any(_ADDRESS_IN_USE.search(line) for line in process.log_tail()):
            raise PortTaken(str(error)) from None
        raise
    finally:
        if grace is not None:
            if process is not None:
                process.stop(grace)
                process.mask_log(redact)
            REGISTER.ended(expected.number)


def _new_process(
    profile: Profile,
    argv: list[str],
    log: Path,
    environment: Mapping[str, str],
    cwd: Path | None,
    expected: Expected,
) -> GuardedProgram:
    assert profile.start is not None
    restart, daemon = profile.start.restart, profile.start.daemon
    if os.name == "nt":
        from InferenceLibrary.processes.windows import WindowsProcess

        if restart or daemon:
            raise ServerError(describe(f"Profile '{profile.name}' cannot be started on Windows: it needs a guard"))
        return WindowsProcess(argv, log, environment=environment, cwd=cwd, mark=expected.mark)
    from InferenceLibrary.processes.process import ServerProcess

    return ServerProcess(
        argv,
        log,
        environment=environment,
        cwd=cwd,
        restart=restart,
        daemon=daemon,
        mark=expected.mark,
        tree_file=expected.tree_file,
        stop_signal=signal.Signals[f"SIG{profile.stop.signal}"],
        stop_whole_group=profile.stop.to == "group",
    )


def _registered(
    process: GuardedProgram,
    client: Client,
    stages: Mapping[str, float],
    number: int,
    reservation: Reservation | None,
) -> Started:
    def ended() -> None:
        if reservation is not None:
            reservation.release()
        REGISTER.ended(number)

    process.on_event = lambda line: REGISTER.moved(number, process)
    REGISTER.reached(number, client.base_url)
    return Started(process, client.base_url, client, stages, ended, lambda: REGISTER.kept(number))


def _start_again(profile: Profile, settings: StartSettings, surroundings: Surroundings, old: int | None) -> Started:
    """Start a server again: at its old address where that is free."""
    if old and is_free(old):
        try:
            return _start_once(profile, settings, old, surroundings)
        except PortTaken:
            if settings.port:
                raise
    elif settings.port:
        _refuse_impossible(profile, settings, surroundings.name)
    return _start_on_some_port(profile, settings, surroundings)
