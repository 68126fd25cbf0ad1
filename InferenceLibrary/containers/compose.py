"""A server in a compose project of a name of its own: every container's output in a file, taken down whole."""

from __future__ import annotations

import math
from contextlib import suppress
from pathlib import Path

from InferenceLibrary.containers.compose_command import ComposeCommand
from InferenceLibrary.containers.container import Container, refuse_to_leave_children
from InferenceLibrary.containers.engine import ContainerEngine, api_errors
from InferenceLibrary.containers.leftovers import remove_project
from InferenceLibrary.containers.watcher import WATCHER
from InferenceLibrary.deadline import Deadline, wait_until
from InferenceLibrary.errors import ServerError, describe
from InferenceLibrary.processes.output import TAIL_LINES
from InferenceLibrary.processes.program import Exit
from InferenceLibrary.redaction import Redactor

_DOWN_BUDGET = 60.0


class ComposeProject:
    """A project that runs. Its life is that of the service that is talked to.

    Attributes:
        name: The project's name, unique on this machine.
        main: The container of the service that is talked to.
        containers: The started containers by the name of their service and number: `{"web-1": ...}`.
    """

    kind = "compose project"
    orphans = None  # what containers held ends with them; nobody tells of it

    def __init__(
        self, engine: ContainerEngine, command: ComposeCommand, main: Container, containers: dict[str, Container]
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
    def known_as(self) -> str:
        return self.name

    @property
    def pid(self) -> int | None:
        return self.main.pid

    @property
    def exit_code(self) -> int | None:
        return None if self.running else self._ended()[1].exit_code

    @property
    def exit(self) -> Exit | None:
        """How the container ended that ended the project; None while it runs."""
        return None if self.running else self._ended()[1].exit

    @property
    def running(self) -> bool:
        """Whether the service that is talked to runs, and no other one has failed."""
        return all(container.running or container.exit_code == 0 for container in self.containers.values()) and (
            self.main.running
        )

    def pids(self) -> list[int]:
        """Return nothing: its processes are the engine's to tell of."""
        return []

    def settle(self) -> None:
        """Nothing of it outlives its end."""

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
        graceful = True
        try:
            # Without a grace all is over at once.
            if grace > 0:
                self._command.run("stop", "--timeout", str(math.ceil(grace)), deadline=Deadline(grace + _DOWN_BUDGET))
            graceful = all(container.exit_code not in (None, -9) for container in self.containers.values())
        finally:
            take_down(self._engine, self._command)
            for container in self.containers.values():
                container.forget()
            self._down = True
            WATCHER.release()
            self._engine.close()
        return graceful

    def detach(self) -> None:
        """Follow no output of it any longer, whatever becomes of it."""
        for container in self.containers.values():
            container.detach()
        self._down = True
        self._engine.close()

    def let_go(self) -> None:
        """Let it live on after this process."""
        self.detach()
        WATCHER.release()

    def kill(self, *, leave_children: bool = False) -> None:
        """End all of its containers by KILL. They stay, ended, until it is stopped.

        Args:
            leave_children: Refused: what a container holds ends with its first process.

        Raises:
            ServerError: One does not end.
        """
        refuse_to_leave_children(self.label, leave_children)
        for container in self.containers.values():
            if container.running:
                container.kill()

    def pause(self) -> None:
        """Freeze all of its containers."""
        for container in self.containers.values():
            if container.running:
                container.pause()

    def resume(self) -> None:
        """Let them go on."""
        for container in self.containers.values():
            if container.running:
                container.resume()

    def _ended(self) -> tuple[str, Container]:
        """The container that ended the project, and its service."""
        failed = [item for item in self.containers.items() if not item[1].running and item[1].exit_code != 0]
        main = next(item for item in self.containers.items() if item[1] is self.main)
        return main if not self.main.running and self.main.exit_code != 0 else next(iter(failed), main)


def take_down(engine: ContainerEngine, command: ComposeCommand, aftermath: float = 0.0) -> None:
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
