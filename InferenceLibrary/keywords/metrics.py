"""Keywords that read a server's metrics, and hold its counters against what was sent and got."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from assertionengine import AssertionOperator
from robot.api.deco import keyword

from InferenceLibrary.errors import CheckFailure, InferenceError, TargetError, describe
from InferenceLibrary.keywords.shared.assertions import check_number
from InferenceLibrary.keywords.shared.base import KeywordGroup
from InferenceLibrary.types import JsonObject, shown_kind

if TYPE_CHECKING:
    from InferenceLibrary.protocol.prometheus import Metrics

_SETTLING = timedelta(seconds=2)
"""Time in which a server may still count what it has answered already."""


def _settled(rise: Callable[[], dict[str, float]], wanted: Mapping[str, float], within: timedelta) -> dict[str, float]:
    """Return by how much counters have risen: once as wanted, or too much, or at the end of the time.

    Where one should not rise at all, it is looked at until the end: what is still under way would be counted later.
    """
    from InferenceLibrary.deadline import wait_until

    patient = not all(wanted.values())
    risen: dict[str, float] = {}

    def known() -> bool:
        risen.update(rise())
        return any(risen[name] > wanted[name] for name in wanted) or (not patient and risen == wanted)

    wait_until(known, within.total_seconds(), first=0.01)
    return risen


_MOST_SAMPLES = 5
_PARTS = ("le", "quantile")
"""Labels of the buckets of a histogram and of the quantiles of a summary."""


def _reading(value: Any) -> Metrics:
    """Return what `Get Metrics` returned."""
    from InferenceLibrary.protocol.prometheus import Metrics

    if not isinstance(value, Metrics):
        raise CheckFailure(describe("Metrics from before", expected="what Get Metrics returned", got=shown_kind(value)))
    return value


class MetricKeywords(KeywordGroup):
    """Prometheus metrics."""

    @keyword(tags=["metrics"])
    def get_metrics(self, *, server: Any = None) -> Any:
        """Return what a server's metrics say now, to compare with later.

        Args:
            server: Alias, handle or object; None for the current one.

        Returns:
            The metrics: `${metrics.samples}`, `${metrics.names}`.

        Raises:
            RequestError: They cannot be had.
            CheckFailure: A line cannot be read, or there are none.

        Example:
        ```robotframework
        *** Test Cases ***
        Metrics
            Start Server    simulator
            ${metrics} =    Get Metrics
            Should Contain    ${metrics.names}    vllm:num_requests_running
        ```
        """
        found = self.context.servers.get(server)
        metrics = self._metrics(found)
        if metrics.bad_lines or not metrics.samples:
            bad = metrics.bad_lines[0] if metrics.bad_lines else "no sample at all"
            raise CheckFailure(f"Metrics of '{found.name}': expected lines of 'name{{labels}} value', got {bad!r}.")
        self.log.info(f"{found.name}: {metrics}.")
        return metrics

    @keyword(tags=["metrics", "getter"])
    def get_metric(
        self,
        name: str,
        assertion_operator: AssertionOperator | None = None,
        assertion_expected: Any = None,
        message: str | None = None,
        *,
        labels: JsonObject = JsonObject(),  # noqa: B008 - read, never changed
        within: timedelta = timedelta(0),
        server: Any = None,
    ) -> Any:
        """Return the value of a metric, summed over its labels, checked inline when an operator is given.

        Args:
            name: Name of the metric.
            assertion_operator: `==`, `<` and so on.
            assertion_expected: The other side.
            message: Replaces the text of the failure.
            labels: Only samples with these labels count.
            within: How long the check is tried again until it holds; each look may last so long at most.
            server: Alias, handle or object; None for the current one.

        Returns:
            The value.

        Raises:
            CheckFailure: The metric does not exist, its samples are buckets or quantiles and no label names one, or
                the comparison does not hold in time.

        Example:
        ```robotframework
        *** Test Cases ***
        Nothing Runs
            Start Server    simulator
            Get Metric    vllm:num_requests_running    ==    0    within=2 s
        ```
        """
        from InferenceLibrary.keywords.shared.waiting import checked_within

        found = self.context.servers.get(server)

        def checked() -> Any:
            value = self._value(self._metrics(found), name, labels)
            return check_number(value, assertion_operator, assertion_expected, f"metric {name}", "", message)

        return checked_within(checked, within)

    @keyword(tags=["metrics", "assertion"])
    def metric_should_have_risen(
        self,
        before: Any,
        name: str,
        *,
        by: float,
        labels: JsonObject = JsonObject(),  # noqa: B008 - read, never changed
        within: timedelta = _SETTLING,
        server: Any = None,
    ) -> None:
        """Check by how much a counter has risen since earlier metrics.

        Args:
            before: What [Get Metrics] returned before.
            name: Name of the counter.
            by: How much it should have risen; 0 is only known at the end of `within`.
            labels: Only samples with these labels count.
            within: Time that it has to settle.
            server: Alias, handle or object; None for the current one.

        Raises:
            CheckFailure: It has risen by another amount, or is not there now.

        Example:
        ```robotframework
        *** Test Cases ***
        One More
            Start Server    simulator
            ${before} =    Get Metrics
            Chat    Hello
            Metric Should Have Risen    ${before}    vllm:request_success_total    by=1
        ```
        """
        found = self.context.servers.get(server)
        start = _reading(before).value(name, labels) or 0.0

        def rise() -> dict[str, float]:
            return {name: (self._metrics(found).value(name, labels) or 0.0) - start}

        risen = _settled(rise, {name: by}, within)
        self._value(self._metrics(found), name, labels)
        if risen[name] != by:
            raise CheckFailure(f"Metric {name}: expected a rise by {by:g}, got {risen[name]:g} (from {start:g}).")
        self.log.info(f"Metric {name} has risen by {by:g}, from {start:g}.")

    @keyword(tags=["metrics", "assertion"])
    def counters_should_match(
        self, before: Any, *answers: Any, within: timedelta = _SETTLING, server: Any = None
    ) -> None:
        """Hold a server's counters against the answers that were got since earlier metrics.

        What the profile names is compared: requests that ended well, prompt tokens, generated tokens; the answers' own
        usage is the measure. No other client may have called meanwhile.

        Args:
            before: What [Get Metrics] returned before.
            answers: Every reply and stream since, or lists of them; those that failed do not count.
            within: Time that the counters have to settle.
            server: Alias, handle or object; None for the current one.

        Raises:
            CheckFailure: A counter has risen by another amount, or is not there; no answer is given; an answer has no
                usage.
            TargetError: The profile names no counters.

        Example:
        ```robotframework
        *** Test Cases ***
        Both Sides Agree
            Start Server    simulator
            ${before} =    Get Metrics
            ${reply} =    Chat    Hello
            ${stream} =    Stream Chat    Hello    include_usage=True
            Counters Should Match    ${before}    ${reply}    ${stream}
        ```
        """
        found = self.context.servers.get(server)
        before = _reading(before)
        names = found.profile.metrics
        if names is None or not (names.requests or names.prompt_tokens or names.generation_tokens):
            raise TargetError(f"The profile of '{found.name}' names no counters: it needs a section 'metrics'.")
        flat = [one for answer in answers for one in (answer if isinstance(answer, list) else [answer])]
        if not flat:
            raise CheckFailure("Counters: expected at least one answer to hold them against, got none.")
        good = [answer for answer in flat if not isinstance(answer, InferenceError) and not answer.error]
        usages = [answer.usage for answer in good]
        if None in usages:
            raise CheckFailure("Counters: expected usage in every answer. Hint: stream with include_usage=True.")
        expected = {
            names.requests: len(good),
            names.prompt_tokens: sum(usage.prompt_tokens or 0 for usage in usages),
            names.generation_tokens: sum(usage.completion_tokens or 0 for usage in usages),
        }
        wanted = {name: count for name, count in expected.items() if name is not None}

        def rise() -> dict[str, float]:
            now = self._metrics(found)
            return {name: (now.value(name) or 0.0) - (before.value(name) or 0.0) for name in wanted}

        risen = _settled(rise, wanted, within)
        last = self._metrics(found)
        for name in wanted:
            self._value(last, name, JsonObject())
        wrong = [f"{name} by {count}, got {risen[name]:g}" for name, count in wanted.items() if risen[name] != count]
        if wrong:
            raise CheckFailure(f"Counters: expected a rise of {'; '.join(wrong)} for {len(good)} answers.")
        self.log.info("Counters match: " + ", ".join(f"{name} +{count}" for name, count in wanted.items()) + ".")

    def _metrics(self, server: Any) -> Metrics:
        from InferenceLibrary.servers.metrics import fetch_metrics

        return fetch_metrics(server.client, server.profile.metrics.path if server.profile.metrics else "/metrics")

    @staticmethod
    def _value(metrics: Metrics, name: str, labels: JsonObject) -> float:
        value = metrics.value(name, labels)
        if value is None:
            import difflib

            close = difflib.get_close_matches(name, metrics.names, n=1)
            meant = f" Did you mean '{close[0]}'?" if close else ""
            there = metrics.find(name) or metrics.find(f"{name}_total")
            if there:
                seen = "; ".join(str(dict(sample.labels)) for sample in there[:_MOST_SAMPLES])
                more = f" and {len(there) - _MOST_SAMPLES} more" if len(there) > _MOST_SAMPLES else ""
                raise CheckFailure(
                    f"Metric {name}: there is no sample of it with the labels {dict(labels)}: "
                    f"expected labels of one of its samples, which are {seen}{more}."
                )
            page = "" if metrics.samples else f" The page holds {metrics.shown_page}."
            raise CheckFailure(f"Metric {name}: there is no sample of it.{page}{meant}")
        for part in _PARTS:
            parts = list(dict.fromkeys(sample.labels.get(part) for sample in metrics.find(name, labels)))
            if len(parts) > 1:
                shown = ", ".join(str(item) for item in parts[:_MOST_SAMPLES])
                more = f" and {len(parts) - _MOST_SAMPLES} more" if len(parts) > _MOST_SAMPLES else ""
                raise CheckFailure(
                    f"Metric {name}: its samples are parts that add up to nothing: expected one of them by "
                    f'labels={{"{part}": ...}}, got {shown}{more}.'
                )
        return value
