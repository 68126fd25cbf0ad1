"""Keywords that watch a server's metrics over time."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from assertionengine import AssertionOperator
from robot.api.deco import keyword

from InferenceLibrary.errors import CheckFailure, describe
from InferenceLibrary.keywords.shared.assertions import check_number, show
from InferenceLibrary.keywords.shared.base import KeywordGroup

if TYPE_CHECKING:
    from InferenceLibrary.monitor.metrics import MetricsRecord

MetricStatistic = Literal["max", "min", "mean", "first", "last", "rise"]


class MetricMonitorKeywords(KeywordGroup):
    """Prometheus metrics over time."""

    @keyword(tags=["monitor", "metrics"])
    def start_metrics_monitor(
        self,
        *names: str,
        interval: timedelta = timedelta(seconds=1),
        alias: str | None = None,
        server: Any = None,
    ) -> int:
        """Begin to read a server's metrics at an interval, in the background.

        The readings have the clock of loads: the picture of a load shows the named metrics beside it, counters as
        their rise a second. The monitor ends with the test or suite that started it.

        Args:
            *names: Metrics, each summed over its labels; all but the buckets of histograms by default.
            interval: Time between readings, at least 50 ms.
            alias: Name for later keywords.
            server: Alias, handle or object; None for the current one.

        Returns:
            The handle of the monitor.

        Raises:
            MonitorError: There is no such metric, or the interval is too short.
            RequestError: The metrics cannot be had.

        Example:
        ```robotframework
        *** Test Cases ***
        Requests Wait Their Turn
            Start Server    simulator
            Start Metrics Monitor    vllm:num_requests_running    interval=100 ms
            Run Load    users=4    requests=20    max_tokens=8
            Get Measured Metric    vllm:num_requests_running    <=    4
        ```
        """
        from InferenceLibrary.monitor.metrics import MetricsMonitor
        from InferenceLibrary.servers.metrics import fetch_metrics

        found = self.context.servers.get(server)
        path = found.profile.metrics.path if found.profile.metrics else "/metrics"
        seconds = interval.total_seconds()
        patience = max(1.0, seconds)
        monitor = MetricsMonitor(found.name, lambda: fetch_metrics(found.client, path, patience), names, seconds)
        monitor.start()
        handle = self.context.metric_monitors.add(monitor, alias)
        self.log.info(
            f"Metrics monitor {handle} reads {len(monitor.record.names)} metrics of '{found.name}' every "
            f"{show(seconds, 's')}."
        )
        return handle

    @keyword(tags=["monitor", "metrics"])
    def stop_metrics_monitor(self, *, save_as: Path | None = None, monitor: Any = None) -> Any:
        """Read once more and end the monitor.

        Args:
            save_as: File for the readings, with `time` in seconds from the start: CSV, or JSON where its name ends
                with `.json`.
            monitor: Alias, handle or object; None for the latest one.

        Returns:
            The record: `${record.readings}`, `${record.names}`, `${record.missed}` readings that failed.

        Raises:
            InferenceError: The file cannot be written.
            TargetError: There is no monitor.

        Example:
        ```robotframework
        *** Test Cases ***
        Keep The Readings
            Start Server    simulator
            Start Metrics Monitor    interval=100 ms
            Chat    Hello
            Stop Metrics Monitor    save_as=${OUTPUT_DIR}/metrics.csv
        ```
        """
        from InferenceLibrary.files import write_table

        record: MetricsRecord = self.context.metric_monitors.get(monitor).stop()
        self.log.info(f"Metrics of {record}.")
        if record.missed:
            self.log.warn(f"Metrics of '{record.name}': {record.missed} readings failed: {record.problem}")
        if save_as is not None:
            write_table(save_as, record.rows(), self.context.redactor(record.as_json()))
            self.log.file(f"{len(record.readings)} readings of '{record.name}'", save_as)
        return record

    @keyword(tags=["monitor", "metrics", "getter"])
    def get_measured_metric(
        self,
        name: str,
        assertion_operator: AssertionOperator | None = None,
        assertion_expected: Any = None,
        message: str | None = None,
        *,
        statistic: MetricStatistic = "max",
        monitor: Any = None,
    ) -> float:
        """Return what a metric was while a monitor read it.

        Args:
            name: Name of the metric.
            assertion_operator: Such as `<=`.
            assertion_expected: A number.
            message: Replaces the text of the failure.
            statistic: `max`, `min`, `mean`, `first`, `last`, or `rise`: the last value less the first.
            monitor: Alias, handle or object; None for the latest one, running or stopped.

        Raises:
            CheckFailure: The assertion does not hold, or most readings failed.
            MonitorError: The metric was not read.

        Example:
        ```robotframework
        *** Test Cases ***
        One More Request
            Start Server    simulator
            Start Metrics Monitor    vllm:request_success_total    interval=100 ms
            Chat    Hello
            Stop Metrics Monitor
            Get Measured Metric    vllm:request_success_total    ==    1    statistic=rise
        ```
        """
        from InferenceLibrary.monitor.metrics import MetricsRecord

        record = monitor if isinstance(monitor, MetricsRecord) else self.context.metric_monitors.get(monitor).snapshot()
        value = record.figure(name, statistic)
        if assertion_operator is not None and record.missed > len(record.readings):
            raise CheckFailure(
                describe(
                    f"What {name} of '{record.name}' was cannot be judged",
                    expected="more readings than failures to read",
                    got=str(record),
                )
            )
        what = f"{statistic} of {name} of '{record.name}'"
        return float(check_number(value, assertion_operator, assertion_expected, what, message=message))
