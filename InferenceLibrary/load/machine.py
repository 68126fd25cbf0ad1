"""On what machine a load was measured, and who else used it meanwhile."""

from __future__ import annotations

import functools
import os
import platform
from pathlib import Path
from typing import NamedTuple

from InferenceLibrary.version import __version__

_TICK = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


def machine_facts() -> dict[str, str]:
    """Return what results of two machines must agree in to be comparable."""
    cpu = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                cpu = line.partition(":")[2].strip()
                break
    except OSError:
        pass  # not Linux
    return {
        "cpu": cpu,
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        "gpus": _gpus(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "library": __version__,
    }


@functools.cache
def _gpus() -> str:
    """The names of the NVIDIA GPUs; a server on this machine is as fast as they are."""
    from InferenceLibrary.monitor.gpu import gpu_status

    return ", ".join(gpu_status().names) or "none"


class MachineTicks(NamedTuple):
    """CPU time of the machine so far in clock ticks of all cores; None where the system does not tell."""

    whole: int | None
    busy: int
    server: int

    def foreign_share(self, later: MachineTicks, own: float) -> float | None:
        """Return the share of the machine, 0 to 1, that neither the load (`own` seconds) nor the server took."""
        if self.whole is None or later.whole is None or later.whole <= self.whole:
            return None
        foreign = later.busy - self.busy - (later.server - self.server) - own * _TICK
        return min(1.0, max(0.0, foreign / (later.whole - self.whole)))


def machine_ticks(server: tuple[int, ...]) -> MachineTicks:
    """Return the machine's CPU time now, and that of the server's processes."""
    try:
        fields = [int(one) for one in Path("/proc/stat").read_text(encoding="utf-8").split("\n", 1)[0].split()[1:9]]
    except OSError:
        return MachineTicks(None, 0, 0)
    user, nice, system, _, _, _, _, steal = fields
    return MachineTicks(sum(fields), user + nice + system + steal, sum(map(_ticks_of, server)))


def _ticks_of(pid: int) -> int:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return 0
    return sum(map(int, fields[11:15]))
