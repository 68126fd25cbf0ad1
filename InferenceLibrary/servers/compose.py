"""A server in a compose project of a name of its own: every container's output in a file, taken down whole."""

from __future__ import annotations

import math
import os
import sys
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from InferenceLibrary.deadline import Deadline, wait_until
from InferenceLibrary.errors import ServerError, describe
from InferenceLibrary.redaction import Redactor
from InferenceLibrary.servers.compose_command import ComposeCommand
from InferenceLibrary.servers.compose_model import choose_service, label_everything, published_port, read_model
from InferenceLibrary.servers.container import Container, until_ready
from InferenceLibrary.servers.container_leftovers import remove_orphans_once, remove_project
from InferenceLibrary.servers.container_settings import ContainerSettings
from InferenceLibrary.servers.container_watcher import WATCHER
from InferenceLibrary.servers.engine import Engine, api_errors, cause_of, connect_engine
from InferenceLibrary.servers.output import TAIL_LINES
from InferenceLibrary.servers.profile import Profile
from InferenceLibrary.servers.server import Server

_SHORT_GRACE = 1.0
_DOWN_BUDGET = 60.0
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


class ComposeProject:
    """A project that runs. Its life is that of the service that is talked to.

    Attributes:
        name: The project's name, unique on this machine.
        main: The container of the service that is talked to.
        containers: The started containers by the name of their service and number: `{"web-1": ...}`.
    """

    kind = "compose project"

    def __init__(
        self, engine: Engine, command: ComposeCommand, main: Container, containers: dict[str, Container]
    ) -> None:
        self._engine = engine
        self._command = command
        self.main = main
        self.name = command.project
        self.containers = containers
        self._down = False

    @property
    def log_path(self) -> Path:
        """The file of the service that is talked to; `containers` have the others."""
        return self.main.log_path

    @property
    def label(self) -> str:
        return f"compose project {self.name}"

    @property
    def pid(self) -> int | None:
        return self.main.pid

    @property
    def exit_code(self) -> int | None:
        return None if self.running else self._ended()[1].exit_code

    @property
    def running(self) -> bool:
        """Whether the service that is talked to runs, and no other one has failed."""
        return all(container.running or container.exit_code == 0 for container in self.containers.values()) and (
            self.main.running
        )

    def how_it_ended(self) -> str | None:
        """Return `exit code 1 of service db-1`, None while it runs."""
        if self.running:
            return None
        service, container = self._ended()
        return f"{container.how_it_ended()} of service {service}"

    def log_size(self) -> int:
        """Return how many bytes the service that is talked to has written."""
        return self.main.log_size()

    def log_text(self, start: int = 0) -> str:
        """Return what the service that is talked to has written from byte `start` on."""
        return self.main.log_text(start)

    def log_tail(self, lines: int = TAIL_LINES) -> list[str]:
        """Return the last lines of the service that has failed, else of the one that is talked to."""
        service, source = ("", self.main) if self.running else self._ended()
        return ([] if source is self.main else [f"(service {service})"]) + source.log_tail(lines)

    def mask_log(self, redact: Redactor) -> None:
        """Take secrets out of all outputs."""
        for container in self.containers.values():
            container.mask_log(redact)

    def stop(self, grace: float) -> bool:
        """Take the project down, with its networks and volumes. Return whether KILL was not needed.

        Raises:
            ServerError: It could not be taken down.
        """
        if self._down:
            return True
        try:
            self._command.run("stop", "--timeout", str(math.ceil(grace)), deadline=Deadline(grace + _DOWN_BUDGET))
            graceful = all(container.exit_code != -9 for container in self.containers.values())
        finally:
            take_down(self._engine, self._command)
            for container in self.containers.values():
                container.forget()
            self._down = True
            WATCHER.release()
            self._engine.close()
        return graceful

    def _ended(self) -> tuple[str, Container]:
        """The container that ended the project, and its service."""
        failed = [item for item in self.containers.items() if not item[1].running and item[1].exit_code != 0]
        main = next(item for item in self.containers.items() if item[1] is self.main)
        return main if not self.main.running and self.main.exit_code != 0 else next(iter(failed), main)


def start_compose(
    file: Path,
    profile: Profile,
    settings: ComposeSettings,
    *,
    name: str,
    new_log: Callable[[str], Path],
    redact: Redactor,
    report: Callable[[str], None] = lambda line: None,
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

    Raises:
        EngineMissingError: No engine, or no compose.
        ServerError: The file is wrong, or the project did not start or get ready in time.
    """
    deadline = Deadline(settings.server.budget(profile))
    engine = connect_engine()
    project = f"inference-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    command = ComposeCommand(engine, file, project, settings.profiles, settings.environment)
    model = read_model(command, file, settings.services, deadline, redact)
    service = choose_service(model, settings.service, settings.services, file)
    inside = published_port(model, service, settings.server.port, file)
    remove_orphans_once(engine)
    label_everything(model)
    report(f"Starting {name}: compose project {project} of {file}, calls go to {service}:{inside}")
    WATCHER.hold(engine.address.url)
    running: ComposeProject | None = None
    ready = settled = False
    try:
        done = command.run("up", "--detach", "--no-color", *settings.services, deadline=deadline, model=model)
        settled = done.exit_code is not None
        if done.failed:
            raise ServerError(_not_started(name, file, done.reason(redact), done.lines(redact), deadline))
        containers = _containers(engine, project, new_log)
        main = containers.get(f"{service}-1") or next(iter(containers.values()))
        running = ComposeProject(engine, command, main, containers)
        server = until_ready(
            name,
            running,
            main.outside(f"{inside}/tcp"),
            profile,
            settings.server,
            deadline,
            redact,
            engine.address.host,
        )
        ready = True
        return server
    finally:
        if not ready:
            _give_up(engine, command, running, settled)


def _give_up(engine: Engine, command: ComposeCommand, running: ComposeProject | None, settled: bool) -> None:
    if running is not None:
        running.stop(_SHORT_GRACE)
        return
    # The engine may still create what a killed `up` had asked for. Who was interrupted is not kept waiting for it: the
    # watcher looks once more after this run.
    in_time = isinstance(sys.exception(), ServerError)
    take_down(engine, command, 0.0 if settled or not in_time else _AFTERMATH)
    if settled or in_time:
        WATCHER.release()
        engine.close()


def _containers(engine: Engine, project: str, new_log: Callable[[str], Path]) -> dict[str, Container]:
    found = {}
    filters = {"label": f"com.docker.compose.project={project}"}
    for item in engine.client.api.containers(all=True, filters=filters):
        labels = item["Labels"]
        service = f"{labels['com.docker.compose.service']}-{labels.get('com.docker.compose.container-number', 1)}"
        container = Container(engine, item["Id"], new_log(service))
        container.attach()
        found[service] = container
    return found


def take_down(engine: Engine, command: ComposeCommand, aftermath: float = 0.0) -> None:
    """Remove everything of a project, and what comes of it within `aftermath` seconds.

    Raises:
        ServerError: Something of it is left.
    """
    left: list[str] = []
    deadline = Deadline(_DOWN_BUDGET)

    def gone() -> bool:
        with suppress(*api_errors()):
            left[:] = remove_project(engine.client.api, command.project)
            return not left and deadline.elapsed >= aftermath
        return False

    if wait_until(gone, deadline, first=0.05, longest=0.25):
        return
    raise ServerError(
        describe(f"Compose project {command.project} cannot be taken down", got=", ".join(left), after=deadline.elapsed)
    )


def _not_started(name: str, file: Path, reason: str, lines: list[str], deadline: Deadline) -> str:
    hint = cause_of(" ".join(lines))
    return describe(
        f"Server '{name}' cannot be started from {file}",
        got=reason,
        after=deadline.elapsed,
        hint=hint or "run it by hand: docker compose --file FILE up",
        detail=("What compose wrote", lines or ["(nothing)"]),
    )
