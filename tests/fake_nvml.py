"""NVML with some GPUs, as nvidia-ml-py presents it, for machines without one."""

from __future__ import annotations

from typing import Any


class FakeNvml:
    """NVML.

    Args:
        count: GPUs.
        broken: What does not work: `init`, `count`, `processes`, `utilisation`, `power` or `energy`.
        busy: Percent of the time that the first works; each next one so much more.
    """

    class NVMLError(Exception):
        pass

    NVML_TEMPERATURE_GPU = 0

    def __init__(self, count: int = 2, broken: str = "", busy: int = 40) -> None:
        self.count, self.broken, self.shut, self.busy = count, broken, 0, busy
        self.joules = 1000.0

    def nvmlInit(self) -> None:  # noqa: N802 - the names of NVML
        if self.broken == "init":
            raise self.NVMLError("NVML Shared Library Not Found")

    def nvmlShutdown(self) -> None:  # noqa: N802
        self.shut += 1

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        if self.broken == "count":
            raise self.NVMLError("GPU is lost")
        return self.count

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802
        return index

    def nvmlDeviceGetName(self, index: int) -> str:  # noqa: N802
        return f"Fake {index}"

    def nvmlDeviceGetMemoryInfo(self, index: int) -> Any:  # noqa: N802
        return type("Info", (), {"used": 100 * (index + 1)})

    def nvmlDeviceGetComputeRunningProcesses(self, index: int) -> list[Any]:  # noqa: N802
        if index == 1 and self.broken == "processes":
            raise self.NVMLError("Not Supported")
        usage = [(11, 30 + index), (12, 500), (13, None)]
        return [type("Process", (), {"pid": pid, "usedGpuMemory": used}) for pid, used in usage]

    def nvmlDeviceGetUtilizationRates(self, index: int) -> Any:  # noqa: N802
        self._refuse("utilisation")
        return type("Rates", (), {"gpu": self.busy * (index + 1)})

    def nvmlDeviceGetPowerUsage(self, index: int) -> int:  # noqa: N802
        self._refuse("power")
        return 100_000 * (index + 1)

    def nvmlDeviceGetTemperature(self, index: int, _sensor: int) -> int:  # noqa: N802
        return 50 + index

    def nvmlDeviceGetTotalEnergyConsumption(self, index: int) -> int:  # noqa: N802
        self._refuse("energy")
        self.joules += 5
        return int(self.joules * 1000)

    def _refuse(self, what: str) -> None:
        if self.broken == what:
            raise self.NVMLError("Not Supported")
