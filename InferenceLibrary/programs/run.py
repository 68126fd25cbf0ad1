"""Run a program to its end: within a time limit, with bounded output, and with nothing left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from InferenceLibrary.deadline import Deadline, wait_until
from InferenceLibrary.errors import ProgramError, describe
from InferenceLibrary.processes.find import check_directory, find_program
from InferenceLibrary.processes.launch import refuse_unspeakable
from InferenceLibrary.processes.sessions import Member, ProcessSession
from InferenceLibrary.programs.result import RunResult
from InferenceLibrary.redaction import Redactor

TEXT_LIMIT = 1_000_000
"""Bytes of a stream that a result holds; of more, the first and the last half."""
OUTPUT_LIMIT = 256_000_000
"""Bytes that a program may write to a stream before it is ended."""
_TAIL_LINES = 20
_FAREWELL = 0.2
"""Seconds that the program's own children have to end after it."""
_SAMPLES = 3
"""With fewer samples of its memory, a program was too short-lived to tell."""


def run_program(
    command: Sequence[str],
    *,
    timeout: float = 10.0,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: str | None = None,
    redactor: Redactor | None = None,
) -> RunResult:
    """Run a program to its end and return what it left.

    It gets a session of its own and files for its output, so that no pipe can fill up. Whatever ends this function (the
    program's end, the time limit, too much output, an exception from a signal handler), the whole session is ended; the
    death of this process too, by the watcher.

    Args:
        command: The program and its arguments.
        timeout: Seconds that it may take.
        env: Variables set beside ours.
        cwd: Its working directory.
        stdin: Text on its standard input; None for an empty one.
        redactor: Masks secrets in the result's command line and in errors.

    Raises:
        ProgramError: The program cannot be run, took too long, or wrote too much.
    """
    redactor = redactor or Redactor()
    environment = {**os.environ, **(env or {})}
    check_directory(cwd)
    program = find_program(command[0] if command else "", env=environment, cwd=cwd)
    refuse_unspeakable(command, env or {}, ProgramError)
    redactor.learn(command[1:], env)
    shown = (command[0], *redactor.argv(list(command[1:])))
    with tempfile.TemporaryDirectory(prefix="inference-run-", ignore_cleanup_errors=True) as folder:
        files = [Path(folder) / name for name in ("stdout", "stderr", "stdin")]
        files[2].write_text(stdin or "", encoding="utf-8", errors="surrogatepass")
        with files[0].open("wb") as out, files[1].open("wb") as err, files[2].open("rb") as source:
            deadline = Deadline(timeout)
            session = ProcessSession(Path(folder))
            environment |= session.environment
            process = None
            try:
                process = _spawn([str(program), *command[1:]], source, out, err, environment, cwd, shown)
                session.lead(process.pid)
                watch = _Watch(process, files[:2])
                in_time = wait_until(watch.over, deadline, first=0.001, longest=0.01)
                elapsed = deadline.elapsed
                left = _outliving(session) if watch.status is not None else []
            finally:
                _end(process, session)
        stdout, stderr = (redactor(_read(path)) for path in files[:2])
    if watch.flooded:
        raise ProgramError(
            describe(
                f"{' '.join(shown)} was ended",
                expected=f"at most {OUTPUT_LIMIT / 1e6:.0f} MB on a stream",
                got="more",
                after=elapsed,
                detail=("First lines", stdout.splitlines()[:_TAIL_LINES]),
            )
        )
    if not in_time:
        raise ProgramError(
            describe(
                f"{' '.join(shown)} did not end",
                expected=f"its end within {timeout:g} s",
                got="a running program",
                after=elapsed,
                state="it was ended with all that it had started",
                hint="Raise timeout=, or give the input that it waits for with stdin="
                if not stdin
                else "Raise timeout=",
                detail=("Last output", _tail(stdout, stderr)),
            )
        )
    return RunResult(
        command=shown,
        exit_code=watch.status if watch.status is not None and watch.status >= 0 else None,
        signal=_signal_name(watch.status),
        stdout=stdout,
        stderr=stderr,
        elapsed=elapsed,
        peak_memory=watch.peak_memory,
        left_behind=tuple(str(member) for member in left),
    )


class _Watch:
    """Looks after a running program: its end, its memory, the size of its output."""

    def __init__(self, process: subprocess.Popen[bytes], outputs: list[Path]) -> None:
        self._process = process
        self._outputs = outputs
        self._status_file = Path(f"/proc/{process.pid}/status")
        self.status: int | None = None
        self.flooded = False
        self._peak_memory = 0
        self._samples = 0

    @property
    def peak_memory(self) -> int | None:
        """Bytes, or None when too little was seen of the program."""
        return self._peak_memory if self._samples >= _SAMPLES else None

    def over(self) -> bool:
        """Whether there is nothing more to wait for."""
        self._sample_memory()
        self._reap()
        self.flooded = any(path.stat().st_size > OUTPUT_LIMIT for path in self._outputs)
        return self.status is not None or self.flooded

    def _reap(self) -> None:
        if sys.platform == "win32":
            self.status = self._process.poll()
            return
        # wait4 tells the memory; Popen must then be told that the process is gone.
        pid, status, usage = os.wait4(self._process.pid, os.WNOHANG)
        if pid == 0:
            return
        self.status = os.waitstatus_to_exitcode(status)
        self._process.returncode = self.status
        if sys.platform == "darwin":
            self._peak_memory, self._samples = usage.ru_maxrss, _SAMPLES

    def _sample_memory(self) -> None:
        # On Linux ru_maxrss is of no use here: it survives exec, and so begins with the memory of the process that
        # forked, which is ours. VmHWM belongs to the new program alone, and is gone when the program is.
        try:
            text = self._status_file.read_text(encoding="ascii", errors="replace")
        except OSError:
            return
        _, found, rest = text.partition("VmHWM:")
        if found:
            self._peak_memory = max(self._peak_memory, int(rest.split()[0]) * 1024)
            self._samples += 1


def _spawn(
    command: list[str],
    source: IO[bytes],
    out: IO[bytes],
    err: IO[bytes],
    env: Mapping[str, str],
    cwd: Path | None,
    shown: Sequence[str],
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            command, stdin=source, stdout=out, stderr=err, env=dict(env), cwd=cwd, start_new_session=True
        )
    except OSError as error:
        reason = error.strerror or str(error)
        hint = {
            "Exec format error": "It is made for another machine, or a script without #! in its first line",
            "No such file or directory": "Its interpreter or dynamic loader is missing",
            "Argument list too long": "Pass a file instead",
        }.get(reason)
        raise ProgramError(describe(f"{' '.join(shown)} could not be started", got=reason, hint=hint)) from None


def _outliving(session: ProcessSession) -> list[Member]:
    """Return who is still there after the program; what is just ending is given a moment to do so."""
    if os.name != "posix":
        return []
    wait_until(lambda: not session.members(), _FAREWELL)
    return session.members()


def _end(process: subprocess.Popen[bytes] | None, session: ProcessSession) -> None:
    try:
        if os.name == "posix":
            ended = process is not None and process.returncode is not None
            session.end(polite=None if ended else signal.SIGTERM)
        elif process is not None and process.returncode is None:
            process.kill()
        if process is not None and process.returncode is None:
            # In an uninterruptible system call the kernel ends it when that returns; the interpreter reaps it then.
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=2)
    finally:
        session.release()


def _read(path: Path) -> str:
    size = path.stat().st_size
    with path.open("rb") as file:
        if size <= TEXT_LIMIT:
            return file.read().decode("utf-8", "replace")
        head = file.read(TEXT_LIMIT // 2)
        file.seek(-(TEXT_LIMIT // 2), os.SEEK_END)
        tail = file.read()
    left_out = size - TEXT_LIMIT
    return f"{head.decode('utf-8', 'replace')}\n... {left_out:,} bytes left out ...\n{tail.decode('utf-8', 'replace')}"


def _tail(stdout: str, stderr: str) -> list[str]:
    lines = [
        f"{name}: {line}"
        for name, text in (("stdout", stdout), ("stderr", stderr))
        for line in text.splitlines()[-_TAIL_LINES // 2 :]
    ]
    return lines or ["nothing"]


def _signal_name(status: int | None) -> str | None:
    if status is None or status >= 0:
        return None
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"
