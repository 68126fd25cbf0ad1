"""A server process on Windows, in a job object: the kernel ends all that is in it when the last handle closes.

The runner holds the only handle, so that whatever ends the runner ends the server and all that it started; no guard
process is needed. The first signal is CTRL_BREAK, which console programs may handle as others do TERM.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from InferenceLibrary.deadline import Deadline, wait_until
from InferenceLibrary.errors import ServerError, describe
from InferenceLibrary.processes.output import OutputFile
from InferenceLibrary.processes.process import MARK
from InferenceLibrary.processes.program import Exit

_KILL_BUDGET = 5.0
_BASIC_ACCOUNTING, _EXTENDED_LIMIT = 1, 9
_KILL_ON_JOB_CLOSE = 0x2000
_CREATE_SUSPENDED = 0x4
_CREATE_NEW_PROCESS_GROUP = 0x200


class _BasicLimit(ctypes.Structure):
    """JOBOBJECT_BASIC_LIMIT_INFORMATION of winnt.h."""

    _fields_ = (
        ("PerProcessUserTimeLimit", ctypes.c_int64),
        ("PerJobUserTimeLimit", ctypes.c_int64),
        ("LimitFlags", ctypes.c_uint32),
        ("MinimumWorkingSetSize", ctypes.c_size_t),
        ("MaximumWorkingSetSize", ctypes.c_size_t),
        ("ActiveProcessLimit", ctypes.c_uint32),
        ("Affinity", ctypes.c_size_t),
        ("PriorityClass", ctypes.c_uint32),
        ("SchedulingClass", ctypes.c_uint32),
    )


class _ExtendedLimit(ctypes.Structure):
    """JOBOBJECT_EXTENDED_LIMIT_INFORMATION of winnt.h."""

    _fields_ = (
        ("BasicLimitInformation", _BasicLimit),
        ("IoInfo", ctypes.c_uint64 * 6),
        ("ProcessMemoryLimit", ctypes.c_size_t),
        ("JobMemoryLimit", ctypes.c_size_t),
        ("PeakProcessMemoryUsed", ctypes.c_size_t),
        ("PeakJobMemoryUsed", ctypes.c_size_t),
    )


class _Accounting(ctypes.Structure):
    """JOBOBJECT_BASIC_ACCOUNTING_INFORMATION of winnt.h; times in units of 100 ns."""

    _fields_ = (
        ("TotalUserTime", ctypes.c_int64),
        ("TotalKernelTime", ctypes.c_int64),
        ("ThisPeriodTotalUserTime", ctypes.c_int64),
        ("ThisPeriodTotalKernelTime", ctypes.c_int64),
        ("TotalPageFaultCount", ctypes.c_uint32),
        ("TotalProcesses", ctypes.c_uint32),
        ("ActiveProcesses", ctypes.c_uint32),
        ("TotalTerminatedProcesses", ctypes.c_uint32),
    )


class JobObject:
    """A job object that ends its processes when it is closed."""

    def __init__(self, kernel: Any) -> None:
        self._kernel = kernel
        self._handle = kernel.CreateJobObjectW(None, None)
        limit = _ExtendedLimit()
        limit.BasicLimitInformation.LimitFlags = _KILL_ON_JOB_CLOSE
        size = ctypes.sizeof(limit)
        made = self._handle and kernel.SetInformationJobObject(self._handle, _EXTENDED_LIMIT, ctypes.byref(limit), size)
        if not made:
            raise ServerError(describe("No job object can be made for a server", got=f"error {kernel.GetLastError()}"))

    def take(self, process_handle: int) -> None:
        """Put a process into the job; what it starts from then on is in it too."""
        if not self._kernel.AssignProcessToJobObject(self._handle, process_handle):
            error = self._kernel.GetLastError()
            raise ServerError(describe("A server cannot be put into its job object", got=f"error {error}"))

    def accounting(self) -> tuple[int, float, float]:
        """Return how many of its processes live, and the seconds of processor time that they took."""
        found = _Accounting()
        self._kernel.QueryInformationJobObject(
            self._handle, _BASIC_ACCOUNTING, ctypes.byref(found), ctypes.sizeof(found), None
        )
        return int(found.ActiveProcesses), found.TotalUserTime / 1e7, found.TotalKernelTime / 1e7

    def peak_memory(self) -> int:
        """Return the most bytes that its processes had committed at a time."""
        found = _ExtendedLimit()
        self._kernel.QueryInformationJobObject(
            self._handle, _EXTENDED_LIMIT, ctypes.byref(found), ctypes.sizeof(found), None
        )
        return int(found.PeakJobMemoryUsed)

    def end(self) -> None:
        """End all its processes."""
        self._kernel.TerminateJobObject(self._handle, 1)

    def release(self) -> None:
        """Let its processes live on without us."""
        limit = _ExtendedLimit()
        self._kernel.SetInformationJobObject(self._handle, _EXTENDED_LIMIT, ctypes.byref(limit), ctypes.sizeof(limit))
        self.close()

    def close(self) -> None:
        if self._handle:
            self._kernel.CloseHandle(self._handle)
            self._handle = None


class WindowsProcess(OutputFile):
    """A running server program; speaks as `ServerProcess` does."""

    kind = "process"

    def __init__(
        self,
        argv: Sequence[str],
        log_path: Path,
        *,
        environment: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        mark: str = "",
        kernel: Any = None,
        ntdll: Any = None,
        open_process: Callable[..., Any] = subprocess.Popen,
    ) -> None:
        """Start it suspended, put it into its job, let it run.

        Args:
            argv: Program and arguments.
            log_path: File for its output; written anew.
            environment: Variables set beside those of this process.
            cwd: Its working directory.
            mark: Value of the variable by which all that it starts is known.
            kernel: The functions of kernel32, for tests.
            ntdll: The functions of ntdll, for tests.
            open_process: Starts the process, for tests.

        Raises:
            ServerError: The program cannot be executed.
        """
        self.log_path = log_path
        self.exit: Exit | None = None
        self.on_event: Callable[[str], None] = lambda line: None
        self.orphans = None  # the job ends them; nobody tells of them
        self._killed = False
        self._begun = time.monotonic()
        self._job = JobObject(kernel if kernel is not None else _library("kernel32"))
        values = {**os.environ, **(environment or {})} | ({MARK: mark} if mark else {})
        popen: Any = None
        started = False
        try:
            with log_path.open("wb") as log:
                popen = open_process(
                    list(argv),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=values,
                    cwd=cwd,
                    creationflags=_CREATE_SUSPENDED | _CREATE_NEW_PROCESS_GROUP,
                )
            self._job.take(int(popen._handle))
            (ntdll if ntdll is not None else _library("ntdll")).NtResumeProcess(int(popen._handle))
            started = True
        except OSError as error:
            raise ServerError(describe(f"'{argv[0]}' cannot be executed", got=str(error))) from None
        finally:
            if not started:
                if popen is not None:
                    popen.kill()  # it may be suspended, outside of the job
                self._job.close()
        self._popen = popen
        self.pid = int(popen.pid)

    @property
    def guard_pid(self) -> int:
        """Whose end ends the server: ours, as the kernel sees to it."""
        return os.getpid()

    @property
    def label(self) -> str:
        return f"process {self.pid}"

    @property
    def known_as(self) -> str:
        return str(self.pid)

    @property
    def exit_code(self) -> int | None:
        code = self._popen.poll()
        if code is not None and self.exit is None:
            _, user, system = self._job.accounting()
            memory = self._job.peak_memory()
            self.exit = Exit(code, False, memory, user, system, time.monotonic() - self._begun)
        return code  # type: ignore[no-any-return]

    @property
    def running(self) -> bool:
        return self.exit_code is None

    def pids(self) -> list[int]:
        return [self.pid] if self.running else []

    def settle(self) -> None:
        """The end of the job has ended all; there is nothing to wait for."""

    def how_it_ended(self) -> str | None:
        code = self.exit_code
        if code is None:
            return None
        # Crashes are codes of the kernel, such as 0xC0000005 for an access violation.
        return f"exit code {code}" if code < 0x80000000 else f"exit code {code:#x}"

    def stop(self, grace: float) -> bool:
        """CTRL_BREAK, `grace` seconds, then the end of the job. Return whether the first was enough."""
        graceful = True
        try:
            if self.running:
                self._popen.send_signal(getattr(signal, "CTRL_BREAK_EVENT", signal.SIGTERM))
                graceful = wait_until(lambda: not self.running, grace)
        finally:
            self.kill()
        return graceful

    def kill(self, *, leave_children: bool = False) -> None:
        """End it and all that it started.

        Args:
            leave_children: Whether only the server's own process is ended, as by a crash.

        Raises:
            ServerError: Something of it still runs.
        """
        if leave_children:
            self._popen.kill()
            wait_until(lambda: not self.running, _KILL_BUDGET)
            return
        if self._killed:
            return
        deadline = Deadline(_KILL_BUDGET)
        self._job.end()
        if not wait_until(lambda: not self.running and self._job.accounting()[0] == 0, deadline):
            raise ServerError(describe(f"Process {self.pid} survived its job's end", after=deadline.elapsed))
        self._killed = True
        self._job.close()

    def pause(self) -> None:
        """Refuse: Windows does not stop the processes of a job in their tracks.

        Raises:
            ServerError: Always.
        """
        raise ServerError(describe(f"Process {self.pid} cannot be paused", got="Windows, which has no such signal"))

    def resume(self) -> None:
        """Refuse, as `pause` does.

        Raises:
            ServerError: Always.
        """
        raise ServerError(describe(f"Process {self.pid} cannot be resumed", got="Windows, which has no such signal"))

    def let_go(self) -> None:
        """Let it live on without us."""
        self._job.release()


def _library(name: str) -> Any:
    loader = getattr(ctypes, "WinDLL", None)
    if loader is None:
        raise ServerError(describe("Job objects are of Windows", got=sys.platform))
    return loader(name, use_last_error=True)
