"""The GPU gate, against a faked NVML: memory that others hold is waited for, refused, and noticed after the end."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from InferenceLibrary.errors import ServerError
from InferenceLibrary.redaction import Redactor
from InferenceLibrary.servers.gpu_gate import await_free_memory, look_at_gpus
from InferenceLibrary.servers.leaks import leaks_of
from InferenceLibrary.servers.profile import load_profile
from InferenceLibrary.servers.server import Server
from InferenceLibrary.servers.starting import StartSettings, start

GB = 10**9


class FakeNvml(ModuleType):
    """Two GPUs; `used` holds the bytes in use of each, `holders` who holds them."""

    class NVMLError(Exception):
        pass

    def __init__(self) -> None:
        super().__init__("pynvml")
        self.used = [200_000_000, 0]
        self.holders: list[list[tuple[int, int | None]]] = [[], []]
        self.looks = 0
        self.opened = 0
        self.broken = False

    def nvmlInit(self) -> None:  # noqa: N802 - as NVML has it
        self.opened += 1

    def nvmlShutdown(self) -> None:  # noqa: N802
        self.opened -= 1

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return len(self.used)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802
        return index

    def nvmlDeviceGetName(self, handle: int) -> str:  # noqa: N802
        return f"Fake {handle}"

    def nvmlDeviceGetUUID(self, handle: int) -> str:  # noqa: N802
        return f"GPU-{handle}{handle}-fake"

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> Any:  # noqa: N802
        if self.broken:
            raise self.NVMLError("GPU is lost")
        self.looks += 1
        return SimpleNamespace(used=self.used[handle], total=80 * GB)

    def nvmlDeviceGetComputeRunningProcesses(self, handle: int) -> list[Any]:  # noqa: N802
        return [SimpleNamespace(pid=pid, usedGpuMemory=size) for pid, size in self.holders[handle]]

    def nvmlDeviceGetGraphicsRunningProcesses(self, handle: int) -> list[Any]:  # noqa: N802
        raise self.NVMLError("not supported")


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> FakeNvml:
    fake = FakeNvml()
    monkeypatch.setitem(sys.modules, "pynvml", fake)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return fake


@pytest.fixture
def begin(tmp_path: Path) -> Callable[..., Server]:
    profile = tmp_path / "mine.yaml"
    profile.write_text(
        "title: x\n"
        "start: {command: [inference-simulator, --port, '{port}'], announcement: 'listening on (?P<url>http://\\S+)',\n"
        "        gpu: {most_used: 1 GB, wait: 300ms}}\n"
        "ready: {first_token: none}\n"
    )

    def run(lines: list[str] | None = None, **settings: Any) -> Server:
        return start(
            load_profile(str(profile)),
            StartSettings(**settings),
            name="mine",
            new_log=lambda: tmp_path / "mine.log",
            redact=Redactor(),
            progress=(lines if lines is not None else []).append,
        )

    return run


def test_each_gpu_is_seen_with_its_holders(nvml: FakeNvml) -> None:
    nvml.holders[0] = [(os.getpid(), 150_000_000), (2**22 + 1, None)]
    uses, missing = look_at_gpus()
    assert missing == ""
    assert [(use.gpu, use.used) for use in uses] == [(0, 200_000_000), (1, 0)]
    own, other = uses[0].holders
    assert str(own).endswith(f"(pid {os.getpid()}, 150 MB)")
    assert str(other) == f"a process of another container (pid {2**22 + 1})"
    assert nvml.opened == 0, "NVML is closed again"


@pytest.mark.parametrize(
    ("visible", "gpus"), [("1", [1]), ("0,1", [0, 1]), ("GPU-11", [1]), (" 0 ", [0]), ("GPU-00-fake,7", [0])]
)
def test_only_visible_gpus_count(nvml: FakeNvml, visible: str, gpus: list[int]) -> None:
    uses, _ = look_at_gpus({"CUDA_VISIBLE_DEVICES": visible})
    assert [use.gpu for use in uses] == gpus


def test_no_visible_gpu_is_told(nvml: FakeNvml) -> None:
    uses, missing = look_at_gpus({"CUDA_VISIBLE_DEVICES": ""})
    assert uses == []
    assert missing == "No GPU is visible: CUDA_VISIBLE_DEVICES is ''. Hint: unset it, or name one"


def test_a_driver_that_does_not_answer_is_told(nvml: FakeNvml) -> None:
    nvml.broken = True
    assert (
        look_at_gpus()[1] == "The NVIDIA driver does not tell about its memory: GPU is lost. Hint: look at nvidia-smi"
    )
    assert nvml.opened == 0


def test_a_dirty_gpu_is_refused_with_its_holders(nvml: FakeNvml) -> None:
    nvml.used[1] = 30 * GB
    nvml.holders[1] = [(os.getpid(), 30 * GB)]
    lines: list[str] = []
    with pytest.raises(ServerError) as caught:
        await_free_memory(GB, 0.3, report=lines.append)
    text = str(caught.value)
    assert text.startswith(
        "GPU memory is not free: expected at most 1 GB in use on each GPU, got 30 GB on GPU 1 (Fake 1)"
    )
    assert f"(pid {os.getpid()}, 30 GB) after 0.3" in text
    assert "GPU 0" not in text, "a clean one is not named"
    assert len(lines) == 1
    assert nvml.looks >= 4


def test_memory_that_comes_free_is_waited_for(nvml: FakeNvml) -> None:
    nvml.used[0] = 2 * GB
    ask = nvml.nvmlDeviceGetMemoryInfo

    def free_later(handle: int) -> Any:
        if nvml.looks > 4:
            nvml.used[0] = 0
        return ask(handle)

    nvml.nvmlDeviceGetMemoryInfo = free_later  # type: ignore[method-assign]
    uses, missing = await_free_memory(GB, 20)
    assert (missing, uses[0].used) == ("", 0)


def test_a_server_is_not_started_on_a_dirty_gpu(nvml: FakeNvml, begin: Callable[..., Server], tmp_path: Path) -> None:
    nvml.used[0] = 5 * GB
    with pytest.raises(
        ServerError, match=r"^Server 'mine' is not started: GPU memory is not free: expected at most 1 GB"
    ):
        begin()
    assert not (tmp_path / "mine.log").exists(), "nothing was started"
    server = begin(environment={"CUDA_VISIBLE_DEVICES": "1"})
    assert server.gpu_before == {1: 0}
    server.close()


def test_memory_that_stays_after_the_end_is_a_leak(nvml: FakeNvml, begin: Callable[..., Server]) -> None:
    server = begin()
    assert server.gpu_before == {0: 200_000_000, 1: 0}
    server.close()
    clean = leaks_of(server, port_patience=1, gpu_patience=0.2, tolerance=64_000_000)
    assert (clean.found, clean.not_looked_at) == ((), ())
    nvml.used[1] = 3 * GB
    dirty = leaks_of(server, port_patience=1, gpu_patience=0.2, tolerance=64_000_000)
    assert len(dirty.found) == 1
    assert dirty.found[0].startswith(
        "3 GB of GPU memory: 3 GB on GPU 1 (Fake 1), held by nobody that the driver tells of"
    )


def test_no_gpu_is_loud_and_no_refusal(begin: Callable[..., Server], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    lines: list[str] = []
    server = begin(lines)
    assert server.gpu_before is None
    assert any(
        line.startswith("GPU memory was not looked at before the start: The package nvidia-ml-py") for line in lines
    )
    server.close()
    leaks = leaks_of(server, port_patience=1, gpu_patience=0.2, tolerance=0)
    assert leaks.not_looked_at == ("GPU memory: nobody looked at it before the start",)


@pytest.mark.gpu
def test_a_real_gpu_is_seen() -> None:
    uses, missing = look_at_gpus()
    if missing:
        pytest.skip(missing)
    assert uses
    assert all(0 <= use.used <= use.total for use in uses)
