"""Job objects, against a faked kernel: the order of calls, failures, the end. On Windows itself, a real process."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from InferenceLibrary.errors import ServerError
from InferenceLibrary.processes.windows import JobObject, WindowsProcess


class FakeKernel:
    """Notes the calls; a process of the job lives until it is ended."""

    def __init__(self, refuse: str = "") -> None:
        self.calls: list[str] = []
        self.refuse = refuse
        self.code: int | None = None

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any) -> int:
            self.calls.append(name)
            if name == "TerminateJobObject":
                self.code = 1 if self.code is None else self.code
            return 0 if name == self.refuse else 7

        return call

    def start(self, argv: list[str], **options: Any) -> Any:
        self.calls.append(f"start with {options['creationflags']:#x}")

        def send_signal(number: int) -> None:
            self.calls.append("signal")
            self.code = 0

        kill = lambda: self.calls.append("kill")  # noqa: E731
        return SimpleNamespace(_handle=11, pid=4711, poll=lambda: self.code, send_signal=send_signal, kill=kill)


def process(kernel: FakeKernel, tmp_path: Path) -> WindowsProcess:
    return WindowsProcess(["server.exe"], tmp_path / "x.log", kernel=kernel, ntdll=kernel, open_process=kernel.start)


def test_it_is_in_its_job_before_it_runs(tmp_path: Path) -> None:
    kernel = FakeKernel()
    started = process(kernel, tmp_path)
    assert kernel.calls[:3] == ["CreateJobObjectW", "SetInformationJobObject", "start with 0x204"], "suspended"
    assert kernel.calls[3:] == ["AssignProcessToJobObject", "NtResumeProcess"]
    assert (started.pid, started.running, started.label) == (4711, True, "process 4711")


def test_a_graceful_end_closes_the_job(tmp_path: Path) -> None:
    kernel = FakeKernel()
    started = process(kernel, tmp_path)
    assert started.stop(5) is True
    assert kernel.calls.index("signal") < kernel.calls.index("TerminateJobObject") < kernel.calls.index("CloseHandle")
    assert started.how_it_ended() == "exit code 0"
    started.kill()
    assert kernel.calls.count("TerminateJobObject") == 1


def test_a_kill_ends_the_job(tmp_path: Path) -> None:
    kernel = FakeKernel()
    started = process(kernel, tmp_path)
    started.kill()
    assert "signal" not in kernel.calls
    assert started.how_it_ended() == "exit code 1"
    kernel.code = 0xC0000005
    assert started.how_it_ended() == "exit code 0xc0000005"


@pytest.mark.parametrize("refused", ["CreateJobObjectW", "SetInformationJobObject", "AssignProcessToJobObject"])
def test_a_job_that_cannot_be_made_is_told(tmp_path: Path, refused: str) -> None:
    kernel = FakeKernel(refused)
    with pytest.raises(ServerError, match=r"job object.*got error 7"):
        process(kernel, tmp_path)
    assert "NtResumeProcess" not in kernel.calls, "what is not in the job never runs"
    if refused == "AssignProcessToJobObject":
        assert kernel.calls[-2:] == ["kill", "CloseHandle"]


def test_letting_go_lifts_the_limit(tmp_path: Path) -> None:
    kernel = FakeKernel()
    process(kernel, tmp_path).let_go()
    assert kernel.calls[-2:] == ["SetInformationJobObject", "CloseHandle"]
    assert "TerminateJobObject" not in kernel.calls


@pytest.mark.skipif(sys.platform == "win32", reason="tells what happens elsewhere")
def test_elsewhere_there_are_no_jobs(tmp_path: Path) -> None:
    with pytest.raises(ServerError, match="Job objects are of Windows: got "):
        WindowsProcess(["x"], tmp_path / "x.log")


@pytest.mark.skipif(sys.platform != "win32", reason="needs Windows: job objects are its own")
def test_a_real_process_ends_with_its_job(tmp_path: Path) -> None:
    started = WindowsProcess([sys.executable, "-c", "import time; time.sleep(600)"], tmp_path / "x.log")
    assert started.running
    started.kill()
    assert not started.running
    JobObject.close(started._job)
