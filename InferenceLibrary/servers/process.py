"""A server process: started in a session of its own, its output in a file, ended with everything that it started."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from InferenceLibrary.deadline import Deadline, wait_until
from InferenceLibrary.errors import ServerError, describe
from InferenceLibrary.redaction import Redactor

TAIL_LINES = 12
_TAIL_BYTES = 16_384
_KILL_BUDGET = 5.0


class ServerProcess:
    """A running server program.

    Its standard input is empty, standard output and error go to one file: no pipe can fill and block it.
    """

    kind = "process"

    def __init__(
        self,
        argv: Sequence[str],
        log_path: Path,
        *,
        environment: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        """Start it.

        Args:
            argv: Program and arguments.
            log_path: File for its output; written anew.
            environment: Variables set beside those of this process.
            cwd: Its working directory; this process's own by default.

        Raises:
            ServerError: The program cannot be executed.
        """
        self.log_path = log_path
        self._stopped = False
        if cwd is not None and not cwd.is_dir():
            raise ServerError(describe(f"'{argv[0]}' cannot be started in '{cwd}'", got="no such directory"))
        with log_path.open("wb") as log:
            try:
                self._popen = subprocess.Popen(
                    list(argv),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, **(environment or {})},
                    cwd=cwd,
                    start_new_session=True,
                )
            except OSError as error:
                reason = (error.strerror or str(error)).lower()
                if reason == "exec format error":
                    hint = "a script needs a first line such as #!/bin/sh, a binary must fit this machine."
                else:
                    hint = "check the command of the profile."
                raise ServerError(describe(f"'{argv[0]}' cannot be executed", got=reason, hint=hint)) from None
            except ValueError as error:
                # A null byte somewhere, or an equals sign in the name of a variable.
                raise ServerError(describe(f"'{argv[0]}' cannot be started", got=str(error))) from None
        self.pid = self._popen.pid

    @property
    def label(self) -> str:
        return f"process {self.pid}"

    @property
    def exit_code(self) -> int | None:
        """Exit code, negative for a signal, None while it runs."""
        return self._popen.poll()

    @property
    def running(self) -> bool:
        return self.exit_code is None

    def how_it_ended(self) -> str | None:
        """Return `exit code 3` or `signal SIGSEGV`, None while it runs."""
        code = self.exit_code
        if code is None:
            return None
        if code >= 0:
            return f"exit code {code}"
        try:
            return f"signal {signal.Signals(-code).name}"
        except ValueError:
            return f"signal {-code}"

    def log_text(self, start: int = 0) -> str:
        """Return its output from byte `start` on."""
        with self.log_path.open("rb") as log:
            log.seek(start)
            return log.read().decode("utf-8", "replace")

    def log_tail(self, lines: int = TAIL_LINES) -> list[str]:
        """Return the last lines of its output, without escape sequences."""
        with self.log_path.open("rb") as log:
            log.seek(max(0, self.log_path.stat().st_size - _TAIL_BYTES))
            text = log.read().decode("utf-8", "replace")
        return [plain(line) for line in text.splitlines()[-lines:]]

    def mask_log(self, redact: Redactor) -> None:
        """Take secrets out of its output, once nothing writes it any more. Programs log keys that they are given."""
        if not redact.knows_any or not self.log_path.exists():
            return
        masked = self.log_path.with_name(self.log_path.name + ".masked")
        with self.log_path.open("rb") as log, masked.open("wb") as copy:
            for line in log:
                text = line.decode("utf-8", "surrogateescape")
                copy.write(redact(text).encode("utf-8", "surrogateescape"))
        masked.replace(self.log_path)

    def stop(self, grace: float) -> bool:
        """End it: TERM, `grace` seconds, then KILL to the whole process group. Return whether TERM was enough.

        Raises:
            ServerError: Something of its group still runs after KILL.
        """
        if self._stopped:
            # The number of the group may have gone to somebody else.
            return True
        graceful = True
        try:
            if self.running:
                self._signal(signal.SIGTERM)
                graceful = wait_until(lambda: not self.running, grace)
        finally:
            # Also after a graceful end, and also when an interruption arrives meanwhile: children may have stayed.
            self._signal(signal.SIGKILL)
            deadline = Deadline(_KILL_BUDGET)
            gone = wait_until(lambda: not self.running and not self._group_lives(), deadline)
        if not gone:
            raise ServerError(describe(f"Process group {self.pid} survived KILL", after=deadline.elapsed))
        self._stopped = True
        return graceful

    def _signal(self, number: signal.Signals) -> None:
        try:
            os.killpg(self.pid, number)
        except (ProcessLookupError, PermissionError):
            # Gone already; macOS answers EPERM for a group of zombies.
            return

    def _group_lives(self) -> bool:
        """Whether a process of the group runs; a zombie that its parent has not fetched does not count."""
        try:
            os.killpg(self.pid, 0)
        except (ProcessLookupError, PermissionError):
            return False
        proc = Path("/proc")
        if not proc.is_dir():
            return True
        for stat in proc.glob("[0-9]*/stat"):
            try:
                # Behind the name in parentheses: state, parent, process group (proc_pid_stat(5)).
                state, _parent, group = stat.read_text().rpartition(")")[2].split()[:3]
            except (OSError, ValueError):
                continue
            if int(group) == self.pid and state not in {"Z", "X"}:
                return True
        return False


_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b[@-_]|[\x00-\x08\x0b-\x1f\x7f]")


def plain(line: str) -> str:
    """Return a line of output without terminal escapes and control characters."""
    return _ESCAPES.sub("", line)
