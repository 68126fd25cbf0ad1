"""NVIDIA GPUs through NVML: whether there is one, and how much memory a process tree holds on them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from InferenceLibrary.extras import install_command
from InferenceLibrary.monitor.memory_record import GpuUsage


@dataclass(frozen=True)
class GpuStatus:
    """Which GPUs are there.

    Args:
        names: One per GPU, as the driver calls it.
        reason: Why there is none, with what to do about it; empty when there is one.
    """

    names: tuple[str, ...]
    reason: str = ""

    @property
    def available(self) -> bool:
        return bool(self.names)


class GpuMemory:
    """Reads GPU memory. Use `open_gpus`; `close` when done."""

    def __init__(self, nvml: Any, handles: list[Any], names: tuple[str, ...]) -> None:
        self._nvml = nvml
        self._handles = handles
        self.names = names

    def held_by(self, pids: Iterable[int]) -> int | None:
        """Return the bytes that these processes hold on all GPUs; None when the driver does not tell (containers)."""
        wanted = set(pids)
        held = 0
        told = False
        for handle in self._handles:
            try:
                processes = self._nvml.nvmlDeviceGetComputeRunningProcesses(handle)
            except self._nvml.NVMLError:
                continue  # a GPU that does not support the question
            for process in processes:
                if process.pid in wanted and process.usedGpuMemory is not None:
                    held += int(process.usedGpuMemory)
                    told = True
        return held if told else None

    def used(self) -> int:
        """Return the bytes in use on all GPUs, whoever holds them."""
        return sum(int(self._nvml.nvmlDeviceGetMemoryInfo(handle).used) for handle in self._handles)

    def usage(self, when: float) -> GpuUsage:
        """Return what all GPUs do now; what one of them does not tell is None.

        Args:
            when: Seconds on the monotonic clock.
        """
        nvml = self._nvml
        shares = self._ask(lambda handle: nvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100)
        used = self._ask(lambda handle: nvml.nvmlDeviceGetMemoryInfo(handle).used)
        power = self._ask(lambda handle: nvml.nvmlDeviceGetPowerUsage(handle) / 1000)
        heat = self._ask(lambda handle: nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU))
        energy = self._ask(lambda handle: nvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1000)
        return GpuUsage(
            when,
            utilisation=sum(shares) / len(shares) if shares else None,
            memory=sum(used) if used else None,
            power=sum(power) if power else None,
            temperature=max(heat) if heat else None,
            energy=sum(energy) if energy else None,
        )

    def _ask(self, question: Callable[[Any], float]) -> list[float]:
        """The answers of all GPUs; none where one does not support the question."""
        try:
            return [float(question(handle)) for handle in self._handles]
        except self._nvml.NVMLError:
            return []

    def close(self) -> None:
        """Release NVML. A second call does nothing."""
        if self._handles:
            self._handles = []
            self._nvml.nvmlShutdown()


def open_gpus() -> tuple[GpuMemory | None, str]:
    """Return a reader, or None and the reason: no package, no driver, no GPU."""
    try:
        import pynvml
    except ModuleNotFoundError:
        return None, (
            f"The package nvidia-ml-py, which sees GPUs, is not installed. Hint: {install_command('performance')}"
        )
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return None, (
            f"No NVIDIA GPU can be used here: {error}. "
            "Hint: run on a machine with an NVIDIA GPU and its driver (in a container: docker run --gpus all)"
        )
    try:
        handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
        names = tuple(str(pynvml.nvmlDeviceGetName(handle)) for handle in handles)
    except pynvml.NVMLError as error:
        pynvml.nvmlShutdown()
        return None, f"The NVIDIA driver answers, its GPUs do not: {error}. Hint: look at nvidia-smi"
    if not handles:
        pynvml.nvmlShutdown()
        return None, "The NVIDIA driver sees no GPU. Hint: check CUDA_VISIBLE_DEVICES and the container's --gpus option"
    return GpuMemory(pynvml, handles, names), ""


def gpu_status() -> GpuStatus:
    """Return which GPUs are there, or why there is none."""
    gpus, reason = open_gpus()
    if gpus is None:
        return GpuStatus((), reason)
    gpus.close()
    return GpuStatus(gpus.names)
