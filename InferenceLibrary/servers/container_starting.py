"""The start of a server in a container: image, watcher, creation, readiness; nothing is left on failure."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from InferenceLibrary.client.http import Client
from InferenceLibrary.containers.container import Container
from InferenceLibrary.containers.engine import (
    ContainerEngine,
    api_errors,
    cause_of,
    connect_engine,
    lacks_init,
    one_line,
)
from InferenceLibrary.containers.images import provide_image
from InferenceLibrary.containers.leftovers import remove_orphans_once
from InferenceLibrary.containers.watcher import WATCHER
from InferenceLibrary.deadline import Deadline, wait_until
from InferenceLibrary.errors import ServerError, describe
from InferenceLibrary.processes.ports import is_free
from InferenceLibrary.processes.program import Program
from InferenceLibrary.redaction import Redactor
from InferenceLibrary.servers import readiness
from InferenceLibrary.servers.container_settings import ContainerSettings
from InferenceLibrary.servers.profile import Profile
from InferenceLibrary.servers.server import Server, Started, state_of
from InferenceLibrary.servers.starting import Surroundings

_FAILED_GRACE = 1.0
"""Seconds after TERM for a server that did not become ready; after an interruption it has none."""
_CREATION = 0.3
"""Seconds that a creation whose caller was interrupted is waited for."""


def start_container(
    image: str,
    profile: Profile,
    settings: ContainerSettings,
    *,
    name: str,
    new_log: Callable[[], Path],
    redact: Redactor,
    report: Callable[[str], None] = lambda line: None,
    progress: Callable[[str], None] | None = None,
) -> Server:
    """Start a container and wait until its server is ready. After a failure or interruption nothing is left.

    Args:
        image: Its name; pulled when the engine lacks it.
        profile: The kind of server, for readiness, hints and the end.
        settings: What this start asks for.
        name: Name for messages.
        new_log: Gives a new path for the log file.
        redact: Masks secrets.
        report: Takes lines about the start.
        progress: Takes the lines of a long start that are to be seen while one waits; `report` by default.

    Raises:
        EngineMissingError: No engine answers.
        MissingExtraError: The docker SDK is not installed.
        ServerError: The image cannot be had, the container cannot be started, ended early, or was not ready in time.
    """
    surroundings = Surroundings(name, new_log, redact, report, progress or report)
    started = _start(image, profile, settings, surroundings)

    def again(old: int | None) -> Started:
        same = old is not None and is_free(old)
        fixed = replace(settings, ports={**settings.ports, str(settings.port): old}) if same else settings
        return _start(image, profile, fixed, surroundings)

    return Server(
        name,
        settings.readiness_of(profile),
        started.base_url,
        started.client,
        started,
        keep=settings.keep,
        checks=settings.checks,
        start_again=again,
    )


def _start(image: str, profile: Profile, settings: ContainerSettings, surroundings: Surroundings) -> Started:
    name, new_log, redact, report, _ = surroundings
    deadline = Deadline(settings.budget(profile))
    profile = settings.readiness_of(profile)
    engine = connect_engine()
    options = settings.create_options(engine, name)
    remove_orphans_once(engine)
    provide_image(engine, image, settings.pull, deadline, surroundings.progress)
    redact.learn(settings.command, options.get("environment"))
    report(f"Starting {name}: {image} {' '.join(redact.argv(settings.command))}".rstrip())
    WATCHER.hold(engine.address.url)
    program: Container | None = None
    ready = False
    try:
        try:
            container_id = _create(engine, image, settings, options, report)
            program = Container(engine, container_id, new_log(), removed=lambda: _let_go(engine))
            program.start()
        except api_errors(ServerError) as error:
            text = redact(one_line(error))
            raise ServerError(
                describe(
                    f"Server '{name}' cannot be started in a container of '{image}'", got=text, hint=cause_of(text)
                )
            ) from None
        port = program.outside(settings.inside)
        started = until_ready(
            program, f"http://{engine.address.host}:{port}", profile, settings, deadline, surroundings
        )
        if settings.keep:
            WATCHER.keep(options["name"])
        ready = True
        return started
    finally:
        if not ready:
            _give_up(engine, program, options["name"], redact)


def _create(
    engine: ContainerEngine,
    image: str,
    settings: ContainerSettings,
    options: dict[str, Any],
    report: Callable[[str], None],
) -> str:
    """Create the container; without an init where the engine has none, as Podman without catatonit."""
    create = engine.client.containers.create
    command = list(settings.command) or None
    try:
        return str(create(image, command, **options).id)
    except api_errors() as error:
        if "init" in settings.extra or not lacks_init(one_line(error)):
            raise
    report("The engine has no init (catatonit, docker-init): TERM may not reach the program until it asks for it.")
    return str(create(image, command, **{**options, "init": False}).id)


def _give_up(engine: ContainerEngine, program: Container | None, name: str, redact: Redactor) -> None:
    if program is not None:
        try:
            program.stop(failed_grace())
        finally:
            program.mask_log(redact)
    elif _discard(engine, name):
        _let_go(engine)


def failed_grace() -> float:
    """Return how many seconds a server has that is stopped because of the exception at hand."""
    return _FAILED_GRACE if isinstance(sys.exception(), ServerError) else 0.0


def _let_go(engine: ContainerEngine) -> None:
    WATCHER.release()
    engine.close()


def _discard(engine: ContainerEngine, name: str) -> bool:
    """Remove a container whose creation was interrupted or failed; return whether nothing of it can come any more."""

    def gone() -> bool:
        try:
            engine.client.api.remove_container(name, force=True, v=True)
        except api_errors():
            return False
        return True

    # The engine goes on with a creation whose caller has hung up. What comes later still is for the watcher.
    interrupted = not isinstance(sys.exception(), ServerError)
    return wait_until(gone, _CREATION if interrupted else 0.0) or not interrupted


def until_ready(
    program: Program,
    url: str,
    profile: Profile,
    settings: ContainerSettings,
    deadline: Deadline,
    surroundings: Surroundings,
) -> Started:
    """Ask from outside until the server behind a published port is ready.

    Raises:
        ServerError: It ended, or was not ready in time.
    """
    name, _, redact, report, progress = surroundings
    model = settings.model or profile.model
    client = Client(url, name=name, model=model, api_key=settings.api_key, limits=settings.limits, redact=redact)
    client.state = partial(state_of, program)
    # An engine accepts connections on a published port from the start on: listening tells nothing here.
    watch = readiness.Watch(name, program, profile, deadline, redact, report=report, progress=progress)
    watch.checks = (*profile.ready.checks, *settings.checks)
    watch.spawned()
    goal = readiness.goal_of(profile, settings.wait_for)
    watch.until_ready(client, goal._replace(ways=()))
    if client.model is None and profile.name == "openai":
        client.model = next(iter(client.models()), None)
    watch.until_ready(client, goal)
    return Started(program, client.base_url, client, watch.stages)
