"""A server in a container: created with labels, its output followed into a file, removed with everything it has."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from InferenceLibrary.client.http import Client
from InferenceLibrary.deadline import Deadline, wait_until
from InferenceLibrary.errors import ServerError, describe
from InferenceLibrary.redaction import Redactor
from InferenceLibrary.servers import readiness
from InferenceLibrary.servers.container_leftovers import remove_orphans_once
from InferenceLibrary.servers.container_log import ContainerLog
from InferenceLibrary.servers.container_settings import ContainerSettings
from InferenceLibrary.servers.container_watcher import WATCHER
from InferenceLibrary.servers.engine import Engine, api_errors, cause_of, connect_engine, one_line, sdk
from InferenceLibrary.servers.images import provide_image
from InferenceLibrary.servers.output import TAIL_LINES, OutputFile
from InferenceLibrary.servers.profile import Profile
from InferenceLibrary.servers.program import Program
from InferenceLibrary.servers.server import Server

_KILL_BUDGET = 10.0
_SHORT_GRACE = 1.0
"""For a server that never got ready."""
_CREATION = 0.3
"""Seconds that a creation whose caller was interrupted is waited for."""
_LOOK_EVERY = 0.25
"""Seconds for which the engine is not asked again while the container's output is open."""


class Container(OutputFile):
    """A started container.

    Attributes:
        id: The engine's id of it.
        ports: Published ports, inside to outside: `{"8000/tcp": 49153}`.
    """

    kind = "container"

    def __init__(
        self, engine: Engine, container_id: str, log_path: Path, removed: Callable[[], None] = lambda: None
    ) -> None:
        """Take over a container that was created; `removed` is called when it is gone."""
        self._engine = engine
        self.id = container_id
        self.log_path = log_path
        self.log_path.touch()
        self.name = ""
        self.ports: dict[str, int] = {}
        self._removed = False
        self._tell_removed = removed
        self._seen: dict[str, Any] = {}
        self._seen_at: Deadline | None = None
        self._follower: ContainerLog | None = None

    def start(self) -> None:
        """Start it, and follow what it writes.

        Raises:
            ServerError: The engine cannot start it.
        """
        try:
            self._engine.client.api.start(self.id)
        except api_errors() as error:
            raise ServerError(one_line(error)) from None
        self.attach()

    def attach(self) -> None:
        """Follow what it writes from its beginning, and learn its ports."""
        self._follower = ContainerLog(self._engine, self.id, self.log_path)
        found = self.look()
        self.name = str(found.get("Name", "")).lstrip("/")
        bindings = (found.get("NetworkSettings") or {}).get("Ports") or {}
        self.ports = {inside: int(outside[0]["HostPort"]) for inside, outside in bindings.items() if outside}

    def outside(self, inside: str) -> int:
        """Return where a port of it is published; 0 when it is not, such as after its end."""
        return self.ports.get(inside, 0)

    @property
    def label(self) -> str:
        return f"container {self.id[:12]}"

    @property
    def pid(self) -> int | None:
        """Process id of its first process on this machine; None when the engine runs elsewhere."""
        number = self._state().get("Pid") or 0
        return number if number and Path(f"/proc/{number}").exists() and self._engine.address.is_local else None

    @property
    def exit_code(self) -> int | None:
        """Exit code, negative for a signal (engines say 128 more than its number), None while it runs."""
        if self.running:
            return None
        code = int(self._state().get("ExitCode") or 0)
        return 128 - code if code - 128 in {*signal.Signals} else code

    @property
    def running(self) -> bool:
        return bool(self._state().get("Running"))

    @property
    def ran_out_of_memory(self) -> bool:
        """Whether the engine says that the kernel killed it for lack of memory."""
        return bool(self._state().get("OOMKilled"))

    def how_it_ended(self) -> str | None:
        """Return `exit code 137 (SIGKILL, out of memory: OOMKilled)`, None while it runs."""
        code = self.exit_code
        if code is None:
            return None
        reasons = [signal.Signals(-code).name] if code < 0 else []
        if self.ran_out_of_memory:
            reasons.append("out of memory: OOMKilled")
        if not self._seen:
            reasons.append("removed by somebody else")
        return f"exit code {128 - code if code < 0 else code}" + (f" ({', '.join(reasons)})" if reasons else "")

    def log_tail(self, lines: int = TAIL_LINES) -> list[str]:
        """Return the last lines of its output, and below them what the engine has to say about it."""
        if self._follower is not None and not self.running:
            self._follower.finish()
        return super().log_tail(lines) + self._remarks()

    def stop(self, grace: float) -> bool:
        """End it by its stop signal (TERM), `grace` seconds, then KILL; remove it. Return whether KILL was not needed.

        Raises:
            ServerError: It could not be removed.
        """
        if self._removed:
            return True
        graceful = True
        deadline = Deadline(grace)
        try:
            if self.look().get("State", {}).get("Running"):
                if self._seen["State"].get("Paused"):
                    self.resume()
                self.send(str(self._seen["Config"].get("StopSignal") or "SIGTERM"))
                graceful = wait_until(lambda: not self.running, deadline)
        finally:
            self._remove()
        return graceful

    def forget(self) -> None:
        """Somebody else has removed it."""
        self._end_state()

    def send(self, number: str) -> None:
        """Send a signal to its first process, by name; one that has ended does not mind."""
        with suppress(sdk().errors.APIError):
            self._engine.client.api.kill(self.id, number)

    def pause(self) -> None:
        """Freeze all of its processes."""
        self._engine.client.api.pause(self.id)

    def resume(self) -> None:
        """Let them go on."""
        self._engine.client.api.unpause(self.id)

    def look(self) -> dict[str, Any]:
        """Ask the engine about it; what was seen last when it is gone.

        Raises:
            ServerError: The engine does not answer any more.
        """
        if self._removed:
            return self._seen
        try:
            self._seen = self._engine.client.api.inspect_container(self.id)
        except sdk().errors.NotFound:
            self._seen = {}
        except api_errors() as error:
            raise ServerError(describe(f"The container engine failed on {self.label}", got=one_line(error))) from None
        self._seen_at = Deadline(_LOOK_EVERY)
        return self._seen

    def _state(self) -> dict[str, Any]:
        """Its state, asked anew when that can have changed; a question costs milliseconds."""
        followed = self._follower is not None and self._follower.running
        fresh = followed and self._seen_at is not None and not self._seen_at.expired
        found = self._seen if fresh else self.look()
        return dict(found.get("State") or {})

    def _remarks(self) -> list[str]:
        state = self._state()
        found = []
        if state.get("OOMKilled"):
            found.append("(the engine: out of memory, OOMKilled)")
        if state.get("Error"):
            found.append(f"(the engine: {' '.join(str(state['Error']).split())})")
        health = state.get("Health") or {}
        if health.get("Status") == "unhealthy":
            checks = health.get("Log") or [{}]
            said = " ".join(str(checks[-1].get("Output", "")).split())[:200]
            found.append(f"(the image's own health check: unhealthy{': ' + said if said else ''})")
        return found

    def _remove(self) -> None:
        # How it ended is asked for after it has gone.
        with suppress(ServerError):
            self.look()
        deadline = Deadline(_KILL_BUDGET)
        problem = [""]

        def gone() -> bool:
            try:
                self._engine.client.api.remove_container(self.id, force=True, v=True)
            except sdk().errors.NotFound:
                return True
            except api_errors() as error:
                # Such as a removal that is under way already.
                problem[0] = one_line(error)
                return False
            return True

        if not wait_until(gone, deadline, first=0.05, longest=0.5):
            raise ServerError(
                describe(f"{self.label} cannot be removed".capitalize(), got=problem[0], after=deadline.elapsed)
            )
        self._end_state()
        self._tell_removed()

    def _end_state(self) -> None:
        state = self._seen.get("State")
        if state:
            state["Running"] = False
            state["Pid"] = 0
        self._removed = True
        if self._follower is not None:
            self._follower.finish()


def start_container(
    image: str,
    profile: Profile,
    settings: ContainerSettings,
    *,
    name: str,
    new_log: Callable[[], Path],
    redact: Redactor,
    report: Callable[[str], None] = lambda line: None,
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

    Raises:
        EngineMissingError: No engine answers.
        MissingExtraError: The docker SDK is not installed.
        ServerError: The image cannot be had, the container cannot be started, ended early, or was not ready in time.
    """
    deadline = Deadline(settings.budget(profile))
    engine = connect_engine()
    options = settings.create_options(engine, name)
    remove_orphans_once(engine)
    provide_image(engine, image, settings.pull, deadline, report)
    report(f"Starting {name}: {image} {' '.join(redact.argv(settings.command))}".rstrip())
    WATCHER.hold(engine.address.url)
    program: Container | None = None
    ready = False
    try:
        try:
            container_id = engine.client.containers.create(image, list(settings.command) or None, **options).id
            program = Container(engine, str(container_id), new_log(), removed=lambda: _let_go(engine))
            program.start()
        except api_errors(ServerError) as error:
            text = redact(one_line(error))
            raise ServerError(
                describe(
                    f"Server '{name}' cannot be started in a container of '{image}'", got=text, hint=cause_of(text)
                )
            ) from None
        server = until_ready(
            name,
            program,
            program.outside(settings.inside),
            profile,
            settings,
            deadline,
            redact,
            engine.address.host,
        )
        ready = True
        return server
    finally:
        if not ready:
            _give_up(engine, program, options["name"])


def _give_up(engine: Engine, program: Container | None, name: str) -> None:
    if program is not None:
        program.stop(grace=_SHORT_GRACE)
    elif _discard(engine, name):
        _let_go(engine)


def _let_go(engine: Engine) -> None:
    WATCHER.release()
    engine.close()


def _discard(engine: Engine, name: str) -> bool:
    """Remove a container whose creation was interrupted or failed; return whether nothing of it can come any more."""

    def gone() -> bool:
        try:
            engine.client.api.remove_container(name, force=True, v=True)
        except api_errors():
            return False
        return True

    # The engine goes on with a creation whose caller has hung up. What comes later still is for the watcher.
    interrupted = sys.exc_info()[0] is not ServerError
    return wait_until(gone, _CREATION if interrupted else 0.0) or not interrupted


def until_ready(
    name: str,
    program: Program,
    port: int,
    profile: Profile,
    settings: ContainerSettings,
    deadline: Deadline,
    redact: Redactor,
    host: str,
) -> Server:
    """Ask from outside until the server behind a published port is ready.

    Raises:
        ServerError: It ended, or was not ready in time.
    """
    profile = settings.readiness_of(profile)
    client = Client(
        f"http://{host}:{port}",
        name=name,
        model=settings.model or profile.model,
        api_key=settings.api_key,
        limits=settings.limits,
        redact=redact,
    )
    server = Server(name, profile, client.base_url, client, program)
    client.state = server.state
    watch = readiness.Watch(name, program, profile, deadline, redact)
    ready = False
    try:
        watch.until_ready(client, "none")
        if client.model is None and profile.name == "openai":
            client.model = next(iter(client.models()), None)
        first_token = settings.first_token or profile.ready.first_token
        if first_token != "none":
            watch.until_ready(client, first_token)
        ready = True
    finally:
        if not ready:
            client.close()
    server.stages = watch.stages
    return server
