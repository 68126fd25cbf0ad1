"""The start of a server in a compose project; nothing is left on failure."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from InferenceLibrary.containers.compose import ComposeProject, take_down
from InferenceLibrary.containers.compose_command import ComposeCommand
from InferenceLibrary.containers.composition import choose_service, label_everything, published_port, read_composition
from InferenceLibrary.containers.container import Container
from InferenceLibrary.containers.engine import ContainerEngine, cause_of, connect_engine
from InferenceLibrary.containers.leftovers import remove_orphans_once
from InferenceLibrary.containers.watcher import WATCHER
from InferenceLibrary.deadline import Deadline
from InferenceLibrary.errors import ServerError, describe
from InferenceLibrary.redaction import Redactor
from InferenceLibrary.servers.container_settings import ContainerSettings
from InferenceLibrary.servers.container_starting import failed_grace, until_ready
from InferenceLibrary.servers.profile import Profile
from InferenceLibrary.servers.server import Server, Started
from InferenceLibrary.servers.starting import Surroundings

_AFTERMATH = 1.0
"""Seconds in which the engine finishes what a killed program had asked of it."""


@dataclass
class ComposeSettings:
    """What one start of a project asks for."""

    profiles: Sequence[str] = ()
    """Compose profiles to enable."""
    services: Sequence[str] = ()
    """Services to start, with what they depend on; all by default."""
    service: str | None = None
    """The one that is talked to; the only one that publishes a port by default."""
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Variables for the file's `${...}`."""
    server: ContainerSettings = field(default_factory=lambda: ContainerSettings(port=0))
    """Port inside (0: the only published one), health, model, key and time limits."""


def start_compose(
    file: Path,
    profile: Profile,
    settings: ComposeSettings,
    *,
    name: str,
    new_log: Callable[[str], Path],
    redact: Redactor,
    report: Callable[[str], None] = lambda line: None,
    progress: Callable[[str], None] | None = None,
) -> Server:
    """Start a compose project and wait until its server is ready. After a failure or interruption nothing is left.

    Args:
        file: The compose file.
        profile: The kind of server that answers in it.
        settings: What this start asks for.
        name: Name for messages.
        new_log: Gives a new path for the log file of a service.
        redact: Masks secrets.
        report: Takes lines about the start.
        progress: Takes the lines of a long start that are to be seen while one waits; `report` by default.

    Raises:
        EngineMissingError: No engine, or no compose.
        ServerError: The file is wrong, or the project did not start or get ready in time.
    """
    surroundings = Surroundings(name, lambda: new_log(""), redact, report, progress or report)
    started = _start(file, profile, settings, surroundings, new_log)
    return Server(
        name,
        settings.server.readiness_of(profile),
        started.base_url,
        started.client,
        started,
        keep=settings.server.keep,
        checks=settings.server.checks,
        start_again=lambda old: _start(file, profile, settings, surroundings, new_log),
    )


def _start(
    file: Path,
    profile: Profile,
    settings: ComposeSettings,
    surroundings: Surroundings,
    new_log: Callable[[str], Path],
) -> Started:
    name, redact = surroundings.name, surroundings.redact
    deadline = Deadline(settings.server.budget(profile))
    profile = settings.server.readiness_of(profile)
    engine = connect_engine()
    project = f"inference-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    redact.learn(environment=settings.environment)
    command = ComposeCommand(engine, file, project, settings.profiles, settings.environment)
    composition = read_composition(command, file, settings.services, deadline, redact)
    service = choose_service(composition, settings.service, settings.services, file)
    inside = published_port(composition, service, settings.server.port, file)
    remove_orphans_once(engine)
    label_everything(composition, project if settings.server.keep else "")
    surroundings.report(f"Starting {name}: compose project {project} of {file}, calls go to {service}:{inside}")
    WATCHER.hold(engine.address.url)
    running: ComposeProject | None = None
    ready = settled = False
    try:
        done = command.run(
            "up", "--detach", "--no-color", *settings.services, deadline=deadline, composition=composition
        )
        settled = done.exit_code is not None
        if done.failed:
            raise ServerError(_not_started(name, file, done.reason(redact), done.lines(redact), deadline))
        containers = _containers(engine, project, new_log)
        main = containers.get(f"{service}-1") or next(iter(containers.values()))
        running = ComposeProject(engine, command, main, containers)
        url = f"http://{engine.address.host}:{main.outside(f'{inside}/tcp')}"
        started = until_ready(running, url, profile, settings.server, deadline, surroundings)
        if settings.server.keep:
            WATCHER.keep(project)
        ready = True
        return started
    finally:
        if not ready:
            _give_up(engine, command, running, settled, redact)


def _give_up(
    engine: ContainerEngine, command: ComposeCommand, running: ComposeProject | None, settled: bool, redact: Redactor
) -> None:
    interrupted = not isinstance(sys.exception(), ServerError)
    if interrupted and WATCHER.remove(command.project):
        # Who was interrupted is not kept waiting; the watcher stands until the end of this run and looks again then.
        if running is not None:
            running.detach()
            running.mask_log(redact)
        return
    if running is not None:
        try:
            running.stop(failed_grace())
        finally:
            running.mask_log(redact)
        return
    # The engine may still create what a killed `up` had asked for.
    take_down(engine, command, 0.0 if settled else _AFTERMATH)
    WATCHER.release()
    engine.close()


def _containers(engine: ContainerEngine, project: str, new_log: Callable[[str], Path]) -> dict[str, Container]:
    found = {}
    filters = {"label": f"com.docker.compose.project={project}"}
    for item in engine.client.api.containers(all=True, filters=filters):
        labels = item["Labels"]
        service = f"{labels['com.docker.compose.service']}-{labels.get('com.docker.compose.container-number', 1)}"
        container = Container(engine, item["Id"], new_log(service))
        container.attach()
        found[service] = container
    return found


def _not_started(name: str, file: Path, reason: str, lines: list[str], deadline: Deadline) -> str:
    hint = cause_of(" ".join(lines))
    return describe(
        f"Server '{name}' cannot be started from {file}",
        got=reason,
        after=deadline.elapsed,
        hint=hint or "run it by hand: docker compose --file FILE up",
        detail=("What compose wrote", lines or ["(nothing)"]),
    )
