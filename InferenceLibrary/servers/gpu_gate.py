"""GPU memory before and after a server: nobody starts on a GPU that others hold, and nothing stays behind."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from InferenceLibrary.deadline import Deadline, wait_until
from InferenceLibrary.errors import ServerError, describe
from InferenceLibrary.processes import process_tree
from InferenceLibrary.sizes import show_bytes

VISIBLE = "CUDA_VISIBLE_DEVICES"
_ROUND = 0.2
"""Seconds between looks; the driver answers in milliseconds."""


class Holder(NamedTuple):
    """A process that holds memory of a GPU."""

    pid: int
    name: str
    size: int | None
    """Bytes; None when the driver does not tell."""

    def __str__(self) -> str:
        return f"{self.name} (pid {self.pid}" + (f", {show_bytes(self.size)})" if self.size is not None else ")")


class GpuUse(NamedTuple):
    """How much memory of one GPU is in use."""

    gpu: int
    name: str
    used: int
    """Bytes, whoever holds them."""
    total: int
    holders: tuple[Holder, ...]

    def __str__(self) -> str:
        holders = ", ".join(map(str, self.holders)) or "nobody that the driver tells of"
        return f"{show_bytes(self.used)} on GPU {self.gpu} ({self.name}), held by {holders}"


def look_at_gpus(environment: Mapping[str, str] | None = None) -> tuple[list[GpuUse], str]:
    """Return the use of each GPU that a program in this environment sees; when there is none, why, and what to do.

    Args:
        environment: Where `CUDA_VISIBLE_DEVICES` is read; this process's own by default.
    """
    from InferenceLibrary.monitor.gpu import open_gpus

    gpus, missing = open_gpus()
    if gpus is None:
        return [], missing
    gpus.close()
    import pynvml

    pynvml.nvmlInit()
    try:
        found = [_look(pynvml, index) for index in range(pynvml.nvmlDeviceGetCount())]
        visible = (os.environ if environment is None else environment).get(VISIBLE)
        if visible is not None:
            names = [part.strip() for part in visible.split(",") if part.strip()]
            uuids = [str(pynvml.nvmlDeviceGetUUID(pynvml.nvmlDeviceGetHandleByIndex(use.gpu))) for use in found]
            found = [use for use, uuid in zip(found, uuids, strict=True) if _is_visible(use.gpu, uuid, names)]
    except pynvml.NVMLError as error:
        return [], f"The NVIDIA driver does not tell about its memory: {error}. Hint: look at nvidia-smi"
    finally:
        pynvml.nvmlShutdown()
    return found, "" if found else f"No GPU is visible: {VISIBLE} is '{visible}'. Hint: unset it, or name one"


def await_free_memory(
    most_used: int,
    patience: float,
    environment: Mapping[str, str] | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> tuple[list[GpuUse], str]:
    """Wait until at most so many bytes are in use on each visible GPU; return them, or why there is none.

    Args:
        most_used: Bytes.
        patience: Seconds.
        environment: Where `CUDA_VISIBLE_DEVICES` is read.
        report: Takes a line when there is something to wait for.

    Raises:
        ServerError: More is in use after that time; the holders are named.
    """
    deadline = Deadline(patience)
    seen: list[tuple[list[GpuUse], str]] = []

    def free() -> bool:
        seen[:] = [look_at_gpus(environment)]
        return all(use.used <= most_used for use in seen[0][0])

    if not free():
        report(f"Waiting until GPU memory is free: {'; '.join(map(str, _dirty(seen[0][0], most_used)))}.")
        if not wait_until(free, deadline, first=_ROUND, longest=_ROUND):
            raise ServerError(
                describe(
                    "GPU memory is not free",
                    expected=f"at most {show_bytes(most_used)} in use on each GPU",
                    got="; ".join(map(str, _dirty(seen[0][0], most_used))),
                    after=deadline.elapsed,
                    hint="end the holders; `rfinference servers list` shows those that the library started.",
                )
            )
    return seen[0]


def _dirty(uses: list[GpuUse], most_used: int) -> list[GpuUse]:
    return [use for use in uses if use.used > most_used]


def _look(nvml: Any, index: int) -> GpuUse:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    holders: dict[int, Holder] = {}
    for question in (nvml.nvmlDeviceGetComputeRunningProcesses, nvml.nvmlDeviceGetGraphicsRunningProcesses):
        try:
            processes = question(handle)
        except nvml.NVMLError:
            continue  # a GPU that does not support the question
        for process in processes:
            seen = process_tree.look(int(process.pid))
            size = None if process.usedGpuMemory is None else int(process.usedGpuMemory)
            name = seen.name if seen else "a process of another container"
            holders[int(process.pid)] = Holder(int(process.pid), name, size)
    name = nvml.nvmlDeviceGetName(handle)
    return GpuUse(index, str(name), int(memory.used), int(memory.total), tuple(holders.values()))


def _is_visible(index: int, uuid: str, names: list[str]) -> bool:
    return any(name == str(index) or (name.startswith("GPU-") and uuid.startswith(name)) for name in names)
