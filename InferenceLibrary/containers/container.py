"""A container that a server runs in: its output followed into a file, removed with everything it has."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from InferenceLibrary.containers.engine import ContainerEngine, api_errors, one_line, sdk
from InferenceLibrary.containers.log import ContainerLog
from InferenceLibrary.deadline import Deadline, pause, wait_until
from InferenceLibrary.errors import ServerError, describe
from InferenceLibrary.foreign_text import cut
from InferenceLibrary.processes.output import TAIL_LINES, OutputFile
from InferenceLibrary.processes.program import Exit

_SIGNALS = {
    1: "SIGHUP",
    2: "SIGINT",
    3: "SIGQUIT",
    4: "SIGILL",
    6: "SIGABRT",
    7: "SIGBUS",
    8: "SIGFPE",
    9: "SIGKILL",
    11: "SIGSEGV",
    13: "SIGPIPE",
    14: "SIGALRM",
    15: "SIGTERM",
}
"""Signals of Linux, which is what runs in a container, whatever the system of this machine."""
_KILL = 9
_KILL_BUDGET = 10.0
_FREEZE_BUDGET, _FREEZE_AGAIN = 10.0, 0.1
_LOOK_EVERY = 0.25
"""Seconds for which the engine is not asked again while the container's output is open."""


class Container(OutputFile):
    """A started container.

    Attributes:
        id: The engine's id of it.
        ports: Published ports, inside to outside: `{"8000/tcp": 49153}`.
    """

    kind = "container"
    orphans = None  # what a container held ends with it; nobody tells of it

    def __init__(
        self, engine: ContainerEngine, container_id: str, log_path: Path, removed: Callable[[], None] = lambda: None
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
    def known_as(self) -> str:
        return self.name

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
        return 128 - code if code - 128 in _SIGNALS else code

    @property
    def exit(self) -> Exit | None:
        """How it ended, with the time from its start to its end; None while it runs. Engines tell no more."""
        code = self.exit_code
        return None if code is None else Exit(code, lifetime=_lifetime(self._state()))

    @property
    def running(self) -> bool:
        return bool(self._state().get("Running"))

    @property
    def ran_out_of_memory(self) -> bool:
        """Whether the engine says that the kernel killed it for lack of memory."""
        return bool(self._state().get("OOMKilled"))

    def pids(self) -> list[int]:
        """Return nothing: its processes are the engine's to tell of."""
        return []

    def settle(self) -> None:
        """Nothing of it outlives its end."""

    def how_it_ended(self) -> str | None:
        """Return `exit code 137 (SIGKILL, out of memory: OOMKilled)`, None while it runs."""
        code = self.exit_code
        if code is None:
            return None
        reasons = [_SIGNALS[-code]] if code < 0 else []
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

    def detach(self) -> None:
        """Follow its output no longer, whatever becomes of it."""
        if self._follower is not None:
            self._follower.detach()

    def let_go(self) -> None:
        """Let it live on after this process."""
        self.detach()
        self._tell_removed()

    def send(self, number: str) -> None:
        """Send a signal to its first process, by name; one that has ended does not mind."""
        with suppress(sdk().errors.APIError):
            self._engine.client.api.kill(self.id, number)

    def pause(self) -> None:
        """Freeze all of its processes. An engine that cannot at once, on a busy machine, is asked again."""
        deadline = Deadline(_FREEZE_BUDGET)
        while True:
            try:
                self._ask("paused", self._engine.client.api.pause)
            except ServerError as error:
                if "unable to freeze" not in str(error) or deadline.expired:
                    raise
                pause(_FREEZE_AGAIN)
            else:
                return

    def resume(self) -> None:
        """Let them go on."""
        self._ask("resumed", self._engine.client.api.unpause)

    def kill(self, *, leave_children: bool = False) -> None:
        """End it by KILL. It stays, ended, until it is stopped.

        Args:
            leave_children: Refused: what a container holds ends with its first process.

        Raises:
            ServerError: It does not end.
        """
        refuse_to_leave_children(self.label, leave_children)
        if self.look().get("State", {}).get("Paused"):
            self.resume()
        self.send("SIGKILL")
        deadline = Deadline(_KILL_BUDGET)
        if not wait_until(lambda: not self.running, deadline):
            raise ServerError(describe(f"{self.label} survived KILL".capitalize(), after=deadline.elapsed))

    def _ask(self, what: str, action: Callable[[str], object]) -> None:
        try:
            action(self.id)
        except api_errors() as error:
            raise ServerError(describe(f"{self.label} cannot be {what}".capitalize(), got=one_line(error))) from None
        self._seen_at = None

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
            said = cut(" ".join(str(checks[-1].get("Output", "")).split()), 200)
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
            if state.get("Running"):
                # Removed while it ran: by KILL.
                state["ExitCode"] = 128 + _KILL
            state["Running"] = False
            state["Pid"] = 0
        self._removed = True
        if self._follower is not None:
            self._follower.finish()


def refuse_to_leave_children(label: str, asked: bool) -> None:
    """Refuse to kill the first process of a container alone.

    Raises:
        ServerError: It was asked for.
    """
    if asked:
        what = f"The children of {label} cannot be left"
        raise ServerError(describe(what, got="a container, whose processes the kernel ends with its first one"))


def _lifetime(state: dict[str, Any]) -> float:
    try:
        started, finished = (datetime.fromisoformat(state[key]) for key in ("StartedAt", "FinishedAt"))
    except (KeyError, ValueError):
        return 0.0
    return max(0.0, (finished - started).total_seconds())
