"""Keywords that watch what a server uses while it works, and the GPU gate."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from assertionengine import AssertionOperator
from robot.api import SkipExecution
from robot.api.deco import keyword

from InferenceLibrary.errors import CheckFailure, MonitorError, describe
from InferenceLibrary.keywords.shared.assertions import check_number, show
from InferenceLibrary.keywords.shared.base import KeywordGroup
from InferenceLibrary.types import to_quantity

if TYPE_CHECKING:
    from InferenceLibrary.monitor.memory_record import MemoryRecord

MemoryKind = Literal["pss", "rss", "uss", "gpu"]
MeasuredResource = Literal[
    "cpu", "threads", "handles", "gpu_utilisation", "gpu_memory", "gpu_power", "gpu_temperature", "gpu_energy"
]
_RESOURCE_UNITS = {"gpu_utilisation": "%", "gpu_memory": "B", "gpu_power": "W", "gpu_energy": "J"}


def bytes_of(limit: str) -> float:
    """Return what `2 GB` or `512 MiB` means, in bytes.

    Raises:
        MonitorError: It is not a size.
    """
    try:
        return to_quantity(limit, "B")
    except ValueError:
        raise MonitorError(
            describe(
                "Unknown size of memory", expected="a number with B, kB, MB, GB, KiB, MiB or GiB", got=f"'{limit}'"
            )
        ) from None


class MonitorKeywords(KeywordGroup):
    """Memory of a server's processes over time, and whether there is a GPU."""

    @keyword(tags=["monitor"])
    def start_memory_monitor(
        self,
        *,
        server: Any = None,
        pid: int | None = None,
        interval: timedelta = timedelta(milliseconds=100),
        alias: str | None = None,
    ) -> int:
        """Begin to watch the memory of a server's whole process tree, in the background.

        RSS is read at every interval. PSS and USS cost the server more, so they are read in the first and the last
        sample, after that when RSS has changed by a 64th, and seldom while it has not. With an NVIDIA GPU and
        `nvidia-ml-py`, the GPU memory that the processes hold is read too. The monitor ends with the test
        or suite that started it.

        Args:
            server: Alias, handle or object; None for the current one. It must have been started by this library.
            pid: A process to watch instead of a server.
            interval: Time between samples, at least 10 ms.
            alias: Name for later keywords.

        Returns:
            The handle of the monitor.

        Raises:
            MonitorError: The server is remote, there is no such process, or the interval is too short.
            MissingExtraError: psutil is not installed on a system without /proc.

        Example:
        ```robotframework
        *** Test Cases ***
        Memory While It Answers
            Start Server    simulator
            Start Memory Monitor    interval=50 ms
            Chat    Tell me a story.    max_tokens=20
            Stop Memory Monitor
            Memory Should Stay Below    2 GB
        ```
        """
        from InferenceLibrary.monitor.memory import MemoryMonitor

        if pid is not None:
            name, root = f"process {pid}", pid
        else:
            found = self.context.servers.get(server)
            if found.pid is None:
                raise MonitorError(
                    describe(
                        f"Server '{found.name}' cannot be watched",
                        expected="a process that this library started",
                        got=f"a server at {found.base_url}",
                        hint="give the process with pid= when it runs on this machine",
                    )
                )
            name, root = found.name, found.pid
        monitor = MemoryMonitor(name, root, interval.total_seconds())
        monitor.start()
        handle = self.context.monitors.add(monitor, alias)
        self.log.info(
            f"Memory monitor {handle} watches {name} (pid {root}) every {show(interval.total_seconds(), 's')}."
        )
        return handle

    @keyword(tags=["monitor"])
    def stop_memory_monitor(self, *, monitor: Any = None) -> Any:
        """Take the last sample and end the monitor.

        Its record stays until the test or suite that started the monitor ends.

        Args:
            monitor: Alias, handle or object; None for the latest one.

        Returns:
            The record: `${record.samples}`, `${record.duration}` in seconds, `${record.peak()}` in bytes.

        Raises:
            MonitorError: The monitor failed on the way.
            TargetError: There is no monitor.

        Example:
        ```robotframework
        *** Test Cases ***
        Watch Robot Itself
            ${pid} =    Evaluate    os.getpid()
            Start Memory Monitor    pid=${pid}
            ${record} =    Stop Memory Monitor
            Log    ${record}
        ```
        """
        record = self.context.monitors.get(monitor).stop()
        self.log.info(f"Memory of {record}")
        self.log.file("Figures", self.log.kept(f"memory of {record.name}", record.as_json(), "json"))
        return record

    @keyword(tags=["monitor", "getter"])
    def get_measured_peak_memory(
        self,
        assertion_operator: AssertionOperator | None = None,
        assertion_expected: Any = None,
        message: str | None = None,
        *,
        kind: MemoryKind | None = None,
        monitor: Any = None,
    ) -> int:
        """Return the highest memory that a monitor saw, in bytes.

        Args:
            assertion_operator: Such as `<`.
            assertion_expected: Such as `2 GB` (10^9 bytes) or `2 GiB` (2^30 bytes).
            message: Replaces the text of the failure.
            kind: `pss` (shared pages divided among their users), `rss`, `uss` (pages of its own) or `gpu`. By default
                PSS where it can be read, else RSS.
            monitor: Alias, handle, object or record; None for the latest one, running or stopped.

        Raises:
            CheckFailure: The assertion does not hold.
            MonitorError: Nothing of this kind was measured.

        Example:
        ```robotframework
        *** Test Cases ***
        Peak
            Start Server    simulator
            Start Memory Monitor
            Chat    Hello
            Get Measured Peak Memory    <    2 GB
            ${bytes} =    Get Measured Peak Memory    kind=rss
        ```
        """
        record = self._memory_of(monitor)
        peak = record.peak(kind)
        name = f"peak memory of '{record.name}' ({(kind or record.best_kind()).upper()})"
        return int(check_number(peak, assertion_operator, assertion_expected, name, unit="B", message=message))

    @keyword(tags=["monitor", "assertion"])
    def memory_should_stay_below(self, limit: str, *, kind: MemoryKind | None = None, monitor: Any = None) -> None:
        """Fail unless the memory that a monitor saw was always below a limit.

        Args:
            limit: `2 GB` (10^9 bytes), `512 MiB` (2^20 bytes).
            kind: As for [Get Measured Peak Memory].
            monitor: As for [Get Measured Peak Memory].

        Raises:
            CheckFailure: The peak is at or above the limit; the message has its time.
            MonitorError: Nothing was measured.

        Example:
        ```robotframework
        *** Test Cases ***
        Small
            Start Server    simulator
            Start Memory Monitor
            Chat    Hello
            Memory Should Stay Below    2 GB
        ```
        """
        most = bytes_of(limit)
        record = self._memory_of(monitor)
        used = kind or record.best_kind()
        peak = record.peak(used)
        if peak >= most:
            when = max(record.series(used), key=lambda point: point[1])[0] - record.started
            raise CheckFailure(
                describe(
                    f"Memory of '{record.name}' is too high ({used.upper()} of its process tree)",
                    expected=f"below {show(most, 'B')}",
                    got=f"{show(peak, 'B')} {when:.2f} s after the start",
                    state=f"{record.count} samples in {record.duration:.2f} s",
                )
            )
        self.log.info(
            f"Memory of '{record.name}' stayed below {show(most, 'B')}: peak {show(peak, 'B')} ({used.upper()}, "
            f"{record.count} samples in {record.duration:.2f} s)."
        )

    @keyword(tags=["monitor", "assertion"])
    def memory_should_not_grow_by_more_than(
        self, limit: str, *, kind: MemoryKind | None = None, monitor: Any = None
    ) -> None:
        """Fail when the memory that a monitor saw grew by more than a limit: a leak.

        The median of the last quarter of the samples is compared with that of the first, so one peak is not growth.
        Start the monitor after a warm-up: a server grows at its first requests.

        Args:
            limit: `20 MB`, or a share of what it was at the beginning, such as `10 %`.
            kind: As for [Get Measured Peak Memory]; RSS by default, which has a sample at every interval.
            monitor: As for [Get Measured Peak Memory].

        Raises:
            CheckFailure: It grew by more.
            MonitorError: There are fewer than eight samples, or the limit cannot be read.

        Example:
        ```robotframework
        *** Test Cases ***
        No Leak
            Start Server    simulator
            Start Memory Monitor    interval=10 ms
            Run Load    users=2    requests=20    max_tokens=8
            Stop Memory Monitor
            Memory Should Not Grow By More Than    100 MB
        ```
        """
        record = self._memory_of(monitor)
        before, after = record.growth(kind)
        try:
            most = before * to_quantity(limit, "%") if limit.strip().endswith("%") else bytes_of(limit)
        except ValueError:
            raise MonitorError(
                describe("A limit of growth cannot be read", expected="one such as 20 MB or 10 %", got=f"'{limit}'")
            ) from None
        told = f"{show(before, 'B')} at the beginning, {show(after, 'B')} at the end ({(kind or 'rss').upper()})"
        if after - before > most:
            raise CheckFailure(
                describe(
                    f"Memory of '{record.name}' grows",
                    expected=f"at most {limit} more",
                    got=told,
                    state=f"{record.count} samples in {record.duration:.2f} s",
                )
            )
        self.log.info(f"Memory of '{record.name}' grew by at most {limit}: {told}.")

    @keyword(tags=["monitor", "getter"])
    def get_measured_resource(
        self,
        resource: MeasuredResource,
        assertion_operator: AssertionOperator | None = None,
        assertion_expected: Any = None,
        message: str | None = None,
        *,
        monitor: Any = None,
    ) -> float:
        """Return what a process tree used beside memory, or what the GPUs of the machine did meanwhile.

        Args:
            resource: `cpu` (mean share of one core: 4.0 for four busy ones), `threads` or `handles` (the most that
                were seen at once; handles are open files, sockets and pipes). Of all NVIDIA GPUs together:
                `gpu_utilisation` (mean share of the time), `gpu_memory` (most bytes in use), `gpu_power` (mean
                watts), `gpu_temperature` (highest, degrees Celsius), `gpu_energy` (joules since the start).
            assertion_operator: Such as `<`.
            assertion_expected: A number, with a unit where there is one: `80 %`, `20 GB`.
            message: Replaces the text of the failure.
            monitor: As for [Get Measured Peak Memory].

        Raises:
            CheckFailure: The assertion does not hold.
            MonitorError: It was not measured.

        Example:
        ```robotframework
        *** Test Cases ***
        Few Threads
            Start Server    simulator
            Start Memory Monitor
            Chat    Hello
            Get Measured Resource    threads    <    100
        ```
        """
        record = self._memory_of(monitor)
        name = f"{resource} of '{record.name}'"
        value = record.used(resource)
        unit = _RESOURCE_UNITS.get(resource, "")
        return float(check_number(value, assertion_operator, assertion_expected, name, unit, message))

    @keyword(tags=["monitor", "assertion"])
    def gpu_should_have_been_used(self, *, least: str = "1 %", monitor: Any = None) -> None:
        """Fail unless a GPU worked while a monitor watched; skip the test, saying why, where there is no GPU.

        A server that silently computes on the CPU gives right answers, slowly.

        Args:
            least: The highest utilisation that was seen, of all GPUs together, must be so much.
            monitor: As for [Get Measured Peak Memory].

        Raises:
            CheckFailure: No GPU worked so much.
            MonitorError: The driver does not tell.
            SkipExecution: There is no GPU here.

        Example:
        ```robotframework
        *** Test Cases ***
        On The Gpu
            Start Server    simulator
            Start Memory Monitor
            Run Load    users=2    requests=20    max_tokens=8
            Gpu Should Have Been Used    least=20 %
        ```
        """
        record = self._memory_of(monitor)
        if record.no_gpu:
            raise SkipExecution(record.no_gpu)
        try:
            share = to_quantity(least, "%")
        except ValueError:
            share = 0.0
        if not 0 < share <= 1:
            raise MonitorError(
                describe("least cannot be used", expected="a share above zero, such as 20 %", got=f"'{least}'")
            )
        seen = [value for _, value in record.gpu_series("utilisation")]
        if not seen:
            raise MonitorError(describe("Whether a GPU was used cannot be told", got="a driver without utilisation"))
        held = f", {show(record.peak('gpu'), 'B')} of its memory held by the processes" if record.has("gpu") else ""
        if max(seen) < share:
            raise CheckFailure(
                describe(
                    f"The GPU did not work for '{record.name}'",
                    expected=f"a utilisation of {show(share, '%')} at some time",
                    got=f"{show(max(seen), '%')} at most{held}",
                    state=f"{len(seen)} samples in {record.duration:.2f} s",
                )
            )
        self.log.info(f"The GPU was used by {show(max(seen), '%')} at most while '{record.name}' was watched{held}.")

    @keyword(tags=["monitor"])
    def save_monitor_record(self, path: Path, *, monitor: Any = None) -> None:
        """Write the samples of a monitor to a file: CSV, or JSON where its name ends with `.json`.

        A row has `time` (seconds from the start), `processes`, `rss`, `pss`, `uss`, `gpu` (bytes), `cpu` (seconds so
        far), `threads`, `handles`, `read` and `written` (bytes), and of the GPUs `gpu_utilisation` (0 to 1),
        `gpu_memory` (bytes), `gpu_power` (W), `gpu_temperature` (°C) and `gpu_energy` (J). What costs the server more
        is read less often: empty between.

        Args:
            path: The file; its folder is made.
            monitor: As for [Get Measured Peak Memory].

        Raises:
            InferenceError: The file cannot be written.

        Example:
        ```robotframework
        *** Test Cases ***
        Keep The Curve
            Start Server    simulator
            Start Memory Monitor
            Chat    Hello
            Save Monitor Record    ${OUTPUT_DIR}/memory.csv
        ```
        """
        from InferenceLibrary.files import write_table

        record = self._memory_of(monitor)
        rows = record.rows()
        write_table(path, rows, self.context.redactor(record.as_json()))
        self.log.file(f"{len(rows)} samples of '{record.name}'", path)

    @keyword(tags=["monitor", "skip"])
    def skip_unless_gpu_is_available(self, *, onnx: bool = False) -> None:
        """Skip the test unless this machine has an NVIDIA GPU that can be used.

        Args:
            onnx: Whether onnxruntime must be able to use it as well: its GPU build, CUDA and cuDNN, each of which is
                loaded to see.

        Raises:
            SkipExecution: There is none, or something is missing; the reason says what, and what to do.

        Example:
        ```robotframework
        *** Test Cases ***
        On The Gpu
            Skip Unless Gpu Is Available    onnx=True
            ${path} =    Create Onnx Model    mlp
            Load Onnx Model    ${path}    providers=CUDA
            Onnx Provider Should Be Used    CUDA
        ```
        """
        from InferenceLibrary.monitor.gpu import gpu_status

        status = gpu_status()
        if not status.available:
            raise SkipExecution(status.reason)
        if onnx:
            from InferenceLibrary.onnx.environment import gpu_inference

            found = gpu_inference()
            if found.notes:
                self.log.debug("onnxruntime said:\n" + "\n".join(found.notes))
            if not found.available:
                raise SkipExecution(found.reason)
        self.log.info(f"GPUs: {', '.join(status.names)}")

    def _memory_of(self, ref: Any) -> MemoryRecord:
        from InferenceLibrary.monitor.memory_record import MemoryRecord

        if isinstance(ref, MemoryRecord):
            return ref
        return self.context.monitors.get(ref).snapshot()
